/*
 * The calculator of idl/calc.x as a C program: both versions, TCP and UDP, on 127.0.0.1.
 *
 *     calc_server [--register] [TCP_PORT [UDP_PORT]]
 *
 * A port of 0, the default, is any free one.  The addresses are printed, then "ready".
 * rpcbind is told only with --register; SIGTERM and SIGINT end the server, and with it what it
 * registered.  What the procedures do is in calc_procedures.c.
 */
#include <arpa/inet.h>
#include <netconfig.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "calc.h"

/* A small stream buffer: a large answer leaves in many fragments of about this size. */
enum { STREAM_BUFFER = 4096, DATAGRAM = 65000 };

void calc_prog_1(struct svc_req *, SVCXPRT *);  /* calc_svc.c; rpcgen -m declares them nowhere */
void calc_prog_2(struct svc_req *, SVCXPRT *);

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    stopped = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* A transport on 127.0.0.1:port, its address printed. */
static SVCXPRT *listen_on(const char *netid, int port)
{
    bool_t stream = strcmp(netid, "tcp") == 0;
    int fd = socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM, 0), on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t size = sizeof address;
    SVCXPRT *transport;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket");
    if (stream)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) < 0)
        die("bind");
    /* svctcp_create listens only on sockets that it binds itself. */
    if (stream && listen(fd, SOMAXCONN) < 0)
        die("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    transport = stream ? svctcp_create(fd, STREAM_BUFFER, STREAM_BUFFER)
                       : svcudp_bufcreate(fd, DATAGRAM, DATAGRAM);
    if (transport == NULL)
        die("svc create");
    printf("listening %s://127.0.0.1:%d\n", netid, ntohs(address.sin_port));
    return transport;
}

/* Serves both versions on a transport; tells rpcbind when there is a netconfig entry. */
static void offer(SVCXPRT *transport, struct netconfig *conf)
{
    if (conf != NULL) {
        rpcb_unset(CALC_PROG, CALC_V1, conf);
        rpcb_unset(CALC_PROG, CALC_V2, conf);
    }
    if (!svc_reg(transport, CALC_PROG, CALC_V1, calc_prog_1, conf)
        || !svc_reg(transport, CALC_PROG, CALC_V2, calc_prog_2, conf)) {
        fprintf(stderr, "calc_server: cannot register%s\n", conf ? " with rpcbind" : "");
        exit(1);
    }
}

/* svc_run() has no safe way out for a signal, so: the same with pselect. */
static void serve(void)
{
    struct sigaction action = { .sa_handler = stop };
    sigset_t ending, before;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, &before);   /* they arrive inside pselect only */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    while (!stopped) {
        fd_set ready = svc_fdset;
        if (pselect(FD_SETSIZE, &ready, NULL, NULL, NULL, &before) > 0)
            svc_getreqset(&ready);
    }
}

int main(int argc, char **argv)
{
    bool_t announce = argc > 1 && strcmp(argv[1], "--register") == 0;
    char **port = argv + 1 + announce;
    struct netconfig *tcp = announce ? getnetconfigent("tcp") : NULL;
    struct netconfig *udp = announce ? getnetconfigent("udp") : NULL;

    if (announce && (tcp == NULL || udp == NULL))
        die("/etc/netconfig");
    signal(SIGPIPE, SIG_IGN);   /* a client that goes away is no reason to die */
    offer(listen_on("tcp", port[0] ? atoi(port[0]) : 0), tcp);
    offer(listen_on("udp", port[0] && port[1] ? atoi(port[1]) : 0), udp);
    puts("ready");
    fflush(stdout);
    serve();
    if (announce)
        for (rpcvers_t version = CALC_V1; version <= CALC_V2; version++) {
            rpcb_unset(CALC_PROG, version, tcp);
            rpcb_unset(CALC_PROG, version, udp);
        }
    return 0;
}
