/* Plain calls: records, headers, methods and replies, as rpc/plain.py has them.

   It knows no refusals. At whatever is not plain it stops, and the engine in Python looks at it. */

#include "calls.h"
#include <time.h>

#define HEADER 24        /* bytes of a call's header, from the xid to the procedure */
#define REPLY 24         /* bytes of a reply before its results, behind its mark */

enum { SUCCESS_CELL = 0 };

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static PyObject *seconds(long long nanoseconds)
{
    return PyFloat_FromDouble((double)nanoseconds / 1e9);
}

static uint32_t place(uint32_t prog, uint32_t vers, uint32_t proc)
{
    uint32_t mixed = (prog * 31 + vers) * 31 + proc;
    return mixed ^ mixed >> 15;
}

Line *find_line(Calls *self, uint32_t prog, uint32_t vers, uint32_t proc)
{
    for (uint32_t at = place(prog, vers, proc) & self->mask;; at = (at + 1) & self->mask) {
        Line *line = &self->lines[at];
        if (line->entry == NULL
            || (line->proc == proc && line->vers == vers && line->prog == prog)) {
            return line;
        }
    }
}

/* Other threads and processes count in the same cells. */
static void count(Calls *self, Py_ssize_t row, Py_ssize_t column, uint64_t amount)
{
    uint64_t *cells = self->cells.buf;
    __atomic_fetch_add(&cells[row + column], amount, __ATOMIC_RELAXED);
}

/* --- one call ------------------------------------------------------------------------------- */

/* The Call that a method gets: fields as in rpc/call.py. */
static PyObject *make_call(Calls *self, Turn *turn, Line *line, PyObject *credential, uint32_t xid,
                           PyObject *deadline)
{
    PyObject *number = PyLong_FromUnsignedLong(xid);
    if (number == NULL) {
        return NULL;
    }
    PyObject *parts[] = {turn->peer,     credential,      number,  line->version,
                         line->procedure, turn->connection, deadline};
    PyObject *call = turn->call;
#ifndef Py_GIL_DISABLED
    if (call != NULL && Py_REFCNT(call) == 1) {
        turn->call = NULL;
        for (Py_ssize_t n = 0; n < 7; n++) {
            PyObject *old = PyTuple_GET_ITEM(call, n);
            PyTuple_SET_ITEM(call, n, Py_NewRef(parts[n]));
            Py_DECREF(old);
        }
        Py_DECREF(number);
        return call;
    }
#endif
    call = self->call_type->tp_alloc(self->call_type, 7);
    if (call != NULL) {
        for (Py_ssize_t n = 0; n < 7; n++) {
            PyTuple_SET_ITEM(call, n, Py_NewRef(parts[n]));
        }
    }
    Py_DECREF(number);
    return call;
}

/* Leave the rest of a call to others; takes the references of ``result`` and ``error``. */
static int leave(Turn *turn, Line *line, PyObject *call, PyObject *const *arguments,
                 Py_ssize_t given, PyObject *result, PyObject *error, long long begun)
{
    PyObject *began = seconds(begun), *tuple = PyTuple_New(given);
    if (began != NULL && tuple != NULL) {
        for (Py_ssize_t n = 0; n < given; n++) {
            PyTuple_SET_ITEM(tuple, n, Py_NewRef(arguments[n]));
        }
        turn->ran = PyTuple_Pack(6, line->entry, call, tuple, result == NULL ? Py_None : result,
                                 error == NULL ? Py_None : error, began);
    }
    Py_XDECREF(began);
    Py_XDECREF(tuple);
    Py_XDECREF(result);
    Py_XDECREF(error);
    return turn->ran == NULL ? -1 : 2;
}

/* The exception that is on its way, if it is one that a method may raise. */
PyObject *raised(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
}

static void put_success(char *at, uint32_t xid)
{
    store32(at, xid);
    store32(at + 4, 1);  /* REPLY, MSG_ACCEPTED, AUTH_NONE, SUCCESS */
    memset(at + 8, 0, REPLY - 8);
}

