/* Bytes become a value. Whatever the bytes are: a value, or an XdrError. */

#include "quick.h"

static PyObject *short_of(Reader *r, Py_ssize_t start, Py_ssize_t wanted)
{
    Py_ssize_t left = r->end > start ? r->end - start : 0;
    fail(r->state, start, "%zd bytes wanted and %zd left", wanted, left);
    return NULL;
}

static int has(Reader *r, Py_ssize_t wanted)
{
    return r->end - r->pos >= wanted;
}

static int deeper(Reader *r, int depth, Py_ssize_t offset)
{
    if (depth == 0) {
        return fail(r->state, offset, "nested more than %d deep", r->state->max_depth);
    }
    return depth - 1;
}

/* --- numbers -------------------------------------------------------------------------------- */

static PyObject *unpack_number(Opcode op, Reader *r)
{
    int size = number_size(op);
    if (!has(r, size)) {
        return short_of(r, r->pos, size);
    }
    const unsigned char *at = r->data + r->pos;
    r->pos += size;
    switch (op) {
    case OP_INT:
        return PyLong_FromLong((int32_t)load32(at));
    case OP_UNSIGNED_INT:
        return quick_unsigned(load32(at));
    case OP_HYPER:
        return quick_signed((int64_t)load64(at));
    case OP_UNSIGNED_HYPER:
        return quick_unsigned(load64(at));
    case OP_FLOAT:
        return PyFloat_FromDouble(PyFloat_Unpack4((const char *)at, 0));
    default: {
        uint64_t bits = load64(at);
        double value;
        memcpy(&value, &bits, 8);
        return PyFloat_FromDouble(value);
    }
    }
}

/* 0, 1, or -1 with XdrError. */
static int unpack_flag(Reader *r)
{
    if (!has(r, 4)) {
        short_of(r, r->pos, 4);
        return -1;
    }
    uint32_t word = load32(r->data + r->pos);
    r->pos += 4;
    if (word > 1) {
        return fail(r->state, r->pos - 4, "a bool is 0 or 1, not %u", (unsigned)word);
    }
    return (int)word;
}

static PyObject *unpack_enum(Node *node, Reader *r)
{
    if (!has(r, 4)) {
        return short_of(r, r->pos, 4);
    }
    int32_t number = (int32_t)load32(r->data + r->pos);
    r->pos += 4;
    PyObject *member = table_find(&node->table, number);
    if (member != NULL) {
        return Py_NewRef(member);
    }
    if (r->lenient) {
        return PyLong_FromLong(number);
    }
    PyObject *name = PyType_GetName(node->cls);
    if (name != NULL) {
        fail(r->state, r->pos - 4, "%U has no member %d", name, (int)number);
        Py_DECREF(name);
    }
    return NULL;
}

/* --- bytes and text ------------------------------------------------------------------------- */

/* ``size`` bytes and their padding: where they are, or NULL. */
static const char *take(Reader *r, Py_ssize_t size)
{
    Py_ssize_t start = r->pos;
    if (!has(r, size + padding(size))) {
        short_of(r, start, size + padding(size));
        return NULL;
    }
    const char *at = (const char *)r->data + start;
    r->pos += size + padding(size);
    for (Py_ssize_t n = size; n < size + padding(size); n++) {
        if (at[n] != 0) {
            fail(r->state, start + size, "the padding is not zero");
            return NULL;
        }
    }
    return at;
}

/* A count that is no more than ``limit``, or -1. */
static Py_ssize_t unpack_count(Reader *r, uint32_t limit, const char *unit)
{
    if (!has(r, 4)) {
        short_of(r, r->pos, 4);
        return -1;
    }
    uint32_t count = load32(r->data + r->pos);
    r->pos += 4;
    if (count > limit) {
        return fail(r->state, r->pos - 4, "%u %s exceed the limit of %u", (unsigned)count, unit,
                    (unsigned)limit);
    }
    return (Py_ssize_t)count;
}

