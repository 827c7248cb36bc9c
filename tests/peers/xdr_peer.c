/*
 * A second opinion on XDR: decodes bytes with rpcgen's routine for a type and encodes them again.
 *
 * The types are in peer_types.c, which xdr_peer.py writes for a .x file: there, because a .x may
 * define any name, also those used here.
 *
 * Reads requests on stdin until it ends and writes an answer to each on stdout (numbers are
 * 32 bits, big endian):
 *     request   length of the name, name, length of the data, data
 *     answer    status, bytes of the data that were used, length of the result, result
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xdr_peer.h"

enum { DONE, NO_SUCH_TYPE, NOT_DECODED, NOT_ENCODED };

/* The end of stdin between two requests is a normal end, anything else a broken caller. */
static void read_exactly(void *to, size_t size)
{
    if (size > 0 && fread(to, 1, size, stdin) != size)
        exit(feof(stdin) ? 0 : 1);
}

static char *read_counted(u_int *length)
{
    char *bytes;

    read_exactly(length, sizeof *length);
    *length = ntohl(*length);
    if ((bytes = calloc(1, *length + 1)) == NULL)
        exit(1);
    read_exactly(bytes, *length);
    return bytes;
}

static void answer(u_int status, u_int used, const char *bytes, u_int length)
{
    u_int head[3] = { htonl(status), htonl(used), htonl(length) };

    fwrite(head, sizeof head, 1, stdout);
    fwrite(bytes, 1, length, stdout);
    fflush(stdout);
}

static void recode(const struct peer_type *type, char *data, u_int length)
{
    void *value = calloc(1, type->size);
    XDR in, out;
    u_int used, size;
    char *result;

    xdrmem_create(&in, data, length, XDR_DECODE);
    if (!type->xdr(&in, value)) {       /* what was decoded so far leaks: it cannot be trusted */
        answer(NOT_DECODED, xdr_getpos(&in), "", 0);
        return;
    }
    used = xdr_getpos(&in);
    size = xdr_sizeof(type->xdr, value);
    result = calloc(1, size + 1);
    xdrmem_create(&out, result, size, XDR_ENCODE);
    if (type->xdr(&out, value))
        answer(DONE, used, result, xdr_getpos(&out));
    else
        answer(NOT_ENCODED, used, "", 0);
    xdr_free(type->xdr, value);
    free(value);
    free(result);
}

int main(void)
{
    for (;;) {
        u_int name_length, length;
        char *name = read_counted(&name_length), *data = read_counted(&length);
        const struct peer_type *type = peer_types;

        while (type->name != NULL && strcmp(type->name, name) != 0)
            type++;
        if (type->name == NULL)
            answer(NO_SUCH_TYPE, 0, "", 0);
        else
            recode(type, data, length);
        free(name);
        free(data);
    }
}
