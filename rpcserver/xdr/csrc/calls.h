/* Plain calls: what answers them, and what those of one buffer have in common. */

#ifndef RPCSERVER_CALLS_H
#define RPCSERVER_CALLS_H

#include "native.h"

#define LAST 0x80000000u
#define SECOND 1000000000LL
#define MAX_ARGUMENTS 16 /* of a procedure whose calls are plain */

typedef struct {
    uint32_t prog, vers, proc;
    PyObject *entry;     /* NULL: the place is free */
    PyObject *version;
    PyObject *procedure;
    PyObject *method;    /* NULL: procedure 0 */
    Codec *arguments;
    Codec *result;
    Py_ssize_t cell;
    int oneway;
} Line;

typedef struct {
    PyObject_HEAD
    State *state;
    PyTypeObject *call_type;
    Line *lines;         /* a hash table, half full at most */
    uint32_t mask;
    Py_buffer cells;     /* the counters' */
    Py_ssize_t seconds_cell;
    int trailing;
    int flavor_none;
    long long slow;
    Py_ssize_t batch;
} Calls;

/* What the calls of a buffer have in common. */
typedef struct {
    PyObject *peer, *connection, *credential;
    const char *known;
    Py_ssize_t known_size;
    long long limit;     /* nanoseconds; 0: none */
    long long now;
    PyObject *call;      /* the last one's, to be used again if nobody has kept it */
    PyObject *ran;       /* a call whose method has run, and whose reply others make */
} Turn;

/* 1: answered; 0: it is no plain call; 2: ``turn->ran`` is for others; -1: an exception. */
int answer_record(Calls *self, Turn *turn, const unsigned char *record, Py_ssize_t size, Writer *out,
                  int marked);
/* The same for those that follow one another from ``start``, which is moved. */
int answer_stream(Calls *self, Turn *turn, const unsigned char *data, Py_ssize_t *start,
                  Py_ssize_t end, Writer *out, long long until);
/* ``about`` is an About: peer, connection, time_limit, credential, known. */
int turn_begin(Turn *turn, PyObject *about);
void turn_end(Turn *turn);
/* ``rest(done)``: the face goes on. Takes the reference; NULL: an exception is on its way. */
PyObject *hand_over(PyObject *rest, PyObject *done);
/* The exception that is on its way, taken from it. */
PyObject *raised(void);
Line *find_line(Calls *self, uint32_t prog, uint32_t vers, uint32_t proc);

#endif
