/*
 * Calls everything in idl/calc.x and checks every answer.
 *
 *     calc_client HOST PORT tcp|udp|tcp6|udp6 [none|sys [VERSION [CHECK]]]
 *     calc_client PATH - local [none|sys [VERSION [CHECK]]]
 *
 * VERSION is 1, 2 or all; CHECK is the name of one group of calls, as printed, or all.
 * A line per call; exit status 0 when all answers were right, 1 when one was not or none came,
 * 2 for a wrong command line.  The server's rpcbind is not asked.  The calls are in calc_checks.c.
 */
#include <netdb.h>
#include <netconfig.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "calc_checks.h"

/* A small stream buffer: large arguments leave in many fragments of about this size. */
enum { STREAM_BUFFER = 4096, DATAGRAM = 65000 };

bool_t over_tcp, with_auth_sys;
gid_t our_gids[3] = { OUR_GID, 10, 4294967294u };

static const char *netid;
static struct sockaddr_storage server;
static socklen_t server_length;

/* ---- connecting ------------------------------------------------------------------------- */

/* A client for any program and version at the server's address; an error ends us. */
CLIENT *connect_to(rpcprog_t program, rpcvers_t version)
{
    struct timeval retry = { 1, 0 };
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&server;
    int fd = RPC_ANYSOCK;
    CLIENT *client;

    /* The two calls of old programs, and what has replaced them. */
    if (strcmp(netid, "tcp") == 0)
        client = clnttcp_create(ipv4, program, version, &fd, STREAM_BUFFER, STREAM_BUFFER);
    else if (strcmp(netid, "udp") == 0)
        client = clntudp_bufcreate(ipv4, program, version, retry, &fd, DATAGRAM, DATAGRAM);
    else {
        struct netbuf address = { sizeof server, server_length, &server };
        struct netconfig *transport = getnetconfigent(netid);
        u_int size = over_tcp ? STREAM_BUFFER : DATAGRAM;

        if (transport == NULL) {
            fprintf(stderr, "calc_client: /etc/netconfig has no %s\n", netid);
            exit(1);
        }
        client = clnt_tli_create(RPC_ANYFD, transport, &address, program, version, size, size);
        freenetconfigent(transport);
    }
    if (client == NULL) {
        clnt_pcreateerror("calc_client");
        exit(1);
    }
    if (with_auth_sys) {
        auth_destroy(client->cl_auth);
        client->cl_auth = authunix_create(OUR_MACHINE, OUR_UID, OUR_GID, COUNT(our_gids), our_gids);
    }
    return client;
}

void disconnect(CLIENT *client)
{
    auth_destroy(client->cl_auth);
    clnt_destroy(client);
}

/* ---- choosing --------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr, "usage: calc_client HOST PORT tcp|udp|tcp6|udp6|local [none|sys [1|2|all [CHECK]]]\n"
                    "CHECK is all");
    for (const struct check *check = checks; check->name != NULL; check++)
        fprintf(stderr, ", %s", check->name);
    fprintf(stderr, "\n");
    exit(2);
}

/* Whether a word of the command line is the one or the other; anything else is an error. */
static bool_t is(const char *given, const char *yes, const char *no)
{
    if (strcmp(given, yes) != 0 && strcmp(given, no) != 0)
        usage();
    return strcmp(given, yes) == 0;
}

static void find_server(const char *host, const char *port)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
    int error;

    if (strcmp(netid, "local") == 0) {
        struct sockaddr_un *path = (struct sockaddr_un *)&server;
        path->sun_family = AF_UNIX;
        snprintf(path->sun_path, sizeof path->sun_path, "%s", host);
        server_length = sizeof *path;
        return;
    }
    if (strchr(netid, '6') != NULL)
        hints.ai_family = AF_INET6;
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "calc_client: %s, port %s: %s\n", host, port, gai_strerror(error));
        exit(1);
    }
    memcpy(&server, found->ai_addr, found->ai_addrlen);
    server_length = found->ai_addrlen;
    freeaddrinfo(found);
}

int main(int argc, char **argv)
{
    const char *version = argc > 5 ? argv[5] : "all", *only = argc > 6 ? argv[6] : "all";
    int groups = 0, failures = 0;

    if (argc < 4 || argc > 7)
        usage();
    netid = argv[3];
    over_tcp = strcmp(netid, "local") == 0 || strncmp(netid, "tcp", 3) == 0;
    if (!over_tcp && strncmp(netid, "udp", 3) != 0)
        usage();
    with_auth_sys = argc > 4 && is(argv[4], "sys", "none");
    find_server(argv[1], argv[2]);
    for (const struct check *check = checks; check->name != NULL; check++) {
        if ((strcmp(version, "all") != 0 && (rpcvers_t)atoi(version) != check->version)
            || (strcmp(only, "all") != 0 && strcmp(only, check->name) != 0)
            || (check->tcp_only && !over_tcp))
            continue;
        failures += run_check(check);
        groups++;
    }
    if (groups == 0)
        usage();
    printf("%d failed\n", failures);
    return failures != 0;
}
