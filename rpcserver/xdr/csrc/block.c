/* Memory that a large fragment is read into: it becomes a bytes object without a copy, or is used
   again, so that the kernel need not clear new memory for each. */

#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *bytes;     /* NULL: it was taken */
    Py_ssize_t size;     /* that much of it is in use */
    Py_ssize_t exports;
} Block;

PyDoc_STRVAR(block_doc,
    "Block(size)\n--\n\n"
    "A writable buffer of ``size`` bytes, whose memory is none until it is written to.");

static PyObject *block_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"size", NULL};
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n", names, &size)) {
        return NULL;
    }
    /* One of a byte or none may be shared by the interpreter. */
    if (size < 2) {
        PyErr_SetString(PyExc_ValueError, "a block has two bytes at least");
        return NULL;
    }
    Block *self = (Block *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->bytes = PyBytes_FromStringAndSize(NULL, size);
    self->size = size;
    if (self->bytes == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void block_dealloc(Block *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(self->bytes);
    type->tp_free(self);
    Py_DECREF(type);
}

static int block_getbuffer(Block *self, Py_buffer *view, int flags)
{
    if (self->bytes == NULL) {
        PyErr_SetString(PyExc_BufferError, "the block was taken");
        return -1;
    }
    int result = PyBuffer_FillInfo(view, (PyObject *)self, PyBytes_AS_STRING(self->bytes),
                                   self->size, 0, flags);
    self->exports += result == 0;
    return result;
}

static void block_releasebuffer(Block *self, Py_buffer *view)
{
    (void)view;
    self->exports--;
}

PyDoc_STRVAR(take_doc,
    "take($self, /)\n--\n\n"
    "The bytes, which nobody may write to from now on. Raises ``BufferError`` while there is a\n"
    "view of the block.");

static PyObject *block_take(Block *self, PyObject *ignored)
{
    (void)ignored;
    if (self->bytes == NULL || self->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "the block is in use, or was taken");
        return NULL;
    }
    PyObject *bytes = self->bytes;
    if (self->size != PyBytes_GET_SIZE(bytes)) {
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(bytes), self->size);
    }
    self->bytes = NULL;
    return bytes;
}

PyDoc_STRVAR(reuse_doc,
    "reuse($self, size, /)\n--\n\n"
    "Be a block of another size, with whatever bytes are in it. Raises ``BufferError`` while there\n"
    "is a view of the block.");

static PyObject *block_reuse(Block *self, PyObject *number)
{
    Py_ssize_t size = PyLong_AsSsize_t(number);
    if (size == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (size < 2 || self->bytes == NULL || self->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "the block is in use, or was taken");
        return NULL;
    }
    if (size > PyBytes_GET_SIZE(self->bytes)) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
        if (bytes == NULL) {
            return NULL;
        }
        Py_SETREF(self->bytes, bytes);
    }
    self->size = size;
    Py_RETURN_NONE;
}

static PyMethodDef block_methods[] = {
    {"reuse", (PyCFunction)block_reuse, METH_O, reuse_doc},
    {"take", (PyCFunction)block_take, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot block_slots[] = {
    {Py_tp_doc, (void *)block_doc},
    {Py_tp_new, block_new},
    {Py_tp_dealloc, block_dealloc},
    {Py_tp_methods, block_methods},
    {Py_bf_getbuffer, block_getbuffer},
    {Py_bf_releasebuffer, block_releasebuffer},
    {0, NULL},
};

PyType_Spec block_spec = {
    .name = "rpcserver.xdr._native.Block",
    .basicsize = sizeof(Block),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = block_slots,
};
