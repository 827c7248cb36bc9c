/*
 * Has the calculator's server (examples/c) take calls with RPCSEC_GSS, as nfs@localhost.
 */
#include <rpc/rpc.h>
#include <rpc/auth_gss.h>
#include <rpc/rpcsec_gss.h>
#include <stdio.h>
#include <stdlib.h>

#include "calc.h"

__attribute__((constructor)) static void take_gss(void)
{
    for (rpcvers_t version = CALC_V1; version <= CALC_V2; version++)
        if (!rpc_gss_set_svc_name("nfs@localhost", "kerberos_v5", 0, CALC_PROG, version)) {
            fprintf(stderr, "rpc_gss_set_svc_name failed\n");
            exit(1);
        }
}
