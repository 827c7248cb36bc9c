/* The calls that calc_client makes, in named groups, and what they need from it. */
#ifndef CALC_CHECKS_H
#define CALC_CHECKS_H

#include "calc_samples.h"

/* What AUTH_SYS says of us; the server must report just this. */
#define OUR_MACHINE "calc-client"
enum { OUR_UID = 4242, OUR_GID = 4343 };
extern gid_t our_gids[3];

extern bool_t over_tcp, with_auth_sys;

/* A client for any program and version at the server's address; an error ends the process. */
CLIENT *connect_to(rpcprog_t program, rpcvers_t version);
void disconnect(CLIENT *client);

struct check {
    const char *name;
    rpcvers_t version;
    void (*run)(void);
    bool_t tcp_only;
};
extern const struct check checks[];     /* the last one has no name */

/* Runs a group over a connection of its own and returns how many calls went wrong. */
int run_check(const struct check *check);

#endif
