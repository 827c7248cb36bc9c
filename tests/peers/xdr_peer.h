#include <rpc/rpc.h>

struct peer_type {
    const char *name;   /* as in the .x */
    xdrproc_t xdr;
    size_t size;
};

extern const struct peer_type peer_types[];     /* the last one has no name */
