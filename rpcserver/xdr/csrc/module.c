/* The module: what it needs from Python is looked up when it is made, once for each interpreter. */

#include "native.h"

#ifndef SOURCE_HASH
#define SOURCE_HASH ""
#endif

static PyObject *attribute(const char *module, const char *name)
{
    PyObject *imported = PyImport_ImportModule(module);
    PyObject *value = imported == NULL ? NULL : PyObject_GetAttrString(imported, name);
    Py_XDECREF(imported);
    return value;
}

/* What only some types need, and costs something to import. */
int load_helpers(State *state)
{
    if (state->codec_of != NULL) {
        return 0;
    }
    Py_XSETREF(state->pack_custom, attribute("rpcserver.xdr.custom", "pack_custom"));
    Py_XSETREF(state->unpack_custom, attribute("rpcserver.xdr.custom", "unpack_custom"));
    Py_XSETREF(state->numbers, attribute("rpcserver.xdr.buffers", "numbers"));
    if (state->pack_custom == NULL || state->unpack_custom == NULL || state->numbers == NULL) {
        return -1;
    }
    state->codec_of = attribute("rpcserver.xdr.supplied", "native_codec_of");
    return state->codec_of == NULL ? -1 : 0;
}

static int limit(const char *name, long *value)
{
    PyObject *number = attribute("rpcserver.xdr.types", name);
    *value = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    return *value < 0 ? -1 : 0;
}

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

static int module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    long depth, empty;
    if ((state->xdr_error = attribute("rpcserver.errors", "XdrError")) == NULL
        || (state->quad = attribute("rpcserver.xdr.quad", "Quad")) == NULL
        || (state->unknown_arm = attribute("rpcserver.xdr.types", "UnknownArm")) == NULL
        || (state->slots_of = attribute("rpcserver.xdr.schema", "slots_of")) == NULL
        || (state->within = PyUnicode_InternFromString("within")) == NULL
        || (state->designator = PyUnicode_InternFromString("designator")) == NULL
        || (state->getitem = PyUnicode_InternFromString("__getitem__")) == NULL
        || limit("MAX_DEPTH", &depth) < 0 || limit("MAX_EMPTY", &empty) < 0
        || add_type(module, &codec_spec, &state->codec_type) < 0
        || add_type(module, &calls_spec, &state->calls_type) < 0
        || add_type(module, &block_spec, &state->block_type) < 0
        || add_type(module, &exchange_spec, &state->exchange_type) < 0
        || add_type(module, &pending_spec, &state->pending_type) < 0
#ifdef __linux__
        || add_type(module, &datagrams_spec, &state->datagrams_type) < 0
#endif
    ) {
        return -1;
    }
    state->max_depth = (int)depth;
    state->max_empty = (uint32_t)empty;
#define NAME(name) #name,
    static const char *const names[] = {OPCODES(NAME)};
#undef NAME
    PyObject *opcodes = PyTuple_New(OP_COUNT);
    for (int n = 0; opcodes != NULL && n < OP_COUNT; n++) {
        PyObject *name = PyUnicode_FromString(names[n]);
        if (name == NULL) {
            Py_CLEAR(opcodes);
            break;
        }
        PyTuple_SET_ITEM(opcodes, n, name);
    }
    int result = PyModule_AddObjectRef(module, "OPCODES", opcodes);
    Py_XDECREF(opcodes);
    return result < 0 ? -1 : PyModule_AddStringConstant(module, "SOURCE_HASH", SOURCE_HASH);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->codec_type);
    Py_VISIT(state->calls_type);
    Py_VISIT(state->block_type);
    Py_VISIT(state->exchange_type);
    Py_VISIT(state->datagrams_type);
    Py_VISIT(state->pending_type);
    Py_VISIT(state->xdr_error);
    Py_VISIT(state->quad);
    Py_VISIT(state->unknown_arm);
    Py_VISIT(state->slots_of);
    Py_VISIT(state->codec_of);
    Py_VISIT(state->pack_custom);
    Py_VISIT(state->unpack_custom);
    Py_VISIT(state->numbers);
    return 0;
}

static int module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->codec_type);
    Py_CLEAR(state->calls_type);
    Py_CLEAR(state->block_type);
    Py_CLEAR(state->exchange_type);
    Py_CLEAR(state->datagrams_type);
    Py_CLEAR(state->pending_type);
    Py_CLEAR(state->xdr_error);
    Py_CLEAR(state->quad);
    Py_CLEAR(state->unknown_arm);
    Py_CLEAR(state->slots_of);
    Py_CLEAR(state->codec_of);
    Py_CLEAR(state->pack_custom);
    Py_CLEAR(state->unpack_custom);
    Py_CLEAR(state->numbers);
    Py_CLEAR(state->within);
    Py_CLEAR(state->designator);
    Py_CLEAR(state->getitem);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(add_doc,
    "add($module, cells, index, amount, /)\n--\n\n"
    "Add to one of the 64-bit numbers in ``cells``, whoever else does so in this moment.");

static PyObject *add(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    (void)module;
    if (given != 3) {
        PyErr_SetString(PyExc_TypeError, "add(cells, index, amount)");
        return NULL;
    }
    Py_ssize_t index = PyLong_AsSsize_t(args[1]);
    unsigned long long amount = PyLong_AsUnsignedLongLong(args[2]);
    Py_buffer cells;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[0], &cells, PyBUF_WRITABLE | PyBUF_ND) < 0) {
        return NULL;
    }
    int there = index >= 0 && index < cells.len / 8;
    if (there) {
        __atomic_fetch_add((uint64_t *)cells.buf + index, amount, __ATOMIC_RELAXED);
    }
    PyBuffer_Release(&cells);
    if (!there) {
        PyErr_SetString(PyExc_IndexError, "no such cell");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"add", (PyCFunction)(void (*)(void))add, METH_FASTCALL, add_doc},
    {"receive", (PyCFunction)(void (*)(void))receive, METH_FASTCALL, receive_doc},
    {"receive_blocking", (PyCFunction)(void (*)(void))receive_blocking, METH_FASTCALL,
     receive_blocking_doc},
    {"set_patience", (PyCFunction)(void (*)(void))set_patience, METH_FASTCALL, set_patience_doc},
    {"offer", (PyCFunction)(void (*)(void))offer, METH_FASTCALL, offer_doc},
    {"begin_call", (PyCFunction)(void (*)(void))begin_call, METH_FASTCALL, begin_call_doc},
    {"settle_stream", (PyCFunction)(void (*)(void))settle_stream, METH_FASTCALL, settle_stream_doc},
    {"settle_record", (PyCFunction)(void (*)(void))settle_record, METH_FASTCALL, settle_record_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rpcserver.xdr._native",
    .m_doc = "The native codec (RFC 4506), and the plain path of a call (RFC 5531), in C.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module_def);
}
