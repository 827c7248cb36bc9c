/* One connection of libtirpc's client with RPCSEC_GSS, one call of ECHO at a time (echo.x).
 *     ./gss_load PORT none|krb5|krb5i|krb5p SIZE SECONDS SERVER_PID...
 * Prints calls, calls_s, MB_s (both ways together) and calls_per_server_cpu_s as JSON. */
#include <arpa/inet.h>
#include <gssapi/gssapi.h>
#include <rpc/rpc.h>
#include <rpc/auth_gss.h>
#include <rpc/rpcsec_gss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "echo.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_of(const char *pid)
{
	char path[64], state;
	unsigned long user = 0, system = 0;
	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	FILE *file = fopen(path, "r");
	if (!file) return 0;
	fscanf(file, "%*d (%*[^)]) %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state, &user, &system);
	fclose(file);
	return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static AUTH *gss(CLIENT *client, int service)
{
	rpc_gss_options_req_t asked;
	rpc_gss_options_ret_t got;
	memset(&asked, 0, sizeof asked);
	memset(&got, 0, sizeof got);
	return rpc_gss_seccreate(client, "nfs@localhost", "kerberos_v5", service, NULL, &asked, &got);
}

int main(int argc, char **argv)
{
	static const char *const words[] = { "none", "krb5", "krb5i", "krb5p" };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	struct timeval limit = { 10, 0 };
	int fd = RPC_ANYSOCK, service = 0;
	u_int size = atoi(argv[3]);
	double seconds = atof(argv[4]), begun, used = 0;
	long calls = 0;
	opaque_t sent = { size, malloc(size + 1) };
	memset(sent.opaque_t_val, 'x', size);
	while (service < 4 && strcmp(words[service], argv[2])) service++;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CLIENT *client = clnttcp_create(&address, ECHO_PROG, ECHO_V1, &fd, 256 << 10, 256 << 10);
	if (!client || (service && !(client->cl_auth = gss(client, service)))) {
		clnt_pcreateerror("gss_load");
		return 1;
	}
	for (int warm = 1; warm >= 0; warm--) {
		double until = (begun = now()) + (warm ? 0.1 : seconds);
		used = 0;
		for (int i = 5; i < argc; i++) used -= cpu_of(argv[i]);
		for (calls = 0; now() < until; calls++) {
			opaque_t back = { 0, NULL };
			enum clnt_stat stat = clnt_call(client, ECHO, (xdrproc_t)xdr_opaque_t, &sent, (xdrproc_t)xdr_opaque_t, &back, limit);
			if (stat || back.opaque_t_len != size || memcmp(back.opaque_t_val, sent.opaque_t_val, size)) {
				clnt_perror(client, "gss_load");
				return 1;
			}
			clnt_freeres(client, (xdrproc_t)xdr_opaque_t, &back);
		}
		for (int i = 5; i < argc; i++) used += cpu_of(argv[i]);
	}
	double took = now() - begun;
	printf("{\"calls\": %ld, \"calls_s\": %.1f, \"MB_s\": %.2f, \"calls_per_server_cpu_s\": %.1f}\n", calls, calls / took, 2e-6 * size * calls / took, used > 0 ? calls / used : 0);
	auth_destroy(client->cl_auth);
	return 0;
}
