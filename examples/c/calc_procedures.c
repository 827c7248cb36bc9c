/*
 * The procedures of both versions, called by the dispatchers that rpcgen wrote (calc_prog_1 and
 * calc_prog_2 in calc_svc.c).  With -M a procedure gets room for its result and returns TRUE when
 * there is one to send; arguments and results are freed afterwards.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calc.h"

static quad_t memory;   /* one for all callers and both versions */

/* ---- helpers -------------------------------------------------------------------------- */

/* Refuses a call.  Without this the dispatcher would send nothing, and the caller time out. */
static bool_t fail(struct svc_req *request)
{
    svcerr_systemerr(request->rq_xprt);
    return FALSE;
}

/*
 * Makes a deep copy by way of XDR.  A result must be memory of its own, because the dispatcher
 * frees arguments and results apart.  `to` is cleared first, so it can be freed after a failure.
 */
static bool_t copy(xdrproc_t xdr, void *from, void *to, size_t size, struct svc_req *request)
{
    u_int length = xdr_sizeof(xdr, from);
    char *bytes = malloc(length + 1);
    bool_t done = FALSE;
    XDR out, in;

    memset(to, 0, size);
    if (bytes != NULL) {
        xdrmem_create(&out, bytes, length, XDR_ENCODE);
        xdrmem_create(&in, bytes, length, XDR_DECODE);
        done = xdr(&out, from) && xdr(&in, to);
        free(bytes);
    }
    return done ? TRUE : fail(request);
}

/* The dispatchers call these after the answer has been sent. */
int calc_prog_1_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
    xdr_free(xdr, result);
    return TRUE;
}

int calc_prog_2_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
    xdr_free(xdr, result);
    return TRUE;
}

/* ---- what both versions do ------------------------------------------------------------ */

static int add(int a, int b)
{
    return (int)((u_int)a + (u_int)b);
}

static quotient divide(int a, int b)
{
    quotient result;

    memset(&result, 0, sizeof result);
    if (b == 0) {
        result.status = CALC_DIV_BY_ZERO;
    } else if (a == INT_MIN && b == -1) {
        result.status = CALC_OVERFLOW;
        result.quotient_u.message = strdup("the quotient does not fit");
    } else {
        result.status = CALC_OK;
        result.quotient_u.value = a / b;
    }
    return result;
}

static quad_t sum(ints numbers)
{
    quad_t total = 0;

    for (u_int i = 0; i < numbers.ints_len; i++)
        total += numbers.ints_val[i];
    return total;
}

static bool_t whoami(identity *result, struct svc_req *request)
{
    identity caller = {
        .flavor = request->rq_cred.oa_flavor, .uid = UINT_MAX, .gid = UINT_MAX, .machine = "",
    };

    if (caller.flavor == AUTH_SYS) {
        struct authunix_parms *cred = (struct authunix_parms *)request->rq_clntcred;
        caller.uid = cred->aup_uid;
        caller.gid = cred->aup_gid;
        caller.gids.gids_len = cred->aup_len;
        caller.gids.gids_val = (u_int *)cred->aup_gids;
        caller.machine = cred->aup_machname;
    }
    return copy((xdrproc_t)xdr_identity, &caller, result, sizeof *result, request);
}

/* ---- version 1 ------------------------------------------------------------------------ */

bool_t calcproc_null_1_svc(void *result, struct svc_req *request)
{
    return TRUE;
}

bool_t calcproc_add_1_svc(int a, int b, int *result, struct svc_req *request)
{
    *result = add(a, b);
    return TRUE;
}

bool_t calcproc_divide_1_svc(int a, int b, quotient *result, struct svc_req *request)
{
    *result = divide(a, b);
    return TRUE;
}

bool_t calcproc_echo_text_1_svc(text value, text *result, struct svc_req *request)
{
    return copy((xdrproc_t)xdr_text, &value, result, sizeof *result, request);
}

bool_t calcproc_sum_1_svc(ints numbers, quad_t *result, struct svc_req *request)
{
    *result = sum(numbers);
    return TRUE;
}

bool_t calcproc_whoami_1_svc(identity *result, struct svc_req *request)
{
    return whoami(result, request);
}

/* ---- version 2: calculating ----------------------------------------------------------- */

bool_t calcproc2_null_2_svc(void *result, struct svc_req *request)
{
    return TRUE;
}

bool_t calcproc2_add_2_svc(int a, int b, int *result, struct svc_req *request)
{
    *result = add(a, b);
    return TRUE;
}

bool_t calcproc2_divide_2_svc(int a, int b, quotient *result, struct svc_req *request)
{
    *result = divide(a, b);
    return TRUE;
}

bool_t calcproc2_sum_2_svc(ints numbers, quad_t *result, struct svc_req *request)
{
    *result = sum(numbers);
    return TRUE;
}

bool_t calcproc2_whoami_2_svc(identity *result, struct svc_req *request)
{
    return whoami(result, request);
}

