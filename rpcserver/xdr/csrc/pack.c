/* A value becomes bytes. Offsets in errors are those of the byte that was to come next. */

#include "quick.h"

static Py_ssize_t offset(const Writer *w)
{
    return writer_length(w) - w->base;
}

/* ``before`` and ``what``, which may be NULL, say what it should have been. */
static int expected_object(Writer *w, const char *before, PyObject *what, PyObject *value)
{
    PyObject *name = PyType_GetName(Py_TYPE(value));
    if (name != NULL) {
        fail(w->state, offset(w), "expected %s%V, got %U", before, what, "", name);
        Py_DECREF(name);
    }
    return -1;
}

static int expected(Writer *w, const char *what, PyObject *value)
{
    return expected_object(w, what, NULL, value);
}

static int put32(Writer *w, uint32_t value)
{
    char *at = writer_take(w, 4);
    if (at == NULL) {
        return -1;
    }
    store32(at, value);
    return 0;
}

static int put64(Writer *w, uint64_t value)
{
    char *at = writer_take(w, 8);
    if (at == NULL) {
        return -1;
    }
    store64(at, value);
    return 0;
}

static int put_padded(Writer *w, const char *data, Py_ssize_t size)
{
    char *at = writer_take(w, size + padding(size));
    if (at == NULL) {
        return -1;
    }
    if (padding(size)) {
        store32(at + size + padding(size) - 4, 0);
    }
    memcpy(at, data, (size_t)size);
    return 0;
}

/* --- numbers -------------------------------------------------------------------------------- */

/* ``value`` by its __index__; NULL with XdrError if it has none. */
static PyObject *index_of(Writer *w, PyObject *value)
{
    PyObject *number = PyNumber_Index(value);
    if (number == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        expected(w, "an int", value);
    }
    return number;
}

static int out_of_range(Writer *w, PyObject *number, Opcode op)
{
    const char *low = "0", *high = "18446744073709551615";
    switch (op) {
    case OP_INT:
        low = "-2147483648";
        high = "2147483647";
        break;
    case OP_UNSIGNED_INT:
        high = "4294967295";
        break;
    case OP_HYPER:
        low = "-9223372036854775808";
        high = "9223372036854775807";
        break;
    default:
        break;
    }
    PyObject *text = PyObject_Str(number);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();  /* more digits than Python prints */
        return fail(w->state, offset(w), "a number of %zu bits is not between %s and %s",
                    _PyLong_NumBits(number), low, high);
    }
    fail(w->state, offset(w), "%U is not between %s and %s", text, low, high);
    Py_DECREF(text);
    return -1;
}

static int pack_integer(Opcode op, Writer *w, PyObject *value)
{
    PyObject *number = NULL;
    if (!PyLong_CheckExact(value)) {
        number = index_of(w, value);
        if (number == NULL) {
            return -1;
        }
        value = number;
    }
    int overflow, result = -1;
    long long small = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (!overflow && op == OP_INT && small >= INT32_MIN && small <= INT32_MAX) {
        result = put32(w, (uint32_t)(int32_t)small);
    }
    else if (!overflow && op == OP_UNSIGNED_INT && small >= 0 && small <= (long long)UINT32_MAX) {
        result = put32(w, (uint32_t)small);
    }
    else if (!overflow && (op == OP_HYPER || (op == OP_UNSIGNED_HYPER && small >= 0))) {
        result = put64(w, (uint64_t)small);
    }
    else if (overflow > 0 && op == OP_UNSIGNED_HYPER) {
        unsigned long long large = PyLong_AsUnsignedLongLong(value);
        if (large == (unsigned long long)-1 && PyErr_Occurred()) {
            PyErr_Clear();
            out_of_range(w, value, op);
        }
        else {
            result = put64(w, large);
        }
    }
    else {
        out_of_range(w, value, op);
    }
    Py_XDECREF(number);
    return result;
}

static int too_large(Writer *w, PyObject *value)
{
    PyErr_Clear();
    return fail(w->state, offset(w), "%R is too large for the type", value);
}

