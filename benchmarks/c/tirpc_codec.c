/* Time of one encode and one decode (with xdr_free) by libtirpc for each case of codec.x.
 *
 * Prints a JSON object: case -> [encode us, decode us], each the median of 9 batches of about
 * 10 ms.  ./tirpc_codec CASE writes the encoded bytes of that case instead, for comparison.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "codec.h"

static char *buf;
static size_t cap = 64 << 20;
static const char *only;

static double us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }
static int cmp(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

static void run(const char *name, xdrproc_t p, void *value, size_t size, int last)
{
	if (only) {
		XDR x;
		if (strcmp(only, name)) return;
		xdrmem_create(&x, buf, cap, XDR_ENCODE);
		if (!p(&x, value)) exit(1);
		fwrite(buf, 1, xdr_getpos(&x), stdout);
		return;
	}
	double e[9], d[9];
	void *out = malloc(size);
	u_int len = 0;
	int n = 1;
	for (int r = -1; r < 9; r++) {
		double t = us();
		for (int i = 0; i < n; i++) {
			XDR x;
			xdrmem_create(&x, buf, cap, XDR_ENCODE);
			if (!p(&x, value)) exit(1);
			len = xdr_getpos(&x);
		}
		double m = us();
		for (int i = 0; i < n; i++) {
			XDR x;
			xdrmem_create(&x, buf, len, XDR_DECODE);
			memset(out, 0, size);
			if (!p(&x, out)) exit(1);
			xdr_free(p, out);
		}
		double z = us();
		if (r < 0) { n = (int)(10000 / (z - t + 0.1)) + 1; continue; }
		e[r] = (m - t) / n;
		d[r] = (z - m) / n;
	}
	qsort(e, 9, sizeof *e, cmp);
	qsort(d, 9, sizeof *d, cmp);
	printf("\"%s\": [%.4f, %.4f]%s", name, e[4], d[4], last ? "}\n" : ", ");
	free(out);
}

int main(int argc, char **argv)
{
	only = argc > 1 ? argv[1] : NULL;
	buf = malloc(cap);
	mixed m = { -7, 4000000000u, -5000000000, 15000000000000000000ull, 1, BLUE, 1.5f, 3.14159, 42, 77 };
	listing l = { 0, "/export/home/user", "\1\2\3\4\5\6\7", { 100, calloc(100, sizeof(entry)) }, 1 };
	for (int i = 0; i < 100; i++) {
		entry *e = &l.entries.entries_val[i];
		char name[32];
		snprintf(name, sizeof name, "file-name-%06d.dat", i);
		*e = (entry){ 1000000000000ull + i, strdup(name), i + 1, { 32, malloc(32) }, 1, 0644, 4096ull * i, 1700000000u + i, 999 };
		memset(e->handle.handle_val, i, 32);
	}
	ints v = { 100000, malloc(400000) };
	for (int i = 0; i < 100000; i++) v.ints_val[i] = i * 37 - 1000000;
	blob b = { 1 << 20, malloc(1 << 20) };
	memset(b.blob_val, 0x5a, 1 << 20);
	node *head = NULL;
	for (int i = 999; i >= 0; i--) {
		node *n = malloc(sizeof *n);
		char name[32];
		snprintf(name, sizeof name, "node-%04d", i);
		*n = (node){ i, strdup(name), head };
		head = n;
	}
	if (!only) printf("{");
	run("mixed", (xdrproc_t)xdr_mixed, &m, sizeof m, 0);
	run("listing", (xdrproc_t)xdr_listing, &l, sizeof l, 0);
	run("ints", (xdrproc_t)xdr_ints, &v, sizeof v, 0);
	run("blob", (xdrproc_t)xdr_blob, &b, sizeof b, 0);
	run("list", (xdrproc_t)xdr_node, head, sizeof *head, 1);
	return 0;
}
