#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calc_checks.h"

static CLIENT *clnt;
static const char *group;       /* the check that is running */
static int failures;

/* ---- comparing -------------------------------------------------------------------------- */

static void verdict(const char *call, bool_t good, const char *why)
{
    printf("%-4s %s: %s%s%s\n", good ? "ok" : "FAIL", group, call, good ? "" : ": ", good ? "" : why);
    failures += !good;
}

/* Two values are the same when their XDR is. */
static bool_t same(xdrproc_t xdr, void *a, void *b)
{
    u_int size = xdr_sizeof(xdr, a);
    char *left = malloc(size + 1), *right = malloc(size + 1);
    XDR one, other;
    bool_t equal;

    xdrmem_create(&one, left, size, XDR_ENCODE);
    xdrmem_create(&other, right, size, XDR_ENCODE);
    equal = size > 0 && xdr_sizeof(xdr, b) == size && xdr(&one, a) && xdr(&other, b)
        && memcmp(left, right, size) == 0;
    free(left);
    free(right);
    return equal;
}

/* Checks what a call gave against what it must be, and frees what it gave. */
static void expect(const char *call, enum clnt_stat status, xdrproc_t xdr, void *got, void *want)
{
    if (status != RPC_SUCCESS) {
        verdict(call, FALSE, clnt_sperror(clnt, "no answer"));
        return;
    }
    verdict(call, same(xdr, got, want), "another answer than expected");
    clnt_freeres(clnt, xdr, got);
}

/* The same for a call that gives nothing. */
static void answered(const char *call, enum clnt_stat status)
{
    verdict(call, status == RPC_SUCCESS, clnt_sperrno(status));
}

/* Checks that a call was refused as it must be. */
static void refused(const char *call, enum clnt_stat status, enum clnt_stat want)
{
    verdict(call, status == want, clnt_sperrno(status));
}

