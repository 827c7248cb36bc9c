/* Waiting for what a socket brings, and reading it, in one step. */

#include "native.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

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
    if (waiting.fd < 0 || PyErr_Occurred() || PyObject_GetBuffer(args[1], &room, PyBUF_WRITABLE) < 0) {
        return NULL;
    }
    int limit = milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
    ssize_t got = -1;
    int failure = EAGAIN;
    Py_BEGIN_ALLOW_THREADS
    int found = poll(&waiting, 1, limit < 0 ? -1 : limit);
    if (found > 0) {
        got = recv(waiting.fd, room.buf, (size_t)room.len, MSG_DONTWAIT);
    }
    if (found != 0 && got < 0) {
        failure = errno;
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&room);
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
