/* One event of a connection, or some datagrams, without a step in Python: read, answer, send.

   What cannot be done here is given back, and the face goes on with it. The GIL is kept: nothing
   waits here, and to hand it on for each call costs more than the call. */

#include "calls.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define TURN (SECOND / 50) /* as servers/loop.py */

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

static ssize_t uninterrupted_send(int file, const void *data, size_t size)
{
    ssize_t sent;
    do {
        sent = send(file, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    return sent;
}

const char exchange_doc[] =
    "exchange($module, calls, file, scratch, about, /)\n--\n\n"
    "Read what is there into ``scratch``, answer the plain calls in it with ``calls``, and send.\n\n"
    "``True`` if that was all there is to do, ``False`` if nothing was there. Else how many bytes\n"
    "were read, how many of them are done with, replies that are still to be sent, and as\n"
    "``PlainCalls.answer`` what came out of the last call's method. Raises ``OSError``.";

PyObject *exchange(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(module);
    if (given != 4 || !Py_IS_TYPE(args[0], state->calls_type)) {
        PyErr_SetString(PyExc_TypeError, "exchange(calls, file, scratch, about)");
        return NULL;
    }
    Calls *calls = (Calls *)args[0];
    int file = (int)PyLong_AsLong(args[1]);
    Turn turn;
    Py_buffer scratch;
    if (PyErr_Occurred() || turn_begin(&turn, args[3]) < 0
        || PyObject_GetBuffer(args[2], &scratch, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    ssize_t got = uninterrupted_recv(file, scratch.buf, (size_t)scratch.len);
    if (got < 0) {
        PyBuffer_Release(&scratch);
        if (PyErr_Occurred()) {
            return NULL;
        }
        return again() ? Py_NewRef(Py_False) : PyErr_SetFromErrno(PyExc_OSError);
    }
    Writer out;
    writer_init(&out, state);
    out.gather = 1;
    Py_ssize_t done = 0;
    int outcome = answer_stream(calls, &turn, scratch.buf, &done, got, &out, turn.now + TURN);
    PyBuffer_Release(&scratch);
    turn_end(&turn);
    ssize_t sent = 0;
    if (outcome >= 0 && out.pos > 0 && out.parts == NULL) {
        sent = uninterrupted_send(file, out.data, (size_t)out.pos);
        if (sent < 0 && !PyErr_Occurred() && again()) {
            sent = 0;
        }
        else if (sent < 0) {
            if (!PyErr_Occurred()) {
                PyErr_SetFromErrno(PyExc_OSError);
            }
            outcome = -1;
        }
    }
    PyObject *result = NULL;
    if (outcome >= 0 && got > 0 && done == got && sent == writer_length(&out) && turn.ran == NULL) {
        result = Py_NewRef(Py_True);
    }
    else if (outcome >= 0) {
        PyObject *ran = turn.ran == NULL ? Py_None : turn.ran;
        PyObject *replies = out.parts != NULL
                                ? writer_finish_parts(&out)
                                : PyBytes_FromStringAndSize(out.data + sent, out.pos - (Py_ssize_t)sent);
        result = replies == NULL
                     ? NULL
                     : Py_BuildValue("nnNO", (Py_ssize_t)got, done, replies, ran);
    }
    Py_XDECREF(turn.ran);
    writer_clear(&out);
    return result;
}