static int pack_floating(Opcode op, Writer *w, PyObject *value)
{
    double number;
    if (PyFloat_CheckExact(value)) {
        number = PyFloat_AS_DOUBLE(value);
    }
    else {
        PyNumberMethods *methods = Py_TYPE(value)->tp_as_number;
        if (PyUnicode_Check(value) || PyBytes_Check(value) || PyByteArray_Check(value)
            || methods == NULL || methods->nb_float == NULL) {
            return expected(w, "a float", value);
        }
        PyObject *made = PyNumber_Float(value);
        if (made == NULL) {
            if (PyErr_ExceptionMatches(PyExc_OverflowError)
                || PyErr_ExceptionMatches(PyExc_ValueError)
                || PyErr_ExceptionMatches(PyExc_TypeError)) {
                return too_large(w, value);
            }
            return -1;
        }
        number = PyFloat_AS_DOUBLE(made);
        Py_DECREF(made);
    }
    if (op == OP_DOUBLE) {
        uint64_t bits;
        memcpy(&bits, &number, 8);
        return put64(w, bits);
    }
    char single[4];
    if (PyFloat_Pack4(number, single, 0) < 0) {
        return too_large(w, value);
    }
    char *at = writer_take(w, 4);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, single, 4);
    return 0;
}

static int pack_enum(Node *node, Writer *w, PyObject *value)
{
    if (PyLong_Check(value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (!overflow && number >= INT32_MIN && number <= INT32_MAX
            && (Py_IS_TYPE(value, node->cls) || table_find(&node->table, number) != NULL)) {
            return put32(w, (uint32_t)(int32_t)number);
        }
    }
    PyObject *name = PyType_GetName(node->cls);
    if (name != NULL) {
        fail(w->state, offset(w), "%R is no member of %U", value, name);
        Py_DECREF(name);
    }
    return -1;
}

/* --- bytes and text ------------------------------------------------------------------------- */

static int check_size(Node *node, Writer *w, Py_ssize_t size)
{
    if (node->op == OP_FIXED_OPAQUE) {
        if (size == (Py_ssize_t)node->limit) {
            return 0;
        }
        return fail(w->state, offset(w), "%zd bytes where exactly %zd must be", size,
                    (Py_ssize_t)node->limit);
    }
    if (size > (Py_ssize_t)node->limit) {
        return fail(w->state, offset(w), "%zd bytes exceed the limit of %zd", size,
                    (Py_ssize_t)node->limit);
    }
    return put32(w, (uint32_t)size);
}

static int pack_bytes(Node *node, Writer *w, PyObject *value)
{
    if (PyBytes_CheckExact(value)) {
        Py_ssize_t size = PyBytes_GET_SIZE(value);
        if (check_size(node, w, size) < 0) {
            return -1;
        }
        if (w->gather && size >= LARGE_PART) {
            char *end = writer_add_part(w, value) < 0 ? NULL : writer_take(w, padding(size));
            if (end != NULL) {
                memset(end, 0, (size_t)padding(size));
            }
            return end == NULL ? -1 : 0;
        }
        return put_padded(w, PyBytes_AS_STRING(value), size);
    }
    if (!PyObject_CheckBuffer(value)) {
        return expected(w, "bytes or another buffer", value);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_FULL_RO) < 0) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            expected(w, "bytes or another buffer", value);
        }
        return -1;
    }
    int result = check_size(node, w, view.len);
    if (result == 0 && PyBuffer_IsContiguous(&view, 'C')) {
        result = put_padded(w, view.buf, view.len);
    }
    else if (result == 0) {
        char *at = writer_take(w, view.len + padding(view.len));
        result = at == NULL ? -1 : PyBuffer_ToContiguous(at, &view, view.len, 'C');
        if (result == 0) {
            memset(at + view.len, 0, (size_t)padding(view.len));
        }
    }
    PyBuffer_Release(&view);
    return result;
}

/* The UnicodeEncodeError on its way becomes an XdrError. */
static int not_encodable(Node *node, Writer *w, PyObject *text)
{
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return -1;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    Py_ssize_t start, end;
    PyObject *part = NULL;
    if (PyUnicodeEncodeError_GetStart(error, &start) == 0
        && PyUnicodeEncodeError_GetEnd(error, &end) == 0) {
        part = PyUnicode_Substring(text, start, end);
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    if (part != NULL) {
        fail(w->state, offset(w), "%R cannot be encoded as %s", part,
             node->encoding == NULL ? "utf-8" : node->encoding);
        Py_DECREF(part);
    }
    return -1;
}

static int pack_string(Node *node, Writer *w, PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        return expected(w, "a str", value);
    }
    if (node->encoding == NULL) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(value, &size);
        if (text != NULL) {
            return check_size(node, w, size) < 0 ? -1 : put_padded(w, text, size);
        }
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();  /* surrogates: bytes that were no UTF-8 */
    }
    PyObject *data = PyUnicode_AsEncodedString(
        value, node->encoding == NULL ? "utf-8" : node->encoding, "surrogateescape");
    if (data == NULL) {
        return not_encodable(node, w, value);
    }
    int result = check_size(node, w, PyBytes_GET_SIZE(data));
    if (result == 0) {
        result = put_padded(w, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    }
    Py_DECREF(data);
    return result;
}

