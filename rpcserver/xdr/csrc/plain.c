/* The type PlainCalls: the table of lines, and the calls that Python hands over. */

#include "calls.h"

PyDoc_STRVAR(answer_doc,
    "answer($self, data, start, end, about, until, /)\n--\n\n"
    "As ``PythonPlainCalls.answer``.");

static PyObject *calls_answer(Calls *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != 5) {
        PyErr_SetString(PyExc_TypeError, "answer(data, start, end, about, until)");
        return NULL;
    }
    Py_ssize_t start = PyLong_AsSsize_t(args[1]), end = PyLong_AsSsize_t(args[2]);
    double until = PyFloat_AsDouble(args[4]);
    Turn turn;
    Py_buffer data;
    if (PyErr_Occurred() || turn_begin(&turn, args[3]) < 0
        || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (start < 0 || end > data.len) {
        PyErr_SetString(PyExc_ValueError, "that is not within the data");
        PyBuffer_Release(&data);
        return NULL;
    }
    Writer out;
    writer_init(&out, self->state);
    out.gather = 1;
    long long last = until > 9e9 ? INT64_MAX : (long long)(until * 1e9);
    int outcome = answer_stream(self, &turn, data.buf, &start, end, &out, last);
    PyBuffer_Release(&data);
    turn_end(&turn);
    PyObject *replies = outcome < 0 ? NULL : writer_finish_parts(&out);
    if (replies == NULL) {
        Py_XDECREF(turn.ran);
        writer_clear(&out);
        return NULL;
    }
    PyObject *result = PyTuple_New(3), *position = PyLong_FromSsize_t(start);
    if (result == NULL || position == NULL) {
        Py_XDECREF(result);
        Py_XDECREF(position);
        Py_XDECREF(turn.ran);
        Py_DECREF(replies);
        return NULL;
    }
    PyTuple_SET_ITEM(result, 0, position);
    PyTuple_SET_ITEM(result, 1, replies);
    PyTuple_SET_ITEM(result, 2, turn.ran == NULL ? Py_NewRef(Py_None) : turn.ran);
    return result;
}

PyDoc_STRVAR(answer_one_doc,
    "answer_one($self, record, about, marked, /)\n--\n\n"
    "As ``PythonPlainCalls.answer_one``.");

