/* The type Codec, and how its errors are made. */

#include "native.h"

int fail(State *state, Py_ssize_t offset, const char *format, ...)
{
    va_list parts;
    va_start(parts, format);
    PyObject *reason = PyUnicode_FromFormatV(format, parts);
    va_end(parts);
    PyObject *error =
        reason == NULL ? NULL : PyObject_CallFunction(state->xdr_error, "On", reason, offset);
    if (error != NULL) {
        PyErr_SetObject(state->xdr_error, error);
    }
    Py_XDECREF(reason);
    Py_XDECREF(error);
    return -1;
}

void within(State *state, PyObject *step)
{
    if (!PyErr_ExceptionMatches(state->xdr_error)) {
        return;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *same = PyObject_CallMethodOneArg(error, state->within, step);
    Py_XDECREF(same);
    if (same == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
        return;
    }
    PyErr_Restore(type, error, traceback);
}

void within_index(State *state, Py_ssize_t index)
{
    if (!PyErr_ExceptionMatches(state->xdr_error)) {
        return;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *step = PyUnicode_FromFormat("[%zd]", index);
    if (step == NULL) {
        PyErr_Clear();
    }
    PyErr_Restore(type, error, traceback);
    if (step != NULL) {
        within(state, step);
        Py_DECREF(step);
    }
}

void too_deep_for_the_stack(State *state, Py_ssize_t offset)
{
    if (PyErr_ExceptionMatches(PyExc_RecursionError)) {
        PyErr_Clear();
        fail(state, offset, "nested too deep for the stack");
    }
}

PyDoc_STRVAR(codec_doc,
    "Codec(schema)\n--\n\n"
    "Values of one type to bytes and back.");

static PyObject *codec_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"schema", NULL};
    PyObject *schema;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", names, &PyTuple_Type, &schema)) {
        return NULL;
    }
    Codec *self = (Codec *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = PyType_GetModuleState(type);
    self->schema = Py_NewRef(schema);
    self->kept = PyList_New(0);
    if (self->kept == NULL || compile_schema(self, schema) < 0
        || (self->custom && load_helpers(self->state) < 0)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int codec_traverse(Codec *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->schema);
    Py_VISIT(self->kept);
    return 0;
}

static int codec_clear(Codec *self)
{
    free_nodes(self);
    Py_CLEAR(self->schema);
    Py_CLEAR(self->kept);
    return 0;
}

static void codec_dealloc(Codec *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    codec_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int is_alive(Codec *self)
{
    if (self->root == NULL || self->state->xdr_error == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the codec is being collected");
        return 0;
    }
    return 1;
}

PyDoc_STRVAR(pack_doc,
    "pack($self, value, /)\n--\n\n"
    "The XDR encoding of ``value``. Raises ``XdrError`` for a value that the type refuses.");

static PyObject *codec_pack(Codec *self, PyObject *value)
{
    if (!is_alive(self)) {
        return NULL;
    }
    Writer w;
    writer_init(&w, self->state);
    if (pack_value(self->root, &w, value, self->state->max_depth) < 0) {
        too_deep_for_the_stack(w.state, w.pos - w.base);
        writer_clear(&w);
        return NULL;
    }
    return writer_finish(&w);
}

/* The value at ``start`` of ``data``, a bytes or another buffer in one piece; ``end`` is behind. */
static PyObject *unpack_from(Codec *self, PyObject *data, Py_ssize_t start, int lenient,
                             int buffers, int whole, Py_ssize_t *end)
{
    Py_buffer view;
    if (!is_alive(self) || (buffers && load_helpers(self->state) < 0)
        || PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Reader r = {self->state, view.buf, start, view.len, data, lenient, buffers};
    PyObject *value = NULL;
    if (start < 0 || start > view.len) {
        PyErr_Format(PyExc_ValueError, "a value starts at 0 to %zd, not at %zd", view.len, start);
    }
    else if ((value = unpack_value(self->root, &r, self->state->max_depth)) == NULL) {
        too_deep_for_the_stack(r.state, r.pos);
    }
    if (value != NULL && whole && r.pos != r.end) {
        fail(self->state, r.pos, "%zd bytes left over", r.end - r.pos);
        Py_CLEAR(value);
    }
    *end = r.pos;
    PyBuffer_Release(&view);
    return value;
}

PyDoc_STRVAR(unpack_doc,
    "unpack($self, data, start=0, *, lenient=False, buffers=False)\n--\n\n"
    "The value that is encoded in ``data`` at ``start``, and the offset behind it.\n\n"
    "``lenient``: a number that its enum does not have stays an ``int``, and a union of a label\n"
    "that it does not have is an ``UnknownArm``. ``buffers``: opaque data are a ``memoryview`` of\n"
    "``data``, arrays of numbers an ``array.array``. Raises ``XdrError`` for bytes that are not of\n"
    "the type, ``ValueError`` for a ``start`` outside of them.");

static PyObject *codec_unpack(Codec *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"data", "start", "lenient", "buffers", NULL};
    PyObject *data;
    Py_ssize_t start = 0, end;
    int lenient = 0, buffers = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n$pp", names, &data, &start, &lenient,
                                     &buffers)) {
        return NULL;
    }
    PyObject *value = unpack_from(self, data, start, lenient, buffers, 0, &end);
    return value == NULL ? NULL : Py_BuildValue("Nn", value, end);
}

PyDoc_STRVAR(unpack_whole_doc,
    "unpack_whole($self, data, start=0, /, *, buffers=False)\n--\n\n"
    "The value that ``data`` encodes from ``start`` to its end. Raises ``XdrError``.");

static PyObject *codec_unpack_whole(Codec *self, PyObject *const *args, Py_ssize_t count,
                                    PyObject *names)
{
    Py_ssize_t start = 0, end;
    int buffers = 0;
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count < 1 || count > 2 || named > 1
        || (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "buffers") != 0)) {
        PyErr_SetString(PyExc_TypeError, "unpack_whole(data, start=0, /, *, buffers=False)");
        return NULL;
    }
    if (count == 2) {
        start = PyNumber_AsSsize_t(args[1], PyExc_OverflowError);
        if (start == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (named && (buffers = PyObject_IsTrue(args[count])) < 0) {
        return NULL;
    }
    return unpack_from(self, args[0], start, 0, buffers, 1, &end);
}

static PyMethodDef codec_methods[] = {
    {"pack", (PyCFunction)codec_pack, METH_O, pack_doc},
    {"unpack", (PyCFunction)(void (*)(void))codec_unpack, METH_VARARGS | METH_KEYWORDS, unpack_doc},
    {"unpack_whole", (PyCFunction)(void (*)(void))codec_unpack_whole, METH_FASTCALL | METH_KEYWORDS,
     unpack_whole_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef codec_members[] = {
    {"schema", T_OBJECT, offsetof(Codec, schema), READONLY, "What it was made from."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot codec_slots[] = {
    {Py_tp_doc, (void *)codec_doc},
    {Py_tp_new, codec_new},
    {Py_tp_traverse, codec_traverse},
    {Py_tp_clear, codec_clear},
    {Py_tp_dealloc, codec_dealloc},
    {Py_tp_methods, codec_methods},
    {Py_tp_members, codec_members},
    {0, NULL},
};

PyType_Spec codec_spec = {
    .name = "rpcserver.xdr._native.Codec",
    .basicsize = sizeof(Codec),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = codec_slots,
};
