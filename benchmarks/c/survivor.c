/* The service of survive.x on libtirpc's svc_run with rpcgen's dispatcher, TCP and UDP on one port
 * of 127.0.0.1, without rpcbind, all settings as they are.   ./survivor PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <rpc/rpc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "survive.h"

void survive_prog_1(struct svc_req *, SVCXPRT *);

void *ping_1_svc(void *arg, struct svc_req *req)
{
	static char nothing;
	return &nothing;
}

data_t *echo_1_svc(data_t *arg, struct svc_req *req)
{
	static data_t result;
	result = *arg;
	return &result;
}

u_int *numbers_1_svc(numbers_t *arg, struct svc_req *req)
{
	static u_int result;
	result = arg->numbers_t_len;
	return &result;
}

u_int *chain_1_svc(chain_t *arg, struct svc_req *req)
{
	static u_int result;
	result = 0;
	for (node *each = *arg; each; each = each->next)
		result++;
	return &result;
}

u_int *tree_1_svc(tree_t *arg, struct svc_req *req)
{
	static u_int result;
	result = 0;
	for (tree *each = *arg; each; each = each->left)
		result++;
	return &result;
}

u_int *count_1_svc(void *arg, struct svc_req *req)
{
	static u_int result;
	result++;
	return &result;
}

data_t *fill_1_svc(u_int *arg, struct svc_req *req)
{
	static data_t result;
	result.data_t_val = realloc(result.data_t_val, *arg ? *arg : 1);
	result.data_t_len = result.data_t_val ? *arg : 0;
	return &result;
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 0, one = 1;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
	SVCXPRT *transport;

	signal(SIGPIPE, SIG_IGN);  /* a client that leaves with replies unsent ends it otherwise */
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(tcp, (void *)&at, sizeof at) || listen(tcp, 1024) || bind(udp, (void *)&at, sizeof at)) {
		perror("bind");
		return 1;
	}
	transport = svc_vc_create(tcp, 0, 0);
	if (!transport || !svc_register(transport, SURVIVE_PROG, SURVIVE_V1, survive_prog_1, 0))
		return 1;
	transport = svc_dg_create(udp, 65536, 65536);
	if (!transport || !svc_register(transport, SURVIVE_PROG, SURVIVE_V1, survive_prog_1, 0))
		return 1;
	svc_run();
	return 1;
}