static PyObject *unpack_bytes(Reader *r, Py_ssize_t size)
{
    Py_ssize_t start = r->pos;
    const char *at = take(r, size);
    if (at == NULL) {
        return NULL;
    }
    if (!r->buffers) {
        return PyBytes_FromStringAndSize(at, size);
    }
    PyObject *whole = PyMemoryView_FromObject(r->owner);
    PyObject *part = whole == NULL ? NULL : PySequence_GetSlice(whole, start, start + size);
    Py_XDECREF(whole);
    return part;
}

static PyObject *unpack_string(Node *node, Reader *r)
{
    Py_ssize_t size = unpack_count(r, node->limit, "bytes");
    Py_ssize_t start = r->pos;
    const char *at = size < 0 ? NULL : take(r, size);
    if (at == NULL) {
        return NULL;
    }
    if (node->encoding == NULL) {
        PyObject *text = quick_ascii(at, size);
        if (text != NULL || PyErr_Occurred()) {
            return text;
        }
        return PyUnicode_DecodeUTF8(at, size, "surrogateescape");
    }
    PyObject *text = PyUnicode_Decode(at, size, node->encoding, "surrogateescape");
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        fail(r->state, start, "the bytes are no %s", node->encoding);
    }
    return text;
}

/* --- what has parts ------------------------------------------------------------------------- */

static PyObject *unpack_elements(Node *element, Reader *r, Py_ssize_t count, int depth)
{
    PyObject *list = PyList_New(count);
    if (list == NULL) {
        return NULL;
    }
    /* Code that runs for an element must not find a list with holes: gc.get_objects() does. */
    PyObject_GC_UnTrack(list);
    for (Py_ssize_t n = 0; n < count; n++) {
        PyObject *item = unpack_value(element, r, depth);
        if (item == NULL) {
            within_index(r->state, n);
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, n, item);
    }
    PyObject_GC_Track(list);
    return list;
}