static PyObject *calls_answer_one(Calls *self, PyObject *const *args, Py_ssize_t given)
{
    if (given != 3) {
        PyErr_SetString(PyExc_TypeError, "answer_one(record, about, marked)");
        return NULL;
    }
    int marked = PyObject_IsTrue(args[2]);
    Turn turn;
    Py_buffer data;
    if (marked < 0 || turn_begin(&turn, args[1]) < 0
        || PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Writer out;
    writer_init(&out, self->state);
    out.gather = 1;
    int outcome = answer_record(self, &turn, data.buf, data.len, &out, marked);
    PyBuffer_Release(&data);
    turn_end(&turn);
    if (outcome == 1) {
        return writer_finish_parts(&out);
    }
    writer_clear(&out);
    if (outcome == 0) {
        Py_RETURN_NONE;
    }
    return turn.ran;
}

static int add_line(Calls *self, PyObject *line)
{
    PyObject *version, *procedure, *entry, *method;
    Py_ssize_t row;
    int oneway;
    if (!PyArg_ParseTuple(line, "OOOOnp", &entry, &version, &procedure, &method, &row, &oneway)) {
        return -1;
    }
    PyObject *prog = PyObject_GetAttrString(version, "_prog");
    PyObject *vers = PyObject_GetAttrString(version, "_vers");
    PyObject *proc = PyObject_GetAttrString(procedure, "number");
    PyObject *arguments = PyObject_GetAttrString(procedure, "arguments_codec");
    PyObject *result = PyObject_GetAttrString(procedure, "result_codec");
    int added = -1;
    if (prog != NULL && vers != NULL && proc != NULL && arguments != NULL && result != NULL) {
        unsigned long numbers[] = {PyLong_AsUnsignedLong(prog), PyLong_AsUnsignedLong(vers),
                                   PyLong_AsUnsignedLong(proc)};
        if (PyErr_Occurred()) {
        }
        else if (!Py_IS_TYPE(arguments, self->state->codec_type)
                 || !Py_IS_TYPE(result, self->state->codec_type)) {
            PyErr_SetString(PyExc_TypeError, "plain calls have native codecs");
        }
        else if (row < 0 || (row + self->seconds_cell) * 8 >= self->cells.len) {
            PyErr_SetString(PyExc_ValueError, "no such row of counters");
        }
        else if (((Codec *)arguments)->custom || ((Codec *)arguments)->root->op != OP_ARGUMENTS
                 || ((Codec *)arguments)->root->count > MAX_ARGUMENTS) {
            added = 0;  /* the long way is for these */
        }
        else {
            Line *free = find_line(self, (uint32_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2]);
            if (free->entry == NULL) {
                *free = (Line){(uint32_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2],
                               Py_NewRef(entry), Py_NewRef(version), Py_NewRef(procedure),
                               method == Py_None ? NULL : Py_NewRef(method),
                               (Codec *)Py_NewRef(arguments), (Codec *)Py_NewRef(result), row, oneway};
            }
            added = 0;
        }
    }
    Py_XDECREF(prog);
    Py_XDECREF(vers);
    Py_XDECREF(proc);
    Py_XDECREF(arguments);
    Py_XDECREF(result);
    return added;
}

PyDoc_STRVAR(calls_doc,
    "PlainCalls(lines, counters, trailing, flavor_none, clock)\n--\n\n"
    "As ``rpc.plain.PythonPlainCalls``.");

static int prepare(Calls *self, PyObject *lines, PyObject *counters)
{
    PyObject *call_type = NULL, *cells = NULL, *plain = PyImport_ImportModule("rpcserver.rpc.plain");
    PyObject *slow = NULL, *batch = NULL, *seconds_cell = NULL;
    Py_ssize_t size = 8, count = PySequence_Size(lines);
    int result = -1;
    if (plain != NULL && count >= 0 && (call_type = PyObject_GetAttrString(plain, "Call")) != NULL
        && (cells = PyObject_GetAttrString(counters, "cells")) != NULL
        && (seconds_cell = PyObject_GetAttrString(counters, "seconds_column")) != NULL
        && (slow = PyObject_GetAttrString(plain, "SLOW")) != NULL
        && (batch = PyObject_GetAttrString(plain, "BATCH")) != NULL) {
        while (size < 2 * count + 2) {
            size *= 2;
        }
        self->call_type = (PyTypeObject *)Py_NewRef(call_type);
        self->slow = (long long)(PyFloat_AsDouble(slow) * 1e9);
        self->batch = PyLong_AsSsize_t(batch);
        self->seconds_cell = PyLong_AsSsize_t(seconds_cell);
        self->mask = (uint32_t)size - 1;
        self->lines = PyMem_Calloc((size_t)size, sizeof(Line));
        if (self->lines == NULL) {
            PyErr_NoMemory();
        }
        else if (!PyErr_Occurred()
                 && PyObject_GetBuffer(cells, &self->cells, PyBUF_WRITABLE | PyBUF_ND) == 0) {
            result = 0;
        }
    }
    Py_XDECREF(plain);
    Py_XDECREF(call_type);
    Py_XDECREF(cells);
    Py_XDECREF(slow);
    Py_XDECREF(batch);
    Py_XDECREF(seconds_cell);
    return result;
}

static PyObject *calls_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"lines", "counters", "trailing", "flavor_none", "clock", NULL};
    PyObject *lines, *counters, *clock;
    int trailing, flavor_none;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOppO", names, &lines, &counters, &trailing,
                                     &flavor_none, &clock)) {
        return NULL;
    }
    Calls *self = (Calls *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = PyType_GetModuleState(type);
    self->trailing = trailing;
    self->flavor_none = flavor_none;
    int result = prepare(self, lines, counters);
    PyObject *iterator = result < 0 ? NULL : PyObject_GetIter(lines), *line;
    while (iterator != NULL && (line = PyIter_Next(iterator)) != NULL) {
        result = add_line(self, line);
        Py_DECREF(line);
        if (result < 0) {
            break;
        }
    }
    Py_XDECREF(iterator);
    if (PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int calls_traverse(Calls *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->call_type);
    for (uint32_t n = 0; self->lines != NULL && n <= self->mask; n++) {
        Line *line = &self->lines[n];
        Py_VISIT(line->entry);
        Py_VISIT(line->version);
        Py_VISIT(line->procedure);
        Py_VISIT(line->method);
        Py_VISIT(line->arguments);
        Py_VISIT(line->result);
    }
    return 0;
}

static int calls_clear(Calls *self)
{
    Line *lines = self->lines;
    self->lines = NULL;
    for (uint32_t n = 0; lines != NULL && n <= self->mask; n++) {
        Py_CLEAR(lines[n].entry);
        Py_CLEAR(lines[n].version);
        Py_CLEAR(lines[n].procedure);
        Py_CLEAR(lines[n].method);
        Py_CLEAR(lines[n].arguments);
        Py_CLEAR(lines[n].result);
    }
    PyMem_Free(lines);
    Py_CLEAR(self->call_type);
    if (self->cells.obj != NULL) {
        PyBuffer_Release(&self->cells);
    }
    return 0;
}

static void calls_dealloc(Calls *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    calls_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef calls_methods[] = {
    {"answer", (PyCFunction)(void (*)(void))calls_answer, METH_FASTCALL, answer_doc},
    {"answer_one", (PyCFunction)(void (*)(void))calls_answer_one, METH_FASTCALL, answer_one_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot calls_slots[] = {
    {Py_tp_doc, (void *)calls_doc},
    {Py_tp_new, calls_new},
    {Py_tp_traverse, calls_traverse},
    {Py_tp_clear, calls_clear},
    {Py_tp_dealloc, calls_dealloc},
    {Py_tp_methods, calls_methods},
    {0, NULL},
};

PyType_Spec calls_spec = {
    .name = "rpcserver.xdr._native.PlainCalls",
    .basicsize = sizeof(Calls),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = calls_slots,
};