/* Calls a procedure: CALL(stub, arguments, result type, its xdr routine, what must come back). */
#define CALL(stub, arguments, type, xdr, want)                                                \
    do {                                                                                      \
        type got_, want_ = want;                                                              \
        memset(&got_, 0, sizeof got_);                                                        \
        expect(#stub, stub(EXPAND arguments, &got_, clnt), (xdrproc_t)xdr, &got_, &want_);    \
    } while (0)
#define EXPAND(...) __VA_ARGS__

/* Sends a value to an echo procedure of version 2. */
#define ECHO(procedure, type, xdr, value)                                                     \
    CALL(calcproc2_echo_##procedure##_2, (value), type, xdr, value)

/* ---- version 1 -------------------------------------------------------------------------- */

static identity expected_identity(void)
{
    identity nobody = { .flavor = AUTH_NONE, .uid = UINT_MAX, .gid = UINT_MAX, .machine = "" };
    identity us = {
        .flavor = AUTH_SYS, .uid = OUR_UID, .gid = OUR_GID, .gids = ELEMENTS(our_gids),
        .machine = OUR_MACHINE,
    };
    return with_auth_sys ? us : nobody;
}

static const quotient minus_two = { .status = CALC_OK, .quotient_u.value = -2 };
static const quotient by_zero = { .status = CALC_DIV_BY_ZERO };
static const quotient overflow = {
    .status = CALC_OVERFLOW, .quotient_u.message = "the quotient does not fit",
};

static void first_version(void)
{
    static int numbers[] = { INT_MAX, INT_MAX, -1, 0 };
    static ints few = ELEMENTS(numbers), none = { 0, NULL };
    identity caller = { 0 }, we = expected_identity();

    answered("calcproc_null_1", calcproc_null_1(NULL, clnt));
    CALL(calcproc_add_1, (2, -40), int, xdr_int, -38);
    CALL(calcproc_divide_1, (7, -3), quotient, xdr_quotient, minus_two);
    CALL(calcproc_divide_1, (7, 0), quotient, xdr_quotient, by_zero);
    CALL(calcproc_echo_text_1, ("gr\303\274n"), text, xdr_text, "gr\303\274n");
    CALL(calcproc_sum_1, (few), quad_t, xdr_quad_t, 2LL * INT_MAX - 1);
    CALL(calcproc_sum_1, (none), quad_t, xdr_quad_t, 0);
    expect("calcproc_whoami_1", calcproc_whoami_1(&caller, clnt), (xdrproc_t)xdr_identity,
           &caller, &we);
}

/* ---- version 2 -------------------------------------------------------------------------- */

static evaluation ended(calc_status status, double value)
{
    evaluation e = { .status = status, .evaluation_u.value = value };
    return e;
}

static void calculating(void)
{
    static double numbers[] = { 1.5, -2.5, 4 };
    static word three[] = { "one", "", "three" };
    doubles some = ELEMENTS(numbers), no_numbers = { 0, NULL };
    words list = ELEMENTS(three), no_words = { 0, NULL };
    static int summands[] = { INT_MIN, INT_MIN, 1 };
    ints many = ELEMENTS(summands);
    statistics known = { .count = 3, .mean = 1, .minimum = -2.5, .maximum = 4 };
    expr zero = { .op = OP_NUMBER }, one = { .op = OP_NUMBER, .number = 1 };
    expr bad_division = { .op = OP_DIV, .left = &one, .right = &zero };
    expr no_operand = { .op = OP_ADD, .left = &one };
    identity caller = { 0 }, we = expected_identity();

    answered("calcproc2_null_2", calcproc2_null_2(NULL, clnt));
    CALL(calcproc2_add_2, (INT_MAX, 1), int, xdr_int, INT_MIN);
    CALL(calcproc2_divide_2, (7, -3), quotient, xdr_quotient, minus_two);
    CALL(calcproc2_divide_2, (-1, 0), quotient, xdr_quotient, by_zero);
    CALL(calcproc2_divide_2, (INT_MIN, -1), quotient, xdr_quotient, overflow);
    CALL(calcproc2_eval_2, (small_tree), evaluation, xdr_evaluation, ended(CALC_OK, -1.75));
    CALL(calcproc2_eval_2, (bad_division), evaluation, xdr_evaluation, ended(CALC_DIV_BY_ZERO, 0));
    CALL(calcproc2_eval_2, (no_operand), evaluation, xdr_evaluation, ended(CALC_BAD_TREE, 0));
    CALL(calcproc2_sum_2, (many), quad_t, xdr_quad_t, 2LL * INT_MIN + 1);
    CALL(calcproc2_statistics_2, (some), maybe_statistics, xdr_maybe_statistics, &known);
    CALL(calcproc2_statistics_2, (no_numbers), maybe_statistics, xdr_maybe_statistics, NULL);
    CALL(calcproc2_join_2, (list), novel, xdr_novel, "one  three");
    CALL(calcproc2_join_2, (no_words), novel, xdr_novel, "");
    expect("calcproc2_whoami_2", calcproc2_whoami_2(&caller, clnt), (xdrproc_t)xdr_identity,
           &caller, &we);
}

static void remembering(void)
{
    answered("calcproc2_store_2", calcproc2_store_2(40, NULL, clnt));
    CALL(calcproc2_accumulate_2, (2), quad_t, xdr_quad_t, 42);
    CALL(calcproc2_accumulate_2, (-(1LL << 40)), quad_t, xdr_quad_t, 42 - (1LL << 40));
    answered("calcproc2_pause_2", calcproc2_pause_2(10, NULL, clnt));
}

static void scalars(void)
{
    static int signs[] = { 0, 1, -1, INT_MAX, INT_MIN };
    static double reals[] = { 0, -0.0, 1.0 / 3, 1e308, -5e-324 };

    for (size_t i = 0; i < COUNT(signs); i++) {
        ECHO(int, int, xdr_int, signs[i]);
        ECHO(unsigned, u_int, xdr_u_int, (u_int)signs[i]);
        ECHO(hyper, quad_t, xdr_quad_t, signs[i] * (1LL << 31));
        ECHO(unsigned_hyper, u_quad_t, xdr_u_quad_t, (u_quad_t)signs[i]);
        ECHO(double, double, xdr_double, reals[i]);
        ECHO(float, float, xdr_float, (float)signs[i] / 3);
        ECHO(color, color, xdr_color, all_colors[i]);
    }
    ECHO(bool, bool_t, xdr_bool, TRUE);
    ECHO(bool, bool_t, xdr_bool, FALSE);
}

static void strings(void)
{
    char longest[MAXTEXT + 1];
    blob small = make_blob(257), empty = { 0, NULL };

    memset(longest, 'x', MAXTEXT);
    longest[MAXTEXT] = '\0';
    ECHO(text, text, xdr_text, "");
    ECHO(text, text, xdr_text, "gr\303\274n \377 is no UTF-8");
    ECHO(text, text, xdr_text, longest);
    ECHO(blob, blob, xdr_blob, empty);
    ECHO(blob, blob, xdr_blob, small);
    free(small.blob_val);
}

static void arrays(void)
{
    ints no_ints = { 0, NULL };
    few_ints few = { full_everything.few.few_ints_len, full_everything.few.few_ints_val };
    few_ints none = { 0, NULL };
    points track = { full_everything.track.track_len, full_everything.track.track_val };
    points no_points = { 0, NULL };
    palette colors = ELEMENTS(all_colors), no_colors = { 0, NULL };
    words list = { full_everything.dictionary.dictionary_len,
                   full_everything.dictionary.dictionary_val };
    words no_words = { 0, NULL };

    ECHO(ints, ints, xdr_ints, no_ints);
    ECHO(ints, ints, xdr_ints, full_everything.many);
    ECHO(few_ints, few_ints, xdr_few_ints, none);
    ECHO(few_ints, few_ints, xdr_few_ints, few);
    ECHO(points, points, xdr_points, no_points);
    ECHO(points, points, xdr_points, track);
    ECHO(palette, palette, xdr_palette, no_colors);
    ECHO(palette, palette, xdr_palette, colors);
    ECHO(words, words, xdr_words, no_words);
    ECHO(words, words, xdr_words, list);
}

static void structs(void)
{
    celsius temperature = COLDEST;
    chain named = { "three", three_nodes }, single = { "", { -5, NULL } };
    nodelist many = make_list(1000), reversed = NULL, nodes = make_list(1000);

    for (int i = 0; i < 1000; i++) {    /* turn the copy round */
        nodes[i].next = reversed;
        reversed = &nodes[i];
    }
    ECHO(rectangle, rectangle, xdr_rectangle, full_everything.frame);
    ECHO(maybe_point, maybe_point, xdr_maybe_point, full_everything.maybe);
    ECHO(maybe_point, maybe_point, xdr_maybe_point, NULL);
    ECHO(maybe_celsius, maybe_celsius, xdr_maybe_celsius, &temperature);
    ECHO(maybe_celsius, maybe_celsius, xdr_maybe_celsius, NULL);
    ECHO(list, nodelist, xdr_nodelist, NULL);
    ECHO(list, nodelist, xdr_nodelist, many);
    CALL(calcproc2_reverse_2, (many), nodelist, xdr_nodelist, reversed);
    CALL(calcproc2_reverse_2, (NULL), nodelist, xdr_nodelist, NULL);
    ECHO(chain, chain, xdr_chain, named);
    ECHO(chain, chain, xdr_chain, single);
    ECHO(node, node, xdr_node, three_nodes);
    ECHO(node, node, xdr_node, single.first);
    ECHO(expr, expr, xdr_expr, small_tree);
    ECHO(everything, everything, xdr_everything, empty_everything);
    ECHO(everything, everything, xdr_everything, full_everything);
    free(many);
    free(nodes);
}

static void unions(void)
{
    for (size_t i = 0; i < COUNT(all_quotients); i++)
        ECHO(quotient, quotient, xdr_quotient, all_quotients[i]);
    for (size_t i = 0; i < COUNT(all_evaluations); i++)
        ECHO(evaluation, evaluation, xdr_evaluation, all_evaluations[i]);
    for (size_t i = 0; i < COUNT(all_paints); i++)
        ECHO(paint, paint, xdr_paint, all_paints[i]);
    for (size_t i = 0; i < COUNT(all_shapes); i++)
        ECHO(shape, shape, xdr_shape, all_shapes[i]);
    for (size_t i = 0; i < COUNT(all_packets); i++)
        ECHO(packet, packet, xdr_packet, all_packets[i]);
    for (size_t i = 0; i < COUNT(all_answers); i++)
        ECHO(answer, answer, xdr_answer, all_answers[i]);
}

/* More than a datagram holds: in many fragments, over TCP only. */
static void large(void)
{
    blob mebibyte = make_blob(1 << 20);
    nodelist list = make_list(10000);

    ECHO(blob, blob, xdr_blob, mebibyte);
    ECHO(list, nodelist, xdr_nodelist, list);
    free(mebibyte.blob_val);
    free(list);
}

/* ---- what must not work -------------------------------------------------------------- */

/* Calls a procedure without a stub, with neither arguments nor result. */
static enum clnt_stat call_bare(CLIENT *client, rpcproc_t procedure)
{
    struct timeval timeout = { 25, 0 };
    return clnt_call(client, procedure, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL, timeout);
}

/* The connection outlives each refusal. */
static void refusals(void)
{
    CLIENT *other_version = connect_to(CALC_PROG, 7), *other_program = connect_to(CALC_PROG + 1, 1);
    struct rpc_err error;
    int nothing;

    refused("procedure that fails", calcproc2_fail_2("on purpose", &nothing, clnt), RPC_SYSTEMERROR);
    refused("unknown procedure", call_bare(clnt, 4711), RPC_PROCUNAVAIL);
    if (over_tcp)       /* over UDP libtirpc's server takes bytes of an earlier datagram instead */
        refused("arguments cut short", call_bare(clnt, CALCPROC2_ADD), RPC_CANTDECODEARGS);
    refused("unknown version", call_bare(other_version, NULLPROC), RPC_PROGVERSMISMATCH);
    clnt_geterr(other_version, &error);
    verdict("versions offered", error.re_vers.low == CALC_V1 && error.re_vers.high == CALC_V2,
            "not 1 to 2");
    refused("unknown program", call_bare(other_program, NULLPROC), RPC_PROGUNAVAIL);
    CALL(calcproc2_add_2, (20, 22), int, xdr_int, 42);
    disconnect(other_version);
    disconnect(other_program);
}

/* ---- the groups ------------------------------------------------------------------------- */

const struct check checks[] = {
    { "first", CALC_V1, first_version, FALSE },
    { "calculating", CALC_V2, calculating, FALSE },
    { "remembering", CALC_V2, remembering, FALSE },
    { "scalars", CALC_V2, scalars, FALSE },
    { "strings", CALC_V2, strings, FALSE },
    { "arrays", CALC_V2, arrays, FALSE },
    { "structs", CALC_V2, structs, FALSE },
    { "unions", CALC_V2, unions, FALSE },
    { "large", CALC_V2, large, TRUE },
    { "refusals", CALC_V2, refusals, FALSE },
    { NULL, 0, NULL, FALSE },
};

int run_check(const struct check *check)
{
    int before = failures;

    group = check->name;
    clnt = connect_to(CALC_PROG, check->version);
    check->run();
    disconnect(clnt);
    return failures - before;
}
