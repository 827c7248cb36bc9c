/* A client's calls: how they are made, and the plain replies that end them, as rpc/pending.py has
   them. At whatever is not plain it stops, and the engine in Python looks at it. */

#include "calls.h"

#define REPLY 24 /* bytes of a plain reply before its results */

typedef struct {
    PyObject_HEAD
    PyObject *procedure;
    PyObject *framed;    /* the message behind its mark, as a stream has it: bytes */
    PyObject *open_reply;
    PyObject *value;
    PyObject *error;
    PyObject *codec;     /* of the result; NULL: its reply is never plain */
    unsigned int xid;
    char resend;
    char lenient;
    char oneway;
    char done;
} Pending;

PyDoc_STRVAR(pending_doc,
    "Pending(xid, procedure, message, open_reply, resend, lenient, oneway)\n--\n\n"
    "As ``rpc.pending.PythonPending``.");

static void put_mark(char *at, Py_ssize_t size)
{
    store32(at, LAST | (uint32_t)size); /* of more than 2 GiB nobody uses it */
}

static PyObject *pending_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"xid",    "procedure", "message", "open_reply",
                            "resend", "lenient",   "oneway",  NULL};
    PyObject *procedure, *message, *open_reply = Py_None;
    unsigned int xid;
    int resend = 0, lenient = 0, oneway = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "IOS|Oppp", names, &xid, &procedure, &message,
                                     &open_reply, &resend, &lenient, &oneway)) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(message);
    PyObject *framed = PyBytes_FromStringAndSize(NULL, size + 4);
    Pending *self = framed == NULL ? NULL : (Pending *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(framed);
    }
    else {
        put_mark(PyBytes_AS_STRING(framed), size);
        memcpy(PyBytes_AS_STRING(framed) + 4, PyBytes_AS_STRING(message), (size_t)size);
        self->xid = xid;
        self->procedure = Py_NewRef(procedure);
        self->framed = framed;
        self->open_reply = open_reply == Py_None ? NULL : Py_NewRef(open_reply);
        self->resend = (char)resend;
        self->lenient = (char)lenient;
        self->oneway = (char)oneway;
    }
    return (PyObject *)self;
}

static int pending_traverse(Pending *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->procedure);
    Py_VISIT(self->open_reply);
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->codec);
    return 0;
}

static int pending_clear(Pending *self)
{
    Py_CLEAR(self->procedure);
    Py_CLEAR(self->framed);
    Py_CLEAR(self->open_reply);
    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->codec);
    return 0;
}

static void pending_dealloc(Pending *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    pending_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *pending_message(Pending *self, void *closure)
{
    (void)closure;
    if (self->framed == NULL) {
        PyErr_SetString(PyExc_AttributeError, "message");
        return NULL;
    }
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self->framed) + 4,
                                     PyBytes_GET_SIZE(self->framed) - 4);
}

