/* A schema becomes nodes. What they point to is kept alive by the schema, or by ``kept``. */

#include "native.h"

#define DENSE 8  /* an index may have that many holes for each key, and some more */

static Node *compile(Codec *codec, PyObject *schema, PyObject *known);

void *table_find(const Table *table, int64_t key)
{
    if (table->span) {
        uint64_t at = (uint64_t)key - (uint64_t)table->low;
        return at < (uint64_t)table->span ? table->direct[at] : NULL;
    }
    Py_ssize_t low = 0, high = table->count;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (table->keys[middle] < key) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < table->count && table->keys[low] == key ? table->values[low] : NULL;
}

typedef struct {
    int64_t key;
    void *value;
} Pair;

static int by_key(const void *left, const void *right)
{
    int64_t a = ((const Pair *)left)->key, b = ((const Pair *)right)->key;
    return (a > b) - (a < b);
}

/* Make the table of ``count`` pairs, which are sorted. */
static int make_table(Table *table, Pair *pairs, Py_ssize_t count)
{
    qsort(pairs, (size_t)count, sizeof(Pair), by_key);
    table->keys = PyMem_Calloc((size_t)count + 1, sizeof(int64_t));
    table->values = PyMem_Calloc((size_t)count + 1, sizeof(void *));
    if (table->keys == NULL || table->values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    table->count = count;
    for (Py_ssize_t n = 0; n < count; n++) {
        table->keys[n] = pairs[n].key;
        table->values[n] = pairs[n].value;
    }
    if (count == 0) {
        return 0;
    }
    /* Differences of keys of 33 bits do not overflow. */
    int64_t span = pairs[count - 1].key - pairs[0].key + 1;
    if (span > DENSE * count + 64) {
        return 0;
    }
    table->direct = PyMem_Calloc((size_t)span, sizeof(void *));
    if (table->direct == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    table->low = pairs[0].key;
    table->span = (Py_ssize_t)span;
    for (Py_ssize_t n = 0; n < count; n++) {
        table->direct[pairs[n].key - table->low] = pairs[n].value;
    }
    return 0;
}

/* A dict from numbers as a table; ``value_of`` says what stands for a value. A number that no
   discriminant and no enum can have on the wire is left out: it is never found. */
static int table_of(Table *table, PyObject *dict, void *(*value_of)(PyObject *, Node *), Node *node)
{
    Pair *pairs = PyMem_Calloc((size_t)PyDict_GET_SIZE(dict) + 1, sizeof(Pair));
    if (pairs == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t at = 0, count = 0;
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(key, &overflow);
        if (number == -1 && PyErr_Occurred()) {
            PyMem_Free(pairs);
            return -1;
        }
        if (!overflow && number >= INT32_MIN && number <= (long long)UINT32_MAX) {
            pairs[count].key = number;
            pairs[count++].value = value_of(value, node);
        }
    }
    int result = make_table(table, pairs, count);
    PyMem_Free(pairs);
    return result;
}

static void *itself(PyObject *value, Node *node)
{
    (void)node;
    return value;
}

static void *arm_of(PyObject *entry, Node *node)
{
    PyTypeObject *cls = (PyTypeObject *)PyList_GET_ITEM(entry, 0);
    for (Py_ssize_t n = 0; n < node->count; n++) {
        if (node->arms[n].cls == cls) {
            return &node->arms[n];
        }
    }
    return NULL;
}

static Node *new_node(Codec *codec, Opcode op)
{
    Py_ssize_t size = (codec->node_count + 1) * (Py_ssize_t)sizeof(Node *);
    Node **nodes = PyMem_Realloc(codec->nodes, (size_t)size);
    if (nodes == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    codec->nodes = nodes;
    Node *node = PyMem_Calloc(1, sizeof(Node));
    if (node == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    node->op = op;
    codec->nodes[codec->node_count++] = node;
    return node;
}

void free_nodes(Codec *codec)
{
    for (Py_ssize_t n = 0; n < codec->node_count; n++) {
        Node *node = codec->nodes[n];
        PyMem_Free(node->fields);
        PyMem_Free(node->slots);
        PyMem_Free(node->table.keys);
        PyMem_Free(node->table.values);
        PyMem_Free(node->table.direct);
        PyMem_Free(node->arms);
        PyMem_Free(node);
    }
    PyMem_Free(codec->nodes);
    codec->nodes = NULL;
    codec->node_count = 0;
    codec->root = NULL;
}

/* Where the slots of ``names`` are in an instance of ``cls``: 1, or 0 if there is more to an
   instance than that, or -1. */
static int find_slots(Codec *codec, PyTypeObject *cls, PyObject *names, Py_ssize_t *offsets)
{
    PyObject *slots = PyObject_CallFunctionObjArgs(
        codec->state->slots_of, (PyObject *)cls, names, NULL);
    if (slots == NULL) {
        return -1;
    }
    int found = PyTuple_Check(slots);
    for (Py_ssize_t n = 0; found && n < PyTuple_GET_SIZE(slots); n++) {
        PyObject *slot = PyTuple_GET_ITEM(slots, n);
        if (!Py_IS_TYPE(slot, &PyMemberDescr_Type)) {
            found = 0;
            break;
        }
        PyMemberDef *member = ((PyMemberDescrObject *)slot)->d_member;
        if (member->type != T_OBJECT_EX || (member->flags & READONLY)
            || !PyType_IsSubtype(cls, ((PyDescrObject *)slot)->d_type)) {
            found = 0;
            break;
        }
        offsets[n] = member->offset;
    }
    Py_DECREF(slots);
    return found;
}

static int compile_fields(Codec *codec, Node *node, PyObject *fields, PyObject *known)
{
    node->count = PyList_GET_SIZE(fields);
    node->fields = PyMem_Calloc((size_t)node->count + 1, sizeof(Node *));
    if (node->fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < node->count; n++) {
        node->fields[n] = compile(codec, PyList_GET_ITEM(fields, n), known);
        if (node->fields[n] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int compile_struct(Codec *codec, Node *node, PyObject *schema, PyObject *known)
{
    node->cls = (PyTypeObject *)PyTuple_GET_ITEM(schema, 1);
    node->names = PyTuple_GET_ITEM(schema, 2);
    if (compile_fields(codec, node, PyTuple_GET_ITEM(schema, 3), known) < 0) {
        return -1;
    }
    if (node->count != PyTuple_GET_SIZE(node->names)) {
        PyErr_SetString(PyExc_TypeError, "a struct has as many names as fields");
        return -1;
    }
    node->slots = PyMem_Calloc((size_t)node->count + 1, sizeof(Py_ssize_t));
    if (node->slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int found = find_slots(codec, node->cls, node->names, node->slots);
    if (found == 0) {
        PyMem_Free(node->slots);
        node->slots = NULL;
    }
    return found < 0 ? -1 : 0;
}

static int compile_arm(Codec *codec, Node *node, Arm *arm, PyObject *entry, PyObject *known)
{
    PyObject *name = PyList_GET_ITEM(entry, 1);
    arm->cls = (PyTypeObject *)PyList_GET_ITEM(entry, 0);
    arm->payload_name = name == Py_None ? NULL : name;
    arm->carries = PyList_GET_ITEM(entry, 3) == Py_True;
    arm->payload = compile(codec, PyList_GET_ITEM(entry, 2), known);
    if (arm->payload == NULL) {
        return -1;
    }
    if (!arm->carries) {
        /* The class has it, once for all. */
        arm->label = PyObject_GetAttr((PyObject *)arm->cls, node->names);
        if (arm->label == NULL || PyList_Append(codec->kept, arm->label) < 0) {
            Py_CLEAR(arm->label);
            return -1;
        }
        Py_DECREF(arm->label);  /* ``kept`` has it */
    }
    Py_ssize_t offsets[2] = {0, 0};
    PyObject *names = PyTuple_New((arm->carries != 0) + (arm->payload_name != NULL));
    if (names == NULL) {
        return -1;
    }
    Py_ssize_t count = 0;
    if (arm->carries) {
        PyTuple_SET_ITEM(names, count++, Py_NewRef(node->names));
    }
    if (arm->payload_name != NULL) {
        PyTuple_SET_ITEM(names, count++, Py_NewRef(arm->payload_name));
    }
    arm->plain = find_slots(codec, arm->cls, names, offsets);
    Py_DECREF(names);
    arm->tag_at = offsets[0];
    arm->payload_at = offsets[arm->carries != 0];
    return arm->plain < 0 ? -1 : 0;
}

static int compile_union(Codec *codec, Node *node, PyObject *schema, PyObject *known)
{
    PyObject *cases = PyTuple_GET_ITEM(schema, 4);
    PyObject *other = PyTuple_GET_ITEM(schema, 5);
    PyObject *by_class = PyTuple_GET_ITEM(schema, 6);
    node->object = PyTuple_GET_ITEM(schema, 1);
    node->names = PyTuple_GET_ITEM(schema, 2);
    node->element = compile(codec, PyTuple_GET_ITEM(schema, 3), known);
    if (node->element == NULL) {
        return -1;
    }
    node->count = PyDict_GET_SIZE(by_class);
    node->arms = PyMem_Calloc((size_t)node->count + 1, sizeof(Arm));
    if (node->arms == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t at = 0, n = 0;
    PyObject *cls, *entry;
    while (PyDict_Next(by_class, &at, &cls, &entry)) {
        if (compile_arm(codec, node, &node->arms[n++], entry, known) < 0) {
            return -1;
        }
    }
    node->other = other == Py_None ? NULL : arm_of(other, node);
    return table_of(&node->table, cases, arm_of, node);
}

/* What the parts of ``schema`` say, by its opcode. */
static int fill(Codec *codec, Node *node, PyObject *schema, PyObject *known)
{
#define PART(n) PyTuple_GET_ITEM(schema, n)
#define COMPILE_ELEMENT(n) ((node->element = compile(codec, PART(n), known)) == NULL ? -1 : 0)
#define NUMBER(n) (node->limit = (uint32_t)PyLong_AsUnsignedLong(PART(n)))
    switch (node->op) {
    case OP_ENUM:
        node->cls = (PyTypeObject *)PART(1);
        node->object = PART(2);
        return table_of(&node->table, PART(2), itself, node);
    case OP_STRING:
        node->encoding = PyUnicode_AsUTF8(PART(2));
        if (node->encoding == NULL) {
            return -1;
        }
        if (strcmp(node->encoding, "utf-8") == 0) {
            node->encoding = NULL;
        }
        NUMBER(1);
        break;
    case OP_FIXED_OPAQUE:
    case OP_OPAQUE:
        NUMBER(1);
        break;
    case OP_ARRAY:
        node->least = PyLong_AsSsize_t(PyList_GET_ITEM(PART(3), 0));
        NUMBER(2);
        return PyErr_Occurred() ? -1 : COMPILE_ELEMENT(1);
    case OP_FIXED_ARRAY:
        NUMBER(2);
        return PyErr_Occurred() ? -1 : COMPILE_ELEMENT(1);
    case OP_OPTIONAL:
        return COMPILE_ELEMENT(1);
    case OP_LINKED_LIST:
        node->nonempty = PyObject_IsTrue(PART(2));
        return COMPILE_ELEMENT(1);
    case OP_STRUCT:
        return compile_struct(codec, node, schema, known);
    case OP_UNION:
        return compile_union(codec, node, schema, known);
    case OP_ARGUMENTS:
        return compile_fields(codec, node, PART(1), known);
    case OP_CUSTOM:
        node->object = PART(1);
        codec->custom = 1;
        break;
    default:
        break;
    }
    return PyErr_Occurred() ? -1 : 0;
#undef PART
#undef COMPILE_ELEMENT
#undef NUMBER
}

/* ``known``: id of a schema -> its node. A recursive type meets its own tuple again. */
static Node *compile(Codec *codec, PyObject *schema, PyObject *known)
{
    if (!PyTuple_Check(schema) || PyTuple_GET_SIZE(schema) == 0) {
        PyErr_SetString(PyExc_TypeError, "a schema is a tuple that starts with an opcode");
        return NULL;
    }
    PyObject *key = PyLong_FromVoidPtr(schema);
    if (key == NULL) {
        return NULL;
    }
    Node *node = NULL;
    PyObject *found = PyDict_GetItemWithError(known, key);
    if (found != NULL) {
        node = PyLong_AsVoidPtr(found);
    }
    else if (!PyErr_Occurred() && Py_EnterRecursiveCall(" in a schema") == 0) {
        long op = PyLong_AsLong(PyTuple_GET_ITEM(schema, 0));
        if (op < 0 || op >= OP_COUNT) {
            if (!PyErr_Occurred()) {
                PyErr_Format(PyExc_TypeError, "%ld is no opcode", op);
            }
        }
        else if ((node = new_node(codec, (Opcode)op)) != NULL) {
            PyObject *pointer = PyLong_FromVoidPtr(node);
            if (pointer == NULL || PyDict_SetItem(known, key, pointer) < 0
                || fill(codec, node, schema, known) < 0) {
                node = NULL;
            }
            Py_XDECREF(pointer);
        }
        Py_LeaveRecursiveCall();
    }
    Py_DECREF(key);
    return node;
}

int compile_schema(Codec *codec, PyObject *schema)
{
    PyObject *known = PyDict_New();
    if (known == NULL) {
        return -1;
    }
    codec->root = compile(codec, schema, known);
    Py_DECREF(known);
    return codec->root == NULL ? -1 : 0;
}
