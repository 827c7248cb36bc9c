/* One event of a connection without a step in Python: read, answer, send.

   What cannot be done here is given back, and the face goes on with it. The GIL is kept: nothing
   waits here, and to hand it on for each call costs more than the call. */

#include "calls.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define TURN (SECOND / 50) /* as servers/loop.py */
#define PARTS 64           /* that are sent with one call of the system */

typedef struct {
    PyObject_HEAD
    Calls *calls;
    int file;
    char clear;
    double since;
    PyObject *scratch;
    PyObject *about;
    PyObject *rest;
} Exchange;

static int again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

static ssize_t uninterrupted_recv(int file, void *data, size_t size)
{
    ssize_t got;
    do {
        got = recv(file, data, size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    return got;
}

static ssize_t uninterrupted_send(int file, struct iovec *parts, size_t count)
{
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;
    do {
        sent = sendmsg(file, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    return sent;
}

/* What was written, as much as the peer takes at once; -1 with an exception if it is gone. */
static ssize_t send_written(Exchange *self, Writer *out)
{
    struct iovec parts[PARTS];
    size_t count = 0;
    if (out->parts != NULL) {
        for (Py_ssize_t n = 0; n < PyList_GET_SIZE(out->parts) && count < PARTS - 1; n++) {
            PyObject *part = PyList_GET_ITEM(out->parts, n);
            parts[count++] = (struct iovec){PyBytes_AS_STRING(part), (size_t)PyBytes_GET_SIZE(part)};
        }
    }
    if (out->parts == NULL || count == (size_t)PyList_GET_SIZE(out->parts)) {
        parts[count++] = (struct iovec){out->data, (size_t)out->pos};
    }
    ssize_t sent = uninterrupted_send(self->file, parts, count);
    if (sent < 0 && !PyErr_Occurred()) {
        if (again()) {
            return 0;
        }
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return sent;
}

/* What is left of it when so many bytes are gone: a bytes object, or a list of parts. */
static PyObject *rest_of(Writer *out, Py_ssize_t sent)
{
    if (out->parts == NULL) {
        return PyBytes_FromStringAndSize(out->data + sent, out->pos - sent);
    }
    PyObject *parts = writer_finish_parts(out);
    if (parts == NULL) {
        return NULL;
    }
    Py_ssize_t whole = 0;
    while (whole < PyList_GET_SIZE(parts)
           && sent >= PyBytes_GET_SIZE(PyList_GET_ITEM(parts, whole))) {
        sent -= PyBytes_GET_SIZE(PyList_GET_ITEM(parts, whole++));
    }
    if (PyList_SetSlice(parts, 0, whole, NULL) < 0) {
        Py_CLEAR(parts);
    }
    else if (sent > 0) {
        PyObject *view = PyMemoryView_FromObject(PyList_GET_ITEM(parts, 0));
        PyObject *left = view == NULL ? NULL : PySequence_GetSlice(view, sent, PY_SSIZE_T_MAX);
        Py_XDECREF(view);
        if (left == NULL || PyList_SetItem(parts, 0, left) < 0) {
            Py_CLEAR(parts);
        }
    }
    return parts;
}

static PyObject *exchange_call(Exchange *self, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    if (!self->clear) {
        return PyObject_CallOneArg(self->rest, Py_None);
    }
    Turn turn;
    Py_buffer scratch;
    if (turn_begin(&turn, self->about) < 0
        || PyObject_GetBuffer(self->scratch, &scratch, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    self->since = (double)turn.now / 1e9;
    ssize_t got = uninterrupted_recv(self->file, scratch.buf, (size_t)scratch.len);
    if (got < 0) {
        PyBuffer_Release(&scratch);
        if (PyErr_Occurred()) {
            return NULL;
        }
        if (again()) {
            Py_RETURN_NONE;
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return hand_over(self->rest, raised());
    }
    Writer out;
    writer_init(&out, self->calls->state);
    out.gather = 1;
    Py_ssize_t done = 0;
    int outcome = answer_stream(self->calls, &turn, scratch.buf, &done, got, &out, turn.now + TURN);
    PyBuffer_Release(&scratch);
    turn_end(&turn);
    Py_ssize_t made = writer_length(&out);
    ssize_t sent = 0;
    int broken = 0;
    if (outcome >= 0 && made > 0 && (sent = send_written(self, &out)) < 0) {
        broken = PyErr_ExceptionMatches(PyExc_OSError);
        outcome = -1;
    }
    PyObject *result = NULL;
    if (outcome >= 0 && got > 0 && done == got && sent == made && turn.ran == NULL) {
        result = Py_NewRef(Py_None);
    }
    else if (outcome >= 0) {
        PyObject *replies = rest_of(&out, sent);
        if (replies != NULL) {
            PyObject *ran = turn.ran == NULL ? Py_None : turn.ran;
            result = hand_over(self->rest, Py_BuildValue("nnNO", (Py_ssize_t)got, done, replies, ran));
        }
    }
    Py_XDECREF(turn.ran);
    writer_clear(&out);
    return broken ? hand_over(self->rest, raised()) : result;
}

PyDoc_STRVAR(exchange_doc,
    "Exchange(calls, file, scratch, about, rest)\n--\n\n"
    "Called when there is something to read: reads it into ``scratch``, answers the plain calls in\n"
    "it with ``calls``, and sends. ``since`` is when it did so last (``time.monotonic``).\n\n"
    "What is left is for ``rest``: it is called with how many bytes were read, how many of them are\n"
    "done with, replies that are still to be sent, and what came out of the last call's method (see\n"
    "``PlainCalls.answer``); with the ``OSError`` that came; or with ``None``, at once, while\n"
    "``clear`` is false.");

static PyObject *exchange_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"calls", "file", "scratch", "about", "rest", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *calls, *scratch, *about, *rest;
    int file;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!iOOO", names, state->calls_type, &calls, &file,
                                     &scratch, &about, &rest)) {
        return NULL;
    }
    Exchange *self = (Exchange *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->calls = (Calls *)Py_NewRef(calls);
        self->file = file;
        self->clear = 1;
        self->scratch = Py_NewRef(scratch);
        self->about = Py_NewRef(about);
        self->rest = Py_NewRef(rest);
    }
    return (PyObject *)self;
}

static int exchange_traverse(Exchange *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->calls);
    Py_VISIT(self->scratch);
    Py_VISIT(self->about);
    Py_VISIT(self->rest);
    return 0;
}

static int exchange_clear(Exchange *self)
{
    Py_CLEAR(self->calls);
    Py_CLEAR(self->scratch);
    Py_CLEAR(self->about);
    Py_CLEAR(self->rest);
    return 0;
}

static void exchange_dealloc(Exchange *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    exchange_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef exchange_members[] = {
    {"clear", T_BOOL, offsetof(Exchange, clear), 0, "Whether nothing of before is left."},
    {"since", T_DOUBLE, offsetof(Exchange, since), 0, "When it last read."},
    {"about", T_OBJECT, offsetof(Exchange, about), 0, "What the calls have in common."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot exchange_slots[] = {
    {Py_tp_doc, (void *)exchange_doc},
    {Py_tp_new, exchange_new},
    {Py_tp_call, exchange_call},
    {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},
    {Py_tp_dealloc, exchange_dealloc},
    {Py_tp_members, exchange_members},
    {0, NULL},
};

PyType_Spec exchange_spec = {
    .name = "rpcserver.xdr._native.Exchange",
    .basicsize = sizeof(Exchange),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = exchange_slots,
};