/* --- what has parts ------------------------------------------------------------------------- */

/* One level deeper; -1 with XdrError if that is too deep. */
static int shallower(Writer *w, int depth)
{
    if (depth == 0) {
        return fail(w->state, offset(w), "nested more than %d deep", w->state->max_depth);
    }
    return depth - 1;
}

/* How many elements ``value`` says it has. */
static Py_ssize_t length(Writer *w, PyObject *value)
{
    if (PyList_CheckExact(value)) {
        return PyList_GET_SIZE(value);
    }
    if (!PyUnicode_Check(value) && !PyBytes_Check(value) && !PyByteArray_Check(value)) {
        PyObject *method = PyObject_GetAttr(value, w->state->getitem);
        if (method == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                return -1;
            }
            PyErr_Clear();
            return expected(w, "a list or another sequence", value);
        }
        Py_DECREF(method);
        Py_ssize_t size = PyObject_Size(value);
        if (size >= 0 || !PyErr_ExceptionMatches(PyExc_TypeError)) {
            return size;
        }
        PyErr_Clear();
    }
    return expected(w, "a list or another sequence", value);
}

static int pack_element(Node *element, Writer *w, PyObject *item, int depth, Py_ssize_t index)
{
    int result = pack_value(element, w, item, depth);
    if (result < 0) {
        within_index(w->state, index);
    }
    return result;
}

/* The elements of ``value``, which said that there are ``count``; ``flags``: each behind a TRUE,
   but for the first if it has ``flags`` of 2. */
static int pack_elements(Node *element, Writer *w, PyObject *value, Py_ssize_t count, int depth,
                         int flags)
{
    Py_ssize_t index = 0;
    PyObject *iterator = NULL;
    if (!PyList_CheckExact(value)) {
        iterator = PyObject_GetIter(value);
        if (iterator == NULL) {
            within_index(w->state, 0);
            return -1;
        }
    }
    for (;; index++) {
        PyObject *item;
        if (iterator != NULL) {
            item = PyIter_Next(iterator);
        }
        else {
            item = list_item(value, index);
        }
        if (item == NULL) {
            break;
        }
        int result = flags && (index || flags == 1) ? put32(w, 1) : 0;
        if (result == 0) {
            result = pack_element(element, w, item, depth, index);
        }
        Py_DECREF(item);
        if (result < 0) {
            Py_XDECREF(iterator);
            return -1;
        }
    }
    Py_XDECREF(iterator);
    if (PyErr_Occurred()) {
        within_index(w->state, index);
        return -1;
    }
    if (index != count) {
        return fail(w->state, offset(w), "%zd elements in a sequence whose length is %zd", index,
                    count);
    }
    return 0;
}

static int pack_array(Node *node, Writer *w, PyObject *value, int depth)
{
    Py_ssize_t count = length(w, value);
    if (count < 0) {
        return -1;
    }
    if (node->op == OP_FIXED_ARRAY) {
        if (count != (Py_ssize_t)node->limit) {
            return fail(w->state, offset(w), "%zd elements where exactly %zd must be", count,
                        (Py_ssize_t)node->limit);
        }
    }
    else {
        Py_ssize_t limit = node->limit;
        if (node->least == 0 && limit > (Py_ssize_t)w->state->max_empty) {
            limit = w->state->max_empty;
        }
        if (count > limit) {
            return fail(w->state, offset(w), "%zd elements exceed the limit of %zd", count, limit);
        }
        if (put32(w, (uint32_t)count) < 0 || (depth = shallower(w, depth)) < 0) {
            return -1;
        }
    }
    int done = number_size(node->element->op) ? pack_numbers(node->element, w, value, count) : 0;
    return done ? done - 1 : pack_elements(node->element, w, value, count, depth, 0);
}

static int pack_optional(Node *node, Writer *w, PyObject *value, int depth)
{
    if (put32(w, value != Py_None) < 0) {
        return -1;
    }
    if (value == Py_None) {
        return 0;
    }
    depth = shallower(w, depth);
    return depth < 0 ? -1 : pack_value(node->element, w, value, depth);
}