static PyGetSetDef pending_getset[] = {
    {"message", (getter)pending_message, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef pending_members[] = {
    {"procedure", T_OBJECT, offsetof(Pending, procedure), 0, NULL},
    {"framed", T_OBJECT_EX, offsetof(Pending, framed), READONLY, NULL},
    {"open_reply", T_OBJECT, offsetof(Pending, open_reply), 0, NULL},
    {"value", T_OBJECT, offsetof(Pending, value), 0, NULL},
    {"error", T_OBJECT, offsetof(Pending, error), 0, NULL},
    {"xid", T_UINT, offsetof(Pending, xid), 0, NULL},
    {"resend", T_BOOL, offsetof(Pending, resend), 0, NULL},
    {"lenient", T_BOOL, offsetof(Pending, lenient), 0, NULL},
    {"oneway", T_BOOL, offsetof(Pending, oneway), 0, NULL},
    {"done", T_BOOL, offsetof(Pending, done), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot pending_slots[] = {
    {Py_tp_doc, (void *)pending_doc},
    {Py_tp_new, pending_new},
    {Py_tp_traverse, pending_traverse},
    {Py_tp_clear, pending_clear},
    {Py_tp_dealloc, pending_dealloc},
    {Py_tp_members, pending_members},
    {Py_tp_getset, pending_getset},
    {0, NULL},
};

PyType_Spec pending_spec = {
    .name = "rpcserver.xdr._native.Pending",
    .basicsize = sizeof(Pending),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pending_slots,
};

/* --- a call --------------------------------------------------------------------------------- */

const char begin_call_doc[] =
    "begin_call($module, cls, way, xid, arguments, resend, lenient, oneway, /)\n--\n\n"
    "As ``rpc.pending.python_begin_call``.";

/* The message behind its mark: what stands before the arguments, with the xid, and they. */
static PyObject *make_message(State *state, PyObject *head, Codec *codec, uint32_t xid,
                              PyObject *arguments)
{
    Writer w;
    writer_init(&w, state);
    w.base = PyBytes_GET_SIZE(head);
    char *at = writer_take(&w, w.base);
    if (at != NULL) {
        memcpy(at, PyBytes_AS_STRING(head), (size_t)w.base);
        store32(at + 4, xid);
        if (pack_value(codec->root, &w, arguments, state->max_depth) == 0) {
            put_mark(w.data, w.pos - 4);
            return writer_finish(&w);
        }
    }
    writer_clear(&w);
    return NULL;
}

PyObject *begin_call(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(module);
    PyTypeObject *cls = given == 7 ? (PyTypeObject *)args[0] : NULL;
    PyObject *way = cls == NULL ? NULL : args[1];
    if (cls == NULL || !PyType_Check(args[0]) || !PyType_IsSubtype(cls, state->pending_type)
        || !PyTuple_Check(way) || PyTuple_GET_SIZE(way) != 6
        || !PyBytes_Check(PyTuple_GET_ITEM(way, 2)) || PyBytes_GET_SIZE(PyTuple_GET_ITEM(way, 2)) < 8
        || !Py_IS_TYPE(PyTuple_GET_ITEM(way, 3), state->codec_type)) {
        PyErr_SetString(PyExc_TypeError,
                        "begin_call(cls, way, xid, arguments, resend, lenient, oneway)");
        return NULL;
    }
    Codec *codec = (Codec *)PyTuple_GET_ITEM(way, 3);
    unsigned long xid = PyLong_AsUnsignedLong(args[2]);
    int resend = PyObject_IsTrue(args[4]), lenient = PyObject_IsTrue(args[5]);
    int oneway = PyObject_IsTrue(args[6]);
    if (resend < 0 || lenient < 0 || oneway < 0 || PyErr_Occurred()) {
        return NULL;
    }
    if (codec->root == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the codec is being collected");
        return NULL;
    }
    PyObject *framed =
        make_message(state, PyTuple_GET_ITEM(way, 2), codec, (uint32_t)xid, args[3]);
    Pending *self = framed == NULL ? NULL : (Pending *)cls->tp_alloc(cls, 0);
    if (self == NULL) {
        Py_XDECREF(framed);
        return NULL;
    }
    self->xid = (uint32_t)xid;
    self->procedure = Py_NewRef(PyTuple_GET_ITEM(way, 1));
    self->framed = framed;
    PyObject *open_reply = PyTuple_GET_ITEM(way, 5);
    self->open_reply = open_reply == Py_None ? NULL : Py_NewRef(open_reply);
    PyObject *result = PyTuple_GET_ITEM(way, 4);
    self->codec = Py_IS_TYPE(result, state->codec_type) ? Py_NewRef(result) : NULL;
    self->resend = (char)resend;
    self->lenient = (char)lenient;
    self->oneway = (char)oneway;
    return (PyObject *)self;
}

/* --- replies -------------------------------------------------------------------------------- */

/* 1: the reply ended ``*ended``, a new reference, or NULL if nobody waits for it; 0: it is not
   plain; -1: an exception. */
static int settle(State *state, PyObject *waiting, const unsigned char *record, Py_ssize_t size,
                  Pending **ended)
{
    /* REPLY, MSG_ACCEPTED, AUTH_NONE, SUCCESS */
    static const unsigned char success[REPLY - 4] = {0, 0, 0, 1};
    *ended = NULL;
    if (size < REPLY || memcmp(record + 4, success, REPLY - 4) != 0) {
        return 0;
    }
    PyObject *xid = PyLong_FromUnsignedLong(load32(record));
    if (xid == NULL) {
        return -1;
    }
    Pending *pending = (Pending *)PyDict_GetItemWithError(waiting, xid);
    int outcome = 0;
    if (pending == NULL) {
        outcome = PyErr_Occurred() ? -1 : 1;
    }
    else if (PyObject_TypeCheck(pending, state->pending_type)) {
        Py_INCREF(pending);
        Codec *codec = (Codec *)pending->codec;
        if (codec != NULL && codec->root != NULL && !codec->custom && !pending->lenient) {
            Reader r = {state, record, REPLY, size, NULL, 0, 0};
            PyObject *value = unpack_value(codec->root, &r, state->max_depth);
            if (value != NULL && r.pos == size) {
                if (PyDict_DelItem(waiting, xid) < 0) {
                    PyErr_Clear();  /* what was decoded has ended it in some other way */
                }
                Py_XSETREF(pending->value, value);
                pending->done = 1;
                *ended = (Pending *)Py_NewRef(pending);
                outcome = 1;
            }
            else if (value != NULL) {
                Py_DECREF(value);
            }
            else if (PyErr_ExceptionMatches(PyExc_Exception)) {
                PyErr_Clear();  /* who decodes it once more says what is wrong */
            }
            else {
                outcome = -1;
            }
        }
        Py_DECREF(pending);
    }
    Py_DECREF(xid);
    return outcome;
}

const char settle_stream_doc[] =
    "settle_stream($module, waiting, data, start, end, max_record, /)\n--\n\n"
    "As ``rpc.pending.python_settle_stream``.";

PyObject *settle_stream(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(module);
    if (given != 5 || !PyDict_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "settle_stream(waiting, data, start, end, max_record)");
        return NULL;
    }
    Py_ssize_t start = PyLong_AsSsize_t(args[2]), end = PyLong_AsSsize_t(args[3]);
    Py_ssize_t most = PyLong_AsSsize_t(args[4]);
    Py_buffer data;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *all = start < 0 || end > data.len ? NULL : PyList_New(0);
    int outcome = all == NULL ? -1 : 1;
    if (outcome < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "that is not within the data");
    }
    while (outcome == 1 && end - start >= 4 + REPLY) {
        const unsigned char *at = (const unsigned char *)data.buf + start;
        uint32_t mark = load32(at);
        Py_ssize_t size = mark & ~LAST;
        if (!(mark & LAST) || size > most || size > end - start - 4) {
            break;
        }
        Pending *ended;
        outcome = settle(state, args[0], at + 4, size, &ended);
        if (ended != NULL && PyList_Append(all, (PyObject *)ended) < 0) {
            outcome = -1;
        }
        Py_XDECREF(ended);
        start += outcome == 1 ? 4 + size : 0;
    }
    PyBuffer_Release(&data);
    PyObject *result = outcome < 0 ? NULL : Py_BuildValue("nO", start, all);
    Py_XDECREF(all);
    return result;
}

const char settle_record_doc[] =
    "settle_record($module, waiting, record, /)\n--\n\n"
    "As ``rpc.pending.python_settle_record``.";

PyObject *settle_record(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    State *state = PyModule_GetState(module);
    Py_buffer data;
    if (given != 2 || !PyDict_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "settle_record(waiting, record)");
        return NULL;
    }
    if (PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Pending *ended;
    int outcome = settle(state, args[0], data.buf, data.len, &ended);
    PyBuffer_Release(&data);
    if (outcome < 0) {
        return NULL;
    }
    return ended != NULL ? (PyObject *)ended : Py_NewRef(Py_None);
}
