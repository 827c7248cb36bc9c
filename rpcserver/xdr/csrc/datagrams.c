/* The datagrams that are there, read with one call of the system and answered with another. */

#define _GNU_SOURCE
#include "calls.h"

#ifdef __linux__

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define BATCH 32          /* datagrams of one turn; others wait in the socket's queue */
#define CONTROL 64        /* bytes of ancillary data */
#define MAX_ABOUTS 1024   /* callers that are remembered */

typedef struct {
    PyObject_HEAD
    Calls *calls;
    int file;
    Py_ssize_t size;      /* of the largest datagram */
    PyObject *make_about; /* (address, ancillary) -> About */
    PyObject *rest;       /* told what is left for others */
    Py_ssize_t taken;
    PyObject *abouts;     /* address and ancillary data, as the system has them -> About */
    char *buffers;        /* memory that nobody has written to is none */
    int busy;
    int used;             /* headers that the last turn has changed */
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_parts[BATCH], out_parts[BATCH];
    struct sockaddr_storage addresses[BATCH];
    char control[BATCH][CONTROL];
} Datagrams;

/* --- what Python's sockets make of them ------------------------------------------------------ */

static PyObject *address_of(const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        return Py_BuildValue("si", text, (int)ntohs(in->sin_port));
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        return Py_BuildValue("siII", text, (int)ntohs(in->sin6_port), ntohl(in->sin6_flowinfo),
                             (unsigned)in->sin6_scope_id);
    }
    Py_RETURN_NONE;
}

static PyObject *ancillary_of(struct msghdr *header)
{
    PyObject *list = PyList_New(0);
    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); list != NULL && each != NULL;
         each = CMSG_NXTHDR(header, each)) {
        PyObject *item = Py_BuildValue("iiy#", each->cmsg_level, each->cmsg_type, CMSG_DATA(each),
                                       (Py_ssize_t)(each->cmsg_len - CMSG_LEN(0)));
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

/* What is known of a caller; borrowed from ``abouts``. */
static PyObject *about_of(Datagrams *self, struct msghdr *header)
{
    Py_ssize_t name = header->msg_namelen, control = (Py_ssize_t)header->msg_controllen;
    PyObject *key = PyBytes_FromStringAndSize(NULL, name + control);
    if (key == NULL) {
        return NULL;
    }
    memcpy(PyBytes_AS_STRING(key), header->msg_name, (size_t)name);
    memcpy(PyBytes_AS_STRING(key) + name, header->msg_control, (size_t)control);
    PyObject *about = PyDict_GetItemWithError(self->abouts, key);
    if (about == NULL && !PyErr_Occurred()) {
        PyObject *address = address_of(header->msg_name), *ancillary = ancillary_of(header);
        if (address != NULL && ancillary != NULL) {
            about = PyObject_CallFunctionObjArgs(self->make_about, address, ancillary, NULL);
        }
        Py_XDECREF(address);
        Py_XDECREF(ancillary);
        if (about != NULL) {
            if (PyDict_GET_SIZE(self->abouts) >= MAX_ABOUTS) {
                PyDict_Clear(self->abouts);
            }
            int kept = PyDict_SetItem(self->abouts, key, about);
            Py_DECREF(about);
            about = kept < 0 ? NULL : about;
        }
    }
    Py_DECREF(key);
    return about;
}

/* One for Python: what came, where from, and the reply that could not be sent, or what came out of
   the call's method. */
static int leave(PyObject *left, struct mmsghdr *message, PyObject *reply)
{
    struct msghdr *header = &message->msg_hdr;
    PyObject *address = address_of(header->msg_name), *ancillary = ancillary_of(header);
    PyObject *item = address == NULL || ancillary == NULL
                         ? NULL
                         : Py_BuildValue("y#OiOO", header->msg_iov->iov_base,
                                         (Py_ssize_t)message->msg_len, ancillary,
                                         header->msg_flags, address, reply);
    int result = item == NULL ? -1 : PyList_Append(left, item);
    Py_XDECREF(address);
    Py_XDECREF(ancillary);
    Py_XDECREF(item);
    return result;
}

/* --- one turn -------------------------------------------------------------------------------- */

static void prepare(Datagrams *self)
{
    for (int n = 0; n < self->used; n++) {
        self->in_parts[n] = (struct iovec){self->buffers + n * self->size, (size_t)self->size};
        self->in[n].msg_len = 0;
        self->in[n].msg_hdr = (struct msghdr){
            .msg_name = &self->addresses[n],
            .msg_namelen = sizeof self->addresses[n],
            .msg_iov = &self->in_parts[n],
            .msg_iovlen = 1,
            .msg_control = self->control[n],
            .msg_controllen = CONTROL,
        };
    }
    self->used = 0;
}

/* A reply leaves from the address that its call came to, whatever the interface. */
static void reply_header(struct msghdr *header, struct iovec *part, struct msghdr *call)
{
    *header = *call;
    header->msg_iov = part;
    header->msg_flags = 0;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each != NULL; each = CMSG_NXTHDR(header, each)) {
        if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(each);
            info->ipi_ifindex = 0;
            info->ipi_addr.s_addr = 0;
        }
    }
}

