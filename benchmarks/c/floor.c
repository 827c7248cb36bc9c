/* floor: an echo server with the least work that still answers rpcload, to find
 * what this machine's sockets allow.  It frames records, copies the xid and the
 * bytes after a 40-byte AUTH_NONE call header, and checks nothing.
 *
 *   ./floor PORT [one]
 *
 * TCP: one read, then one write for all the replies; with "one" a write for each
 * reply.  UDP on the same port: recvmmsg/sendmmsg by up to 64; with "one" a
 * recvfrom and a sendto for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HDR 40
#define RX  (256 * 1024)
struct conn { int fd; unsigned char *in, *out; size_t inn, incap, outn, outoff, outcap; };
static int ep, one;

static void need(unsigned char **p, size_t *cap, size_t want)
{
	if (want <= *cap) return;
	*cap = want * 2;
	if (!(*p = realloc(*p, *cap))) exit(1);
}

static size_t answer(const unsigned char *call, size_t n, unsigned char *out)
{
	static const unsigned char ok[20] = { 0, 0, 0, 1 };
	size_t body = n > HDR ? n - HDR : 0;
	memcpy(out, call, 4);
	memcpy(out + 4, ok, 20);
	memcpy(out + 24, call + HDR, body);
	return 24 + body;
}

static void flush(struct conn *c)
{
	while (c->outoff < c->outn) {
		ssize_t w = send(c->fd, c->out + c->outoff, c->outn - c->outoff, 0);
		if (w < 0) {
			struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
			if (errno == EAGAIN) epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
			else c->outoff = c->outn = 0;
			return;
		}
		c->outoff += w;
	}
	c->outoff = c->outn = 0;
}

static int readable(struct conn *c)
{
	need(&c->in, &c->incap, c->inn + RX);
	ssize_t r = recv(c->fd, c->in + c->inn, c->incap - c->inn, 0);
	if (r <= 0) return r < 0 && errno == EAGAIN ? 0 : -1;
	c->inn += r;
	size_t p = 0;
	while (c->inn - p >= 4) {
		uint32_t m;
		memcpy(&m, c->in + p, 4);
		size_t len = ntohl(m) & 0x7fffffff;
		if (c->inn - p < 4 + len) { need(&c->in, &c->incap, len + RX); break; }
		need(&c->out, &c->outcap, c->outn + len + 64);
		size_t k = answer(c->in + p + 4, len, c->out + c->outn + 4);
		m = htonl(0x80000000u | (uint32_t)k);
		memcpy(c->out + c->outn, &m, 4);
		c->outn += 4 + k;
		p += 4 + len;
		if (one) flush(c);
	}
	memmove(c->in, c->in + p, c->inn - p);
	c->inn -= p;
	flush(c);
	return 0;
}

static void datagrams(int fd)
{
	enum { N = 64, SZ = 65536 };
	static unsigned char in[N][SZ], out[N][SZ];
	static struct sockaddr_in who[N];
	struct mmsghdr m[N];
	struct iovec v[N];
	for (int i = 0; i < N; i++) {
		v[i] = (struct iovec){ in[i], SZ };
		m[i] = (struct mmsghdr){ .msg_hdr = { &who[i], sizeof who[i], &v[i], 1, NULL, 0, 0 } };
	}
	int n = recvmmsg(fd, m, one ? 1 : N, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) v[i] = (struct iovec){ out[i], answer(in[i], m[i].msg_len, out[i]) };
	if (n > 0) sendmmsg(fd, m, n, 0);
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 0, on = 1, big = 4 << 20;
	one = argc > 2 && !strcmp(argv[2], "one");
	signal(SIGPIPE, SIG_IGN);
	struct rlimit lim;
	getrlimit(RLIMIT_NOFILE, &lim); lim.rlim_cur = lim.rlim_max; setrlimit(RLIMIT_NOFILE, &lim);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(l, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	setsockopt(u, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	setsockopt(u, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 1024) || bind(u, (void *)&a, sizeof a)) { perror("bind"); return 1; }
	ep = epoll_create1(0);
	struct conn lc = { .fd = l }, uc = { .fd = u };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &lc }, ev[256];
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	e.data.ptr = &uc;
	epoll_ctl(ep, EPOLL_CTL_ADD, u, &e);
	for (;;) {
		int n = epoll_wait(ep, ev, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c == &lc) {
				int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
				if (fd < 0) continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
				struct conn *x = calloc(1, sizeof *x);
				x->fd = fd;
				e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = x };
				epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
			} else if (c == &uc) {
				datagrams(u);
			} else {
				if (ev[i].events & EPOLLOUT) {
					flush(c);
					if (!c->outn) { e = (struct epoll_event){ .events = EPOLLIN, .data.ptr = c }; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e); }
				}
				if ((ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && readable(c) < 0) { close(c->fd); free(c->in); free(c->out); free(c); }
			}
		}
	}
}