static PyObject *unpack_fixed_array(Node *node, Reader *r, int depth)
{
    Py_ssize_t count = node->limit;
    int size = number_size(node->element->op);
    if (size && has(r, count * size)) {
        return unpack_numbers(node->element, r, count);
    }
    /* A list of them all is not made before they are known to be there. */
    if (node->element->op == OP_VOID || count <= r->end - r->pos) {
        return unpack_elements(node->element, r, count, depth);
    }
    PyObject *list = PyList_New(0);
    for (Py_ssize_t n = 0; list != NULL && n < count; n++) {
        PyObject *item = unpack_value(node->element, r, depth);
        if (item == NULL) {
            within_index(r->state, n);
        }
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *unpack_array(Node *node, Reader *r, int depth)
{
    Py_ssize_t count = unpack_count(r, node->limit, "elements");
    if (count < 0) {
        return NULL;
    }
    Py_ssize_t start = r->pos, left = r->end - start;
    int too_many = node->least ? count > left / node->least : count > (Py_ssize_t)r->state->max_empty;
    if (too_many) {
        fail(r->state, start - 4, "%zd elements do not fit into the %zd bytes left", count, left);
        return NULL;
    }
    depth = deeper(r, depth, start - 4);
    if (depth < 0) {
        return NULL;
    }
    return number_size(node->element->op) ? unpack_numbers(node->element, r, count)
                                          : unpack_elements(node->element, r, count, depth);
}

static PyObject *unpack_optional(Node *node, Reader *r, int depth)
{
    int there = unpack_flag(r);
    if (there < 0) {
        return NULL;
    }
    if (!there) {
        Py_RETURN_NONE;
    }
    depth = deeper(r, depth, r->pos - 4);
    return depth < 0 ? NULL : unpack_value(node->element, r, depth);
}

static PyObject *unpack_linked_list(Node *node, Reader *r, int depth)
{
    depth = deeper(r, depth, r->pos);
    PyObject *list = depth < 0 ? NULL : PyList_New(0);
    if (list == NULL) {
        return NULL;
    }
    for (;;) {
        int more = node->nonempty && PyList_GET_SIZE(list) == 0 ? 1 : unpack_flag(r);
        if (more == 0) {
            return list;
        }
        PyObject *item = more < 0 ? NULL : unpack_value(node->element, r, depth);
        if (item == NULL) {
            within_index(r->state, PyList_GET_SIZE(list));
        }
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_XDECREF(item);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(item);
    }
}

static PyObject *unpack_field(Node *node, Reader *r, int depth, Py_ssize_t n)
{
    PyObject *value = unpack_value(node->fields[n], r, depth);
    if (value == NULL) {
        within(r->state, PyTuple_GET_ITEM(node->names, n));
    }
    return value;
}

/* An instance that its class's own __init__ makes. */
static PyObject *unpack_by_init(Node *node, Reader *r, int depth)
{
    PyObject **values = PyMem_Calloc((size_t)node->count + 1, sizeof(PyObject *));
    if (values == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t n = 0;
    PyObject *made = NULL;
    while (n < node->count && (values[n] = unpack_field(node, r, depth, n)) != NULL) {
        n++;
    }
    if (n == node->count) {
        made = PyObject_Vectorcall((PyObject *)node->cls, values, (size_t)n, NULL);
    }
    while (n > 0) {
        Py_DECREF(values[--n]);
    }
    PyMem_Free(values);
    return made;
}

static PyObject *unpack_struct(Node *node, Reader *r, int depth)
{
    if (node->slots == NULL) {
        return unpack_by_init(node, r, depth);
    }
    PyObject *made = node->cls->tp_alloc(node->cls, 0);
    if (made == NULL) {
        return NULL;
    }
    for (Py_ssize_t n = 0; n < node->count; n++) {
        PyObject *value = quick_unpack(node->fields[n], r);
        if (value == NULL && (PyErr_Occurred() || (value = unpack_field(node, r, depth, n)) == NULL)) {
            Py_DECREF(made);
            return NULL;
        }
        *(PyObject **)((char *)made + node->slots[n]) = value;
    }
    return made;
}

/* The instance of an arm; takes both references. */
static PyObject *make_arm(Node *node, Arm *arm, PyObject *label, PyObject *payload)
{
    PyObject *made;
    if (arm->plain) {
        made = arm->cls->tp_alloc(arm->cls, 0);
        if (made != NULL) {
            if (arm->carries) {
                *(PyObject **)((char *)made + arm->tag_at) = Py_NewRef(label);
            }
            if (payload != NULL) {
                *(PyObject **)((char *)made + arm->payload_at) = Py_NewRef(payload);
            }
        }
    }
    else {
        PyObject *values[2] = {payload, label};
        PyObject *names = arm->carries ? PyTuple_Pack(1, node->names) : NULL;
        if (arm->carries && names == NULL) {
            made = NULL;
        }
        else {
            Py_ssize_t given = payload != NULL;
            made = PyObject_Vectorcall((PyObject *)arm->cls, values + (1 - given), (size_t)given,
                                       names);
        }
        Py_XDECREF(names);
    }
    Py_DECREF(label);
    Py_XDECREF(payload);
    return made;
}

static PyObject *unknown_arm(Node *node, Reader *r, PyObject *label)
{
    if (r->lenient) {
        PyObject *number = PyNumber_Long(label);
        PyObject *arm = number == NULL ? NULL : PyObject_CallOneArg(r->state->unknown_arm, number);
        Py_XDECREF(number);
        return arm;
    }
    fail(r->state, r->pos - 4, "%U has no case %R", node->object, label);
    within(r->state, node->names);
    return NULL;
}

static PyObject *unpack_union(Node *node, Reader *r, int depth)
{
    PyObject *label = unpack_value(node->element, r, depth);
    if (label == NULL) {
        within(r->state, node->names);
        return NULL;
    }
    int64_t key;
    if (label_key(label, &key) < 0) {
        Py_DECREF(label);
        return NULL;
    }
    Arm *arm = table_find(&node->table, key);
    arm = arm == NULL ? node->other : arm;
    if (arm == NULL) {
        PyObject *unknown = unknown_arm(node, r, label);
        Py_DECREF(label);
        return unknown;
    }
    PyObject *payload = NULL;
    depth = deeper(r, depth, r->pos - 4);  /* an arm may hold the union itself */
    if (depth >= 0 && arm->payload_name != NULL) {
        payload = unpack_value(arm->payload, r, depth);
        if (payload == NULL) {
            within(r->state, arm->payload_name);
        }
    }
    if (depth < 0 || (payload == NULL && arm->payload_name != NULL)) {
        Py_DECREF(label);
        return NULL;
    }
    return make_arm(node, arm, label, payload);
}

static PyObject *unpack_arguments(Node *node, Reader *r, int depth)
{
    PyObject *values = PyTuple_New(node->count);
    if (values != NULL && node->count > 0) {
        PyObject_GC_UnTrack(values);  /* as a list's above; the empty one is everybody's */
    }
    for (Py_ssize_t n = 0; values != NULL && n < node->count; n++) {
        PyObject *value = unpack_value(node->fields[n], r, depth);
        if (value == NULL) {
            if (node->count > 1) {
                within_index(r->state, n);
            }
            Py_CLEAR(values);
        }
        else {
            PyTuple_SET_ITEM(values, n, value);
        }
    }
    if (values != NULL && node->count > 0) {
        PyObject_GC_Track(values);
    }
    return values;
}

static PyObject *unpack_custom(Node *node, Reader *r, int depth)
{
    State *state = r->state;
    PyObject *designator = PyObject_GetAttr(node->object, state->designator), *value = NULL;
    if (designator == NULL) {
        return NULL;
    }
    if (designator != Py_None) {
        /* It may hold the Custom itself. */
        PyObject *codec = PyObject_CallOneArg(state->codec_of, designator);
        depth = codec == NULL ? -1 : deeper(r, depth, r->pos);
        if (depth >= 0) {
            value = unpack_value(((Codec *)codec)->root, r, depth);
        }
        Py_XDECREF(codec);
    }
    else {
        PyObject *pair = PyObject_CallFunction(state->unpack_custom, "OOnO", node->object, r->owner,
                                               r->pos, r->lenient ? Py_True : Py_False);
        Py_ssize_t end = r->pos;
        if (pair != NULL && PyArg_ParseTuple(pair, "On", &value, &end)) {
            Py_INCREF(value);
            r->pos = end;
        }
        Py_XDECREF(pair);
    }
    Py_DECREF(designator);
    return value;
}

PyObject *unpack_value(Node *node, Reader *r, int depth)
{
    switch (node->op) {
    case OP_VOID:
        Py_RETURN_NONE;
    case OP_INT:
    case OP_UNSIGNED_INT:
    case OP_HYPER:
    case OP_UNSIGNED_HYPER:
    case OP_FLOAT:
    case OP_DOUBLE:
        return unpack_number(node->op, r);
    case OP_QUADRUPLE: {
        const char *at = take(r, 16);
        return at == NULL ? NULL : PyObject_CallFunction(r->state->quad, "y#", at, (Py_ssize_t)16);
    }
    case OP_BOOL: {
        int flag = unpack_flag(r);
        return flag < 0 ? NULL : PyBool_FromLong(flag);
    }
    case OP_ENUM:
        return unpack_enum(node, r);
    case OP_FIXED_OPAQUE:
        return unpack_bytes(r, node->limit);
    case OP_OPAQUE: {
        Py_ssize_t size = unpack_count(r, node->limit, "bytes");
        return size < 0 ? NULL : unpack_bytes(r, size);
    }
    case OP_STRING:
        return unpack_string(node, r);
    case OP_FIXED_ARRAY:
        return unpack_fixed_array(node, r, depth);
    case OP_ARRAY:
        return unpack_array(node, r, depth);
    case OP_OPTIONAL:
        return unpack_optional(node, r, depth);
    case OP_LINKED_LIST:
        return unpack_linked_list(node, r, depth);
    case OP_STRUCT:
        return unpack_struct(node, r, depth);
    case OP_UNION:
        return unpack_union(node, r, depth);
    case OP_ARGUMENTS:
        return unpack_arguments(node, r, depth);
    case OP_CUSTOM:
        return unpack_custom(node, r, depth);
    default:
        break;
    }
    PyErr_SetString(PyExc_SystemError, "no such opcode");
    return NULL;
}