static calc_status eval(const expr *e, double *value)
{
    double left = 0, right = 0;
    calc_status status;

    if (e == NULL)
        return CALC_BAD_TREE;
    if (e->op == OP_NUMBER) {
        *value = e->number;
        return CALC_OK;
    }
    if ((status = eval(e->left, &left)) != CALC_OK)
        return status;
    if (e->op != OP_NEG && (status = eval(e->right, &right)) != CALC_OK)
        return status;
    switch (e->op) {
    case OP_NEG: *value = -left; return CALC_OK;
    case OP_ADD: *value = left + right; return CALC_OK;
    case OP_SUB: *value = left - right; return CALC_OK;
    case OP_MUL: *value = left * right; return CALC_OK;
    case OP_DIV:
        if (right == 0)
            return CALC_DIV_BY_ZERO;
        *value = left / right;
        return CALC_OK;
    default:            /* xdr_enum lets any number through */
        return CALC_BAD_TREE;
    }
}

bool_t calcproc2_eval_2_svc(expr tree, evaluation *result, struct svc_req *request)
{
    memset(result, 0, sizeof *result);
    result->status = eval(&tree, &result->evaluation_u.value);
    return TRUE;
}

bool_t calcproc2_statistics_2_svc(doubles numbers, maybe_statistics *result, struct svc_req *request)
{
    u_int count = numbers.doubles_len;
    statistics *s;

    *result = NULL;
    if (count == 0)
        return TRUE;
    if ((s = malloc(sizeof *s)) == NULL)
        return fail(request);
    s->count = count;
    s->mean = 0;
    s->minimum = s->maximum = numbers.doubles_val[0];
    for (u_int i = 0; i < count; i++) {
        double number = numbers.doubles_val[i];
        s->mean += number;
        if (number < s->minimum)
            s->minimum = number;
        if (number > s->maximum)
            s->maximum = number;
    }
    s->mean /= count;
    *result = s;
    return TRUE;
}

bool_t calcproc2_join_2_svc(words list, novel *result, struct svc_req *request)
{
    size_t size = 1;
    char *end;

    for (u_int i = 0; i < list.words_len; i++)
        size += strlen(list.words_val[i]) + 1;
    if ((*result = end = malloc(size)) == NULL)
        return fail(request);
    *end = '\0';
    for (u_int i = 0; i < list.words_len; i++)
        end += sprintf(end, "%s%s", i == 0 ? "" : " ", list.words_val[i]);
    return TRUE;
}

bool_t calcproc2_store_2_svc(quad_t number, void *result, struct svc_req *request)
{
    memory = number;
    return TRUE;
}

bool_t calcproc2_accumulate_2_svc(quad_t number, quad_t *result, struct svc_req *request)
{
    *result = memory += number;
    return TRUE;
}

bool_t calcproc2_reverse_2_svc(nodelist list, nodelist *result, struct svc_req *request)
{
    *result = NULL;
    for (; list != NULL; list = list->next) {
        node *first = malloc(sizeof *first);
        if (first == NULL)
            return fail(request);
        first->value = list->value;
        first->next = *result;
        *result = first;
    }
    return TRUE;
}

bool_t calcproc2_pause_2_svc(u_int milliseconds, void *result, struct svc_req *request)
{
    struct timespec time = { milliseconds / 1000, (milliseconds % 1000) * 1000000L };

    nanosleep(&time, NULL);     /* a single thread: the other callers wait as well */
    return TRUE;
}

bool_t calcproc2_fail_2_svc(text reason, int *result, struct svc_req *request)
{
    *result = 0;
    return fail(request);
}

/* ---- version 2: echoes ---------------------------------------------------------------- */

#define ECHO(procedure, type, xdr)                                                            \
    bool_t calcproc2_echo_##procedure##_2_svc(type value, type *result, struct svc_req *request) \
    {                                                                                         \
        return copy((xdrproc_t)xdr, &value, result, sizeof *result, request);                 \
    }

ECHO(int, int, xdr_int)
ECHO(unsigned, u_int, xdr_u_int)
ECHO(hyper, quad_t, xdr_quad_t)
ECHO(unsigned_hyper, u_quad_t, xdr_u_quad_t)
ECHO(float, float, xdr_float)
ECHO(double, double, xdr_double)
ECHO(bool, bool_t, xdr_bool)
ECHO(color, color, xdr_color)
ECHO(text, text, xdr_text)
ECHO(blob, blob, xdr_blob)
ECHO(ints, ints, xdr_ints)
ECHO(few_ints, few_ints, xdr_few_ints)
ECHO(points, points, xdr_points)
ECHO(palette, palette, xdr_palette)
ECHO(words, words, xdr_words)
ECHO(rectangle, rectangle, xdr_rectangle)
ECHO(maybe_point, maybe_point, xdr_maybe_point)
ECHO(maybe_celsius, maybe_celsius, xdr_maybe_celsius)
ECHO(list, nodelist, xdr_nodelist)
ECHO(chain, chain, xdr_chain)
ECHO(node, node, xdr_node)
ECHO(expr, expr, xdr_expr)
ECHO(quotient, quotient, xdr_quotient)
ECHO(evaluation, evaluation, xdr_evaluation)
ECHO(paint, paint, xdr_paint)
ECHO(shape, shape, xdr_shape)
ECHO(packet, packet, xdr_packet)
ECHO(answer, answer, xdr_answer)
ECHO(everything, everything, xdr_everything)
