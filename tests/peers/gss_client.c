/*
 * Has the calculator's client (examples/c) call with RPCSEC_GSS: linked with --wrap=connect_to and
 * --wrap=clnttcp_create.
 * In the environment: GSS_TARGET (nfs@localhost), GSS_SERVICE (1 none, 2 integrity, 3 privacy),
 * GSS_HOW (rpc_gss_seccreate or authgss_create_default).
 */
#include <rpc/rpc.h>
#include <rpc/auth_gss.h>
#include <rpc/rpcsec_gss.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CLIENT *__real_clnttcp_create(struct sockaddr_in *address, u_long program, u_long version, int *fd,
                              u_int sending, u_int receiving);

/* libtirpc wraps no arguments that are larger than its buffer, whatever the server is. */
CLIENT *__wrap_clnttcp_create(struct sockaddr_in *address, u_long program, u_long version, int *fd,
                              u_int sending, u_int receiving)
{
    return __real_clnttcp_create(address, program, version, fd, 4 << 20, 4 << 20);
}

CLIENT *__real_connect_to(rpcprog_t program, rpcvers_t version);

CLIENT *__wrap_connect_to(rpcprog_t program, rpcvers_t version)
{
    CLIENT *client = __real_connect_to(program, version);
    char *target = getenv("GSS_TARGET");
    int service = atoi(getenv("GSS_SERVICE"));

    auth_destroy(client->cl_auth);
    if (strcmp(getenv("GSS_HOW"), "rpc_gss_seccreate") == 0) {
        rpc_gss_options_req_t asked;
        rpc_gss_options_ret_t got;
        memset(&asked, 0, sizeof asked);
        memset(&got, 0, sizeof got);
        client->cl_auth = rpc_gss_seccreate(client, target, "kerberos_v5",
                                            (rpc_gss_service_t)service, NULL, &asked, &got);
    } else {
        struct rpc_gss_sec sec;
        memset(&sec, 0, sizeof sec);
        sec.mech = (gss_OID)gss_mech_krb5;
        sec.svc = (rpc_gss_svc_t)service;
        sec.qop = GSS_C_QOP_DEFAULT;
        sec.cred = GSS_C_NO_CREDENTIAL;
        sec.req_flags = GSS_C_MUTUAL_FLAG;
        client->cl_auth = authgss_create_default(client, target, &sec);
    }
    if (client->cl_auth == NULL) {
        clnt_pcreateerror("gss_client");
        exit(1);
    }
    return client;
}