/* The method is called with ``values``, a free place before them, and its result is packed. */
static int run(Calls *self, Turn *turn, Line *line, PyObject *credential, uint32_t xid,
               PyObject **values, Py_ssize_t given, Writer *out, int marked)
{
    PyObject *deadline = turn->limit ? seconds(turn->now + turn->limit) : Py_NewRef(Py_None);
    PyObject *call =
        deadline == NULL ? NULL : make_call(self, turn, line, credential, xid, deadline);
    Py_XDECREF(deadline);
    if (call == NULL) {
        return -1;
    }
    long long begun = turn->now;
    values[0] = call;
    PyObject *result = PyObject_Vectorcall(line->method, values,
                                           (size_t)(given + 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    turn->now = now();
    int outcome = -1;
    if (result == NULL) {
        PyObject *error = raised();
        if (error != NULL) {
            outcome = leave(turn, line, call, values + 1, given, NULL, error, begun);
        }
    }
    else if (turn->now - begun > self->slow) {
        outcome = leave(turn, line, call, values + 1, given, result, NULL, begun);
    }
    else {
        Py_ssize_t header = REPLY + (marked ? 4 : 0), before = writer_length(out);
        Place start = writer_place(out);
        out->base = before + header;
        outcome = writer_take(out, header) == NULL
                      ? -1
                      : pack_value(line->result->root, out, result, self->state->max_depth);
        out->base = 0;
        if (outcome < 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear();  /* it may be no result yet; if it is a wrong one, it is packed again */
            if (writer_return(out, start) < 0) {
                Py_DECREF(result);
            }
            else {
                outcome = leave(turn, line, call, values + 1, given, result, NULL, begun);
            }
        }
        else {
            Py_DECREF(result);
            if (outcome == 0) {
                count(self, line->cell, SUCCESS_CELL, 1);
                count(self, line->cell, self->seconds_cell, (uint64_t)(turn->now - begun));
                char *at = writer_at(out, start);
                put_success(at + header - REPLY, xid);
                if (marked) {
                    store32(at, LAST | (uint32_t)(writer_length(out) - before - 4));
                }
                outcome = line->oneway && writer_return(out, start) < 0 ? -1 : 1;
            }
        }
    }
    Py_XSETREF(turn->call, call);
    return outcome;
}

int answer_record(Calls *self, Turn *turn, const unsigned char *record, Py_ssize_t size, Writer *out,
                  int marked)
{
    static const char none[16];
    if (size < HEADER + 16 || load32(record + 4) != 0 || load32(record + 8) != 2) {
        return 0;
    }
    Py_ssize_t start;
    PyObject *credential = Py_None;
    if (self->flavor_none && memcmp(record + HEADER, none, 16) == 0) {
        start = HEADER + 16;
    }
    else if (turn->known != NULL && size >= HEADER + turn->known_size
             && memcmp(record + HEADER, turn->known, (size_t)turn->known_size) == 0) {
        start = HEADER + turn->known_size;
        credential = turn->credential;
    }
    else {
        return 0;
    }
    Line *line = find_line(self, load32(record + 12), load32(record + 16), load32(record + 20));
    if (line->entry == NULL) {
        return 0;
    }
    uint32_t xid = load32(record);
    if (line->method == NULL) {
        if (start != size && !self->trailing) {
            return 0;
        }
        char *at = writer_take(out, REPLY + (marked ? 4 : 0));
        if (at == NULL) {
            return -1;
        }
        if (marked) {
            store32(at, LAST | REPLY);
            at += 4;
        }
        put_success(at, xid);
        count(self, line->cell, SUCCESS_CELL, 1);
        return 1;
    }
    PyObject *values[MAX_ARGUMENTS + 2];  /* before the arguments: the call, and a free place */
    Reader r = {self->state, record, start, size, NULL, 0, 0};
    Node *node = line->arguments->root;
    Py_ssize_t given = 0;
    int outcome = 0;
    while (given < node->count) {
        PyObject *value = unpack_value(node->fields[given], &r, self->state->max_depth);
        if (value == NULL) {
            break;
        }
        values[2 + given++] = value;
    }
    if (given < node->count) {
        if (PyErr_ExceptionMatches(PyExc_Exception)) {
            PyErr_Clear();  /* who looks at it once more knows what to answer */
        }
        else {
            outcome = -1;
        }
    }
    else if (r.pos == size || self->trailing) {
        outcome = run(self, turn, line, credential, xid, values + 1, given, out, marked);
    }
    while (given > 0) {
        Py_DECREF(values[2 + --given]);
    }
    return outcome;
}

int answer_stream(Calls *self, Turn *turn, const unsigned char *data, Py_ssize_t *start,
                  Py_ssize_t end, Writer *out, long long until)
{
    int outcome = 1;
    while (outcome == 1 && end - *start >= 4) {
        uint32_t mark = load32(data + *start);
        Py_ssize_t size = mark & ~LAST;
        if (!(mark & LAST) || size > end - *start - 4) {
            break;
        }
        outcome = answer_record(self, turn, data + *start + 4, size, out, 1);
        if (outcome > 0) {
            *start += 4 + size;
        }
        if (writer_length(out) > self->batch || turn->now > until) {
            break;
        }
    }
    return outcome;
}

PyObject *hand_over(PyObject *rest, PyObject *done)
{
    if (done == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallOneArg(rest, done);
    Py_DECREF(done);
    return result;
}

int turn_begin(Turn *turn, PyObject *about)
{
    memset(turn, 0, sizeof(Turn));
    if (!PyTuple_Check(about) || PyTuple_GET_SIZE(about) != 5
        || !PyBytes_Check(PyTuple_GET_ITEM(about, 4))) {
        PyErr_SetString(PyExc_TypeError, "about is an About");
        return -1;
    }
    turn->peer = PyTuple_GET_ITEM(about, 0);
    turn->connection = PyTuple_GET_ITEM(about, 1);
    turn->credential = PyTuple_GET_ITEM(about, 3);
    PyObject *limit = PyTuple_GET_ITEM(about, 2), *known = PyTuple_GET_ITEM(about, 4);
    if (limit != Py_None) {
        double number = PyFloat_AsDouble(limit);
        if (number == -1.0 && PyErr_Occurred()) {
            return -1;
        }
        turn->limit = number < 1e-9 ? 1 : number > 1e9 ? SECOND * SECOND : (long long)(number * 1e9);
    }
    if (turn->credential != Py_None) {
        turn->known = PyBytes_AS_STRING(known);
        turn->known_size = PyBytes_GET_SIZE(known);
    }
    turn->now = now();
    return 0;
}

void turn_end(Turn *turn)
{
    Py_CLEAR(turn->call);
}
