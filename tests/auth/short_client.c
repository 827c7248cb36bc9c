/*
 * Calls procedure 1 (no arguments, a string) with libtirpc's authunix_create_default, again and
 * again, and prints for each call the flavor of the credential that the next one will have.
 *
 *     short_client tcp|udp PORT PROG VERS CALLS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <rpc/rpc.h>

int main(int argc, char **argv)
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	struct timeval wait = { 1, 0 }, total = { 10, 0 };
	int sock = RPC_ANYSOCK;
	CLIENT *client;

	if (argc != 6)
		return 2;
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	where.sin_port = htons(atoi(argv[2]));
	if (strcmp(argv[1], "tcp") == 0)
		client = clnttcp_create(&where, atol(argv[3]), atol(argv[4]), &sock, 0, 0);
	else
		client = clntudp_create(&where, atol(argv[3]), atol(argv[4]), wait, &sock);
	if (client == NULL) {
		clnt_pcreateerror("create");
		return 1;
	}
	auth_destroy(client->cl_auth);
	client->cl_auth = authunix_create_default();
	for (int i = atoi(argv[5]); i > 0; i--) {
		char *who = NULL;
		enum clnt_stat stat = clnt_call(client, 1, (xdrproc_t)xdr_void, NULL,
						(xdrproc_t)xdr_wrapstring, (caddr_t)&who, total);
		if (stat != RPC_SUCCESS) {
			clnt_perror(client, "call");
			return 1;
		}
		printf("%s %d\n", who, (int)client->cl_auth->ah_cred.oa_flavor);
	}
	return 0;
}