/* Answer the datagrams from ``first`` on, until there are many bytes of replies: which one is next,
   or -1. ``replies`` are where those begin that were made, ``calls`` to which datagrams. */
static int answer_some(Datagrams *self, int first, int count, Writer *out, PyObject *left,
                       Place *replies, int *calls, int *made)
{
    int n = first;
    for (; n < count; n++) {
        struct msghdr *header = &self->in[n].msg_hdr;
        Turn turn;
        PyObject *about = header->msg_flags & MSG_TRUNC ? Py_None : about_of(self, header);
        if (about == NULL) {
            return -1;
        }
        int outcome = 0;
        replies[*made] = writer_place(out);
        if (about != Py_None) {
            Py_INCREF(about);
            if (turn_begin(&turn, about) < 0) {
                Py_DECREF(about);
                return -1;
            }
            outcome = answer_record(self->calls, &turn, self->in_parts[n].iov_base,
                                    self->in[n].msg_len, out, 0);
            turn_end(&turn);
            Py_DECREF(about);
        }
        if (outcome == 0 || outcome == 2) {
            PyObject *ran = outcome == 2 ? turn.ran : Py_NewRef(Py_None);
            outcome = leave(left, &self->in[n], ran);
            Py_DECREF(ran);
        }
        else if (outcome == 1 && out->pos > replies[*made].pos) {
            calls[(*made)++] = n;
        }
        if (outcome < 0) {
            return -1;
        }
        if (out->pos > self->size) {
            return n + 1;
        }
    }
    return n;
}

static int send_all(Datagrams *self, Writer *out, PyObject *left, const Place *replies,
                    const int *calls, int made)
{
    for (int n = 0; n < made; n++) {
        Py_ssize_t end = n + 1 < made ? replies[n + 1].pos : out->pos;
        self->out_parts[n] =
            (struct iovec){out->data + replies[n].pos, (size_t)(end - replies[n].pos)};
        reply_header(&self->out[n].msg_hdr, &self->out_parts[n], &self->in[calls[n]].msg_hdr);
    }
    int sent = 0;
    while (sent < made) {
        int now = sendmmsg(self->file, self->out + sent, (unsigned)(made - sent), MSG_DONTWAIT);
        if (now > 0) {
            sent += now;
            continue;
        }
        if (errno == EINTR) {
            if (PyErr_CheckSignals() < 0) {
                return -1;
            }
            continue;
        }
        PyObject *reply = PyBytes_FromStringAndSize(self->out_parts[sent].iov_base,
                                                    (Py_ssize_t)self->out_parts[sent].iov_len);
        int kept = reply == NULL ? -1 : leave(left, &self->in[calls[sent]], reply);
        Py_XDECREF(reply);
        if (kept < 0) {
            return -1;
        }
        sent++;
    }
    return 0;
}