static int pack_linked_list(Node *node, Writer *w, PyObject *value, int depth)
{
    depth = shallower(w, depth);
    Py_ssize_t count = depth < 0 ? -1 : length(w, value);
    if (count < 0) {
        return -1;
    }
    if (count == 0 && node->nonempty) {
        return fail(w->state, offset(w), "a list held by value has at least one node");
    }
    int flags = node->nonempty ? 2 : 1;
    return pack_elements(node->element, w, value, count, depth, flags) < 0 ? -1 : put32(w, 0);
}

/* What is in a slot of an instance, a new reference; AttributeError if it was never set. */
static PyObject *slot_of(PyObject *value, Py_ssize_t at, PyObject *name)
{
#ifdef Py_GIL_DISABLED
    (void)at;
    return PyObject_GetAttr(value, name);
#else
    PyObject *item = *(PyObject **)((char *)value + at);
    return item == NULL ? PyObject_GetAttr(value, name) : Py_NewRef(item);
#endif
}

static int pack_struct(Node *node, Writer *w, PyObject *value, int depth)
{
    int plain = node->slots != NULL && Py_IS_TYPE(value, node->cls);
    if (!plain) {
        int is = PyObject_IsInstance(value, (PyObject *)node->cls);
        if (is <= 0) {
            PyObject *name = is < 0 ? NULL : PyType_GetName(node->cls);
            if (name != NULL) {
                expected_object(w, "", name, value);
                Py_DECREF(name);
            }
            return -1;
        }
    }
    for (Py_ssize_t n = 0; n < node->count; n++) {
#ifndef Py_GIL_DISABLED
        PyObject *held = plain ? *(PyObject **)((char *)value + node->slots[n]) : NULL;
        int quick = held == NULL ? 0 : quick_pack(node->fields[n], w, held);
        if (quick > 0) {
            continue;
        }
        if (quick < 0) {
            return -1;
        }
#endif
        PyObject *name = PyTuple_GET_ITEM(node->names, n);
        PyObject *field = plain ? slot_of(value, node->slots[n], name) : PyObject_GetAttr(value, name);
        int result = field == NULL ? -1 : pack_value(node->fields[n], w, field, depth);
        Py_XDECREF(field);
        if (result < 0) {
            within(w->state, name);
            return -1;
        }
    }
    return 0;
}

int label_key(PyObject *label, int64_t *key)
{
    PyObject *number = PyLong_Check(label) ? Py_NewRef(label) : PyNumber_Index(label);
    *key = number == NULL ? -1 : PyLong_AsLongLong(number);
    Py_XDECREF(number);
    return *key == -1 && PyErr_Occurred() ? -1 : 0;
}

/* The discriminant that an instance carries; -1 if it is not one of its arm's. */
static int pack_label(Node *node, Arm *arm, Writer *w, PyObject *value, int depth)
{
    PyObject *label = arm->plain ? slot_of(value, arm->tag_at, node->names)
                                 : PyObject_GetAttr(value, node->names);
    if (label == NULL) {
        return -1;
    }
    int result = pack_value(node->element, w, label, depth);
    if (result == 0) {
        int64_t key;
        result = label_key(label, &key);
        if (result == 0) {
            Arm *found = table_find(&node->table, key);
            if ((found == NULL ? node->other : found) != arm) {
                PyObject *name = PyType_GetName(arm->cls);
                if (name != NULL) {
                    fail(w->state, offset(w) - 4, "%R is no case of %U", label, name);
                    Py_DECREF(name);
                }
                result = -1;
            }
        }
    }
    Py_DECREF(label);
    return result;
}

static int pack_union(Node *node, Writer *w, PyObject *value, int depth)
{
    Arm *arm = NULL;
    for (Py_ssize_t n = 0; n < node->count; n++) {
        if (Py_IS_TYPE(value, node->arms[n].cls)) {
            arm = &node->arms[n];
            break;
        }
    }
    if (arm == NULL) {
        return expected_object(w, "an arm of ", node->object, value);
    }
    depth = shallower(w, depth);
    if (depth < 0) {
        return -1;
    }
    int result = arm->carries ? pack_label(node, arm, w, value, depth)
                              : pack_value(node->element, w, arm->label, depth);
    if (result < 0) {
        within(w->state, node->names);
        return -1;
    }
    if (arm->payload_name == NULL) {
        return 0;
    }
    PyObject *payload = arm->plain ? slot_of(value, arm->payload_at, arm->payload_name)
                                   : PyObject_GetAttr(value, arm->payload_name);
    result = payload == NULL ? -1 : pack_value(arm->payload, w, payload, depth);
    Py_XDECREF(payload);
    if (result < 0) {
        within(w->state, arm->payload_name);
    }
    return result;
}

