/* The native codec: the schema of schema.py walked in C.

   schema.c   a schema's tuples -> an array of nodes, once
   pack.c     a value -> bytes                        unpack.c   bytes -> a value
   quick.h    what most values are
   writer.c   where encodings go
   arrays.c   arrays of numbers, from lists and from buffers
   codec.c    the type Codec, which has the nodes      module.c   the module and its state
   calls.c    records, headers, methods and replies of plain calls
   plain.c    the type PlainCalls, which has their table
   exchange.c one event of a connection: read, answer, send
   datagrams.c  the same for a batch of datagrams
   replies.c  a client's calls, and the plain replies to them
   receive.c  how its socket is waited for and read, and written to
   block.c    large fragments

   What reference.py refuses is refused here with the same words, path and offset: a differential
   test holds the two equal. There are no globals: each interpreter has its own State. */

#ifndef RPCSERVER_NATIVE_H
#define RPCSERVER_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <string.h>

/* In the order of schema.py; a test compares the two. */
#define OPCODES(X)                                                                               \
    X(VOID) X(INT) X(UNSIGNED_INT) X(HYPER) X(UNSIGNED_HYPER) X(FLOAT) X(DOUBLE) X(QUADRUPLE)     \
    X(BOOL) X(ENUM) X(FIXED_OPAQUE) X(OPAQUE) X(STRING) X(FIXED_ARRAY) X(ARRAY) X(OPTIONAL)       \
    X(LINKED_LIST) X(STRUCT) X(UNION) X(ARGUMENTS) X(CUSTOM)

#define AS_ENUM(name) OP_##name,
typedef enum { OPCODES(AS_ENUM) OP_COUNT } Opcode;
#undef AS_ENUM

typedef struct {
    PyTypeObject *codec_type;
    PyTypeObject *calls_type;
    PyTypeObject *block_type;
    PyTypeObject *exchange_type;
    PyTypeObject *datagrams_type;
    PyTypeObject *pending_type;
    PyObject *xdr_error;
    PyObject *quad;
    PyObject *unknown_arm;
    PyObject *slots_of;      /* schema.slots_of */
    PyObject *codec_of;      /* codec.codec_of; NULL until a Custom asks for it */
    PyObject *pack_custom;   /* custom.pack_custom; likewise */
    PyObject *unpack_custom;
    PyObject *numbers;       /* buffers.numbers; likewise */
    PyObject *within;        /* "within" */
    PyObject *designator;    /* "designator" */
    PyObject *getitem;       /* "__getitem__" */
    int max_depth;
    uint32_t max_empty;
} State;

typedef struct Node Node;
typedef struct Arm Arm;

/* Integers -> something, by index where they are close together. */
typedef struct {
    Py_ssize_t count;
    int64_t *keys;  /* ascending */
    void **values;
    int64_t low;
    Py_ssize_t span;  /* of ``direct``; 0: there is none */
    void **direct;
} Table;

struct Arm {
    PyTypeObject *cls;
    PyObject *payload_name; /* NULL: it holds nothing */
    Node *payload;
    int carries;            /* its discriminant is a field */
    PyObject *label;        /* of one that does not carry it */
    int plain;              /* an instance is its slots, no __init__ has to run */
    Py_ssize_t tag_at;
    Py_ssize_t payload_at;
};

struct Node {
    Opcode op;
    uint32_t limit;         /* or the size of what is fixed */
    Py_ssize_t least;       /* ARRAY: least bytes of an element */
    int nonempty;
    const char *encoding;   /* STRING; NULL is UTF-8 */
    Node *element;          /* ARRAY, OPTIONAL, LINKED_LIST; UNION: the discriminant */
    PyTypeObject *cls;      /* STRUCT, ENUM */
    PyObject *object;       /* ENUM: members; UNION: name; CUSTOM: hook */
    PyObject *names;        /* STRUCT: of the fields; UNION: tag */
    Py_ssize_t count;
    Node **fields;          /* STRUCT, ARGUMENTS */
    Py_ssize_t *slots;      /* STRUCT: where they are in an instance; NULL: use __init__ */
    Table table;            /* ENUM: members; UNION: arms */
    Arm *arms;              /* UNION */
    Arm *other;             /* UNION: default */
};

typedef struct {
    PyObject_HEAD
    State *state;
    PyObject *schema;       /* keeps alive all that the nodes point to */
    PyObject *kept;         /* what the schema does not */
    Node *root;
    Node **nodes;           /* all of them, for their end */
    Py_ssize_t node_count;
    int custom;             /* whether a Custom is among them */
} Codec;

/* --- bytes out ------------------------------------------------------------------------------ */

#define SCRATCH 2048

/* With ``gather``, a bytes object of so many bytes is not copied: it is a part of its own. */
#define LARGE_PART (32 << 10)