static PyObject *datagrams_call(Datagrams *self, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a method asks for the datagrams behind its own call");
        return NULL;
    }
    prepare(self);
    int count;
    do {
        count = recvmmsg(self->file, self->in, BATCH, MSG_DONTWAIT, NULL);
    } while (count < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    if (count < 0) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            Py_RETURN_NONE;
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return hand_over(self->rest, raised());
    }
    self->used = count;
    self->busy = 1;
    PyObject *left = PyList_New(0);
    for (int n = 0; left != NULL && n < count;) {
        Writer out;
        Place replies[BATCH];
        int calls[BATCH], made = 0;
        writer_init(&out, self->calls->state);
        n = answer_some(self, n, count, &out, left, replies, calls, &made);
        if (n < 0 || send_all(self, &out, left, replies, calls, made) < 0) {
            Py_CLEAR(left);
        }
        writer_clear(&out);
    }
    self->busy = 0;
    if (left == NULL) {
        return NULL;
    }
    self->taken += count - PyList_GET_SIZE(left);
    if (PyList_GET_SIZE(left) == 0) {
        Py_DECREF(left);
        Py_RETURN_NONE;
    }
    return hand_over(self->rest, left);
}

/* --- the type -------------------------------------------------------------------------------- */

PyDoc_STRVAR(datagrams_doc,
    "Datagrams(calls, file, size, make_about, rest)\n--\n\n"
    "Called when there are datagrams: answers the plain ones among some of them. ``taken`` counts\n"
    "those.\n\n"
    "``calls`` are ``PlainCalls``, ``size`` what a datagram may have, and ``make_about(address,\n"
    "ancillary)`` gives the ``About`` of a caller, who is remembered. ``rest`` is called with a list\n"
    "of those that others must look at: data, ancillary data, flags, address, and ``None``, a reply\n"
    "that could not be sent, or what came out of the call's method; or with the ``OSError`` that\n"
    "came.");

static PyObject *datagrams_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"calls", "file", "size", "make_about", "rest", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *calls, *make_about, *rest;
    int file;
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!inOO", names, state->calls_type, &calls,
                                     &file, &size, &make_about, &rest)) {
        return NULL;
    }
    if (size < 1 || size > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "a datagram has from 1 to 1,048,576 bytes");
        return NULL;
    }
    Datagrams *self = (Datagrams *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->calls = (Calls *)Py_NewRef(calls);
    self->make_about = Py_NewRef(make_about);
    self->rest = Py_NewRef(rest);
    self->abouts = PyDict_New();
    self->file = file;
    self->size = size;
    self->used = BATCH;
    self->buffers = PyMem_RawMalloc((size_t)(BATCH * size));
    if (self->abouts == NULL || self->buffers == NULL) {
        Py_DECREF(self);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static int datagrams_traverse(Datagrams *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->calls);
    Py_VISIT(self->make_about);
    Py_VISIT(self->rest);
    Py_VISIT(self->abouts);
    return 0;
}

static int datagrams_clear(Datagrams *self)
{
    Py_CLEAR(self->calls);
    Py_CLEAR(self->make_about);
    Py_CLEAR(self->rest);
    Py_CLEAR(self->abouts);
    return 0;
}

static void datagrams_dealloc(Datagrams *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    datagrams_clear(self);
    PyMem_RawFree(self->buffers);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef datagrams_members[] = {
    {"taken", T_PYSSIZET, offsetof(Datagrams, taken), READONLY, "How many were answered."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot datagrams_slots[] = {
    {Py_tp_doc, (void *)datagrams_doc},
    {Py_tp_new, datagrams_new},
    {Py_tp_traverse, datagrams_traverse},
    {Py_tp_clear, datagrams_clear},
    {Py_tp_dealloc, datagrams_dealloc},
    {Py_tp_members, datagrams_members},
    {Py_tp_call, datagrams_call},
    {0, NULL},
};

PyType_Spec datagrams_spec = {
    .name = "rpcserver.xdr._native.Datagrams",
    .basicsize = sizeof(Datagrams),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = datagrams_slots,
};

#endif
