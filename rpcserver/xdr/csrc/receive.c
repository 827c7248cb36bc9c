/* Waiting for what a client's socket brings, and reading it, in one step; and sending a call, while
   nothing else goes on. */

#include "native.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* What recv() brought, for Python: bytes, or None if there are none yet. */
static PyObject *received(ssize_t got, int failure)
{
    if (got >= 0) {
        return PyLong_FromSsize_t(got);
    }
    if (failure == EINTR) {
        return PyErr_CheckSignals() < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (failure == EAGAIN || failure == EWOULDBLOCK) {
        Py_RETURN_NONE;
    }
    errno = failure;
    return PyErr_SetFromErrno(PyExc_OSError);
}

const char receive_doc[] =
    "receive($module, sock, room, milliseconds, /)\n--\n\n"
    "As ``clients.receiving.python_receive``; ``None`` also if a signal came.";

PyObject *receive(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    (void)module;
    if (given != 3) {
        PyErr_SetString(PyExc_TypeError, "receive(sock, room, milliseconds)");
        return NULL;
    }
    struct pollfd waiting = {.fd = PyObject_AsFileDescriptor(args[0]), .events = POLLIN};
    long milliseconds = PyLong_AsLong(args[2]);
    Py_buffer room;
    if (waiting.fd < 0 || PyErr_Occurred()
        || PyObject_GetBuffer(args[1], &room, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    int limit = milliseconds > INT32_MAX ? INT32_MAX : milliseconds < 0 ? -1 : (int)milliseconds;
    ssize_t got = -1;
    int failure = EAGAIN;
    Py_BEGIN_ALLOW_THREADS
    int found = poll(&waiting, 1, limit);
    if (found > 0) {
        got = recv(waiting.fd, room.buf, (size_t)room.len, MSG_DONTWAIT);
    }
    if (found != 0 && got < 0) {
        failure = errno;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&room);
    return received(got, failure);
}

const char receive_blocking_doc[] =
    "receive_blocking($module, sock, room, /)\n--\n\n"
    "The same at a socket that blocks, for as long as ``set_patience`` said.";

PyObject *receive_blocking(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    (void)module;
    if (given != 2) {
        PyErr_SetString(PyExc_TypeError, "receive_blocking(sock, room)");
        return NULL;
    }
    int file = PyObject_AsFileDescriptor(args[0]);
    Py_buffer room;
    if (file < 0 || PyObject_GetBuffer(args[1], &room, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    ssize_t got;
    int failure;
    Py_BEGIN_ALLOW_THREADS
    got = recv(file, room.buf, (size_t)room.len, 0);
    failure = errno;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&room);
    return received(got, failure);
}

const char set_patience_doc[] =
    "set_patience($module, sock, milliseconds, /)\n--\n\n"
    "How long ``receive_blocking`` waits; -1 is without end. Raises ``OSError``.";

PyObject *set_patience(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    (void)module;
    if (given != 2) {
        PyErr_SetString(PyExc_TypeError, "set_patience(sock, milliseconds)");
        return NULL;
    }
    int file = PyObject_AsFileDescriptor(args[0]);
    long milliseconds = PyLong_AsLong(args[1]);
    if (file < 0 || PyErr_Occurred()) {
        return NULL;
    }
    struct timeval time = {0, 0};  /* without end */
    if (milliseconds >= 0) {
        time.tv_sec = milliseconds / 1000;
        time.tv_usec = milliseconds == 0 ? 1 : milliseconds % 1000 * 1000;
    }
    if (setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

const char offer_doc[] =
    "offer($module, sock, part, /)\n--\n\n"
    "Send ``part`` over a connection that is quiet: how many bytes it took, now. 0 also if something\n"
    "has come that nobody has read, an end or an error too, which is then to be looked at.";

/* The GIL is kept, as in exchange.c: nothing waits here. */
PyObject *offer(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    (void)module;
    if (given != 2 || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "offer(sock, part)");
        return NULL;
    }
    int file = PyObject_AsFileDescriptor(args[0]);
    if (file < 0) {
        return NULL;
    }
    char first;
    ssize_t sent = 0;
    if (recv(file, &first, 1, MSG_PEEK | MSG_DONTWAIT) < 0
        && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        sent = send(file, PyBytes_AS_STRING(args[1]), (size_t)PyBytes_GET_SIZE(args[1]),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return PyLong_FromSsize_t(sent < 0 ? 0 : sent);
}