typedef struct {
    State *state;
    char *data;
    Py_ssize_t pos;
    Py_ssize_t size;
    Py_ssize_t base;        /* where the value began: offsets count from there */
    PyObject *bytes;        /* NULL: it is still in scratch */
    int gather;
    PyObject *parts;        /* what is before ``data``; NULL: nothing */
    Py_ssize_t before;      /* bytes in them */
    char scratch[SCRATCH];
} Writer;

/* A place in what was written, to go back to. */
typedef struct {
    Py_ssize_t count;       /* of parts */
    Py_ssize_t pos;
} Place;

void writer_init(Writer *w, State *state);
char *writer_grow(Writer *w, Py_ssize_t wanted);
int writer_add_part(Writer *w, PyObject *bytes);
PyObject *writer_finish(Writer *w);
PyObject *writer_finish_parts(Writer *w);
void writer_clear(Writer *w);
Place writer_place(const Writer *w);
char *writer_at(Writer *w, Place place);
int writer_return(Writer *w, Place place);

static inline Py_ssize_t writer_length(const Writer *w)
{
    return w->before + w->pos;
}

/* Room for ``wanted`` more bytes, which are then taken; NULL without memory. */
static inline char *writer_take(Writer *w, Py_ssize_t wanted)
{
    if (w->size - w->pos < wanted && writer_grow(w, wanted) == NULL) {
        return NULL;
    }
    char *start = w->data + w->pos;
    w->pos += wanted;
    return start;
}

int pack_value(Node *node, Writer *w, PyObject *value, int depth);
/* The number of a discriminant: an int, a bool, an enum's member. */
int label_key(PyObject *label, int64_t *key);
int pack_numbers(Node *element, Writer *w, PyObject *value, Py_ssize_t count);

/* --- bytes in ------------------------------------------------------------------------------- */

typedef struct {
    State *state;
    const unsigned char *data;
    Py_ssize_t pos;
    Py_ssize_t end;
    PyObject *owner;        /* whose bytes they are; borrowed */
    int lenient;
    int buffers;            /* opaques as memoryviews, numbers as array.array */
} Reader;

PyObject *unpack_value(Node *node, Reader *r, int depth);
PyObject *unpack_numbers(Node *element, Reader *r, Py_ssize_t count);

/* --- the rest ------------------------------------------------------------------------------- */

/* A RecursionError on its way becomes an XdrError. */
void too_deep_for_the_stack(State *state, Py_ssize_t offset);
int compile_schema(Codec *codec, PyObject *schema);
void free_nodes(Codec *codec);
void *table_find(const Table *table, int64_t key);
int number_size(Opcode op);
int load_helpers(State *state);

/* Raise XdrError; the value is NULL and -1 alike. */
int fail(State *state, Py_ssize_t offset, const char *format, ...);
/* Put a step before the path of the XdrError that is on its way; other errors pass. */
void within(State *state, PyObject *step);
void within_index(State *state, Py_ssize_t index);

PyObject *begin_call(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char begin_call_doc[];
PyObject *settle_stream(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char settle_stream_doc[];
PyObject *settle_record(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char settle_record_doc[];
PyObject *receive(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char receive_doc[];
PyObject *receive_blocking(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char receive_blocking_doc[];
PyObject *set_patience(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char set_patience_doc[];
PyObject *offer(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern const char offer_doc[];

extern PyType_Spec codec_spec;
extern PyType_Spec calls_spec;
extern PyType_Spec block_spec;
extern PyType_Spec exchange_spec;
extern PyType_Spec datagrams_spec; /* on Linux */

/* An item of a list that others may change; NULL behind its end. */
static inline PyObject *list_item(PyObject *list, Py_ssize_t index)
{
#ifdef Py_GIL_DISABLED
    PyObject *item = PyList_GetItemRef(list, index);
    if (item == NULL) {
        PyErr_Clear();
    }
    return item;
#else
    return index < PyList_GET_SIZE(list) ? Py_NewRef(PyList_GET_ITEM(list, index)) : NULL;
#endif
}
extern PyType_Spec pending_spec;

static inline uint32_t load32(const void *at)
{
    const unsigned char *b = at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint64_t load64(const void *at)
{
    return (uint64_t)load32(at) << 32 | load32((const char *)at + 4);
}

static inline void store32(void *at, uint32_t value)
{
    unsigned char *b = at;
    b[0] = (unsigned char)(value >> 24);
    b[1] = (unsigned char)(value >> 16);
    b[2] = (unsigned char)(value >> 8);
    b[3] = (unsigned char)value;
}

static inline void store64(void *at, uint64_t value)
{
    store32(at, (uint32_t)(value >> 32));
    store32((char *)at + 4, (uint32_t)value);
}

static inline Py_ssize_t padding(Py_ssize_t size)
{
    return -size & 3;
}

#endif