static PyObject *argument_of(PyObject *value, Py_ssize_t n)
{
    if (PyTuple_CheckExact(value) && n < PyTuple_GET_SIZE(value)) {
        return Py_NewRef(PyTuple_GET_ITEM(value, n));
    }
    PyObject *index = PyLong_FromSsize_t(n);
    PyObject *argument = index == NULL ? NULL : PyObject_GetItem(value, index);
    Py_XDECREF(index);
    return argument;
}

static int pack_arguments(Node *node, Writer *w, PyObject *value, int depth)
{
    for (Py_ssize_t n = 0; n < node->count; n++) {
        PyObject *argument = argument_of(value, n);
        int result = argument == NULL ? -1 : pack_value(node->fields[n], w, argument, depth);
        Py_XDECREF(argument);
        if (result < 0) {
            if (node->count > 1) {
                within_index(w->state, n);
            }
            return -1;
        }
    }
    return 0;
}

static int pack_custom(Node *node, Writer *w, PyObject *value, int depth)
{
    State *state = w->state;
    PyObject *designator = PyObject_GetAttr(node->object, state->designator);
    if (designator == NULL) {
        return -1;
    }
    int result = -1;
    if (designator != Py_None) {
        /* It may hold the Custom itself. */
        PyObject *codec = PyObject_CallOneArg(state->codec_of, designator);
        depth = codec == NULL ? -1 : shallower(w, depth);
        if (depth >= 0) {
            result = pack_value(((Codec *)codec)->root, w, value, depth);
        }
        Py_XDECREF(codec);
    }
    else {
        PyObject *data = PyObject_CallFunction(state->pack_custom, "OOn", node->object, value,
                                               offset(w));
        if (data != NULL) {
            char *at = NULL;
            if (!PyBytes_Check(data)) {
                PyErr_SetString(PyExc_TypeError, "a packer's buffer is bytes");
            }
            else {
                at = writer_take(w, PyBytes_GET_SIZE(data));
            }
            if (at != NULL) {
                memcpy(at, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
                result = 0;
            }
            Py_DECREF(data);
        }
    }
    Py_DECREF(designator);
    return result;
}

int pack_value(Node *node, Writer *w, PyObject *value, int depth)
{
    switch (node->op) {
    case OP_VOID:
        return value == Py_None ? 0 : expected(w, "None", value);
    case OP_INT:
    case OP_UNSIGNED_INT:
    case OP_HYPER:
    case OP_UNSIGNED_HYPER:
        return pack_integer(node->op, w, value);
    case OP_FLOAT:
    case OP_DOUBLE:
        return pack_floating(node->op, w, value);
    case OP_QUADRUPLE:
        if (!PyObject_TypeCheck(value, (PyTypeObject *)w->state->quad)) {
            return expected(w, "an xdr.Quad", value);
        }
        if (PyBytes_GET_SIZE(value) != 16) {  /* not made by its own class */
            return fail(w->state, offset(w), "%zd bytes where exactly 16 must be",
                        PyBytes_GET_SIZE(value));
        }
        return put_padded(w, PyBytes_AS_STRING(value), 16);
    case OP_BOOL:
        if (value != Py_True && value != Py_False) {
            return expected(w, "a bool", value);
        }
        return put32(w, value == Py_True);
    case OP_ENUM:
        return pack_enum(node, w, value);
    case OP_FIXED_OPAQUE:
    case OP_OPAQUE:
        return pack_bytes(node, w, value);
    case OP_STRING:
        return pack_string(node, w, value);
    case OP_FIXED_ARRAY:
    case OP_ARRAY:
        return pack_array(node, w, value, depth);
    case OP_OPTIONAL:
        return pack_optional(node, w, value, depth);
    case OP_LINKED_LIST:
        return pack_linked_list(node, w, value, depth);
    case OP_STRUCT:
        return pack_struct(node, w, value, depth);
    case OP_UNION:
        return pack_union(node, w, value, depth);
    case OP_ARGUMENTS:
        return pack_arguments(node, w, value, depth);
    case OP_CUSTOM:
        return pack_custom(node, w, value, depth);
    default:
        break;
    }
    PyErr_SetString(PyExc_SystemError, "no such opcode");
    return -1;
}
