/* Where encodings go: a little memory at hand, then a bytes object that grows. */

#include "native.h"

void writer_init(Writer *w, State *state)
{
    w->state = state;
    w->data = w->scratch;
    w->pos = 0;
    w->size = SCRATCH;
    w->base = 0;
    w->bytes = NULL;
    w->gather = 0;
    w->parts = NULL;
    w->before = 0;
}

char *writer_grow(Writer *w, Py_ssize_t wanted)
{
    if (wanted > PY_SSIZE_T_MAX - 4096 - w->pos) {
        PyErr_NoMemory();
        return NULL;
    }
    /* For a large part just what it needs and a little for what follows; else the double. */
    Py_ssize_t size = w->pos + wanted + 512;
    if (size < 2 * w->size) {
        size = 2 * w->size;
    }
    if (w->bytes == NULL) {
        w->bytes = PyBytes_FromStringAndSize(NULL, size);
        if (w->bytes == NULL) {
            return NULL;
        }
        memcpy(PyBytes_AS_STRING(w->bytes), w->scratch, (size_t)w->pos);
    }
    else if (_PyBytes_Resize(&w->bytes, size) < 0) {
        w->size = 0;
        return NULL;
    }
    w->data = PyBytes_AS_STRING(w->bytes);
    w->size = size;
    return w->data;
}

PyObject *writer_finish(Writer *w)
{
    if (w->bytes == NULL) {
        return PyBytes_FromStringAndSize(w->scratch, w->pos);
    }
    _PyBytes_Resize(&w->bytes, w->pos);
    PyObject *bytes = w->bytes;
    w->bytes = NULL;
    return bytes;
}

void writer_clear(Writer *w)
{
    Py_CLEAR(w->bytes);
    Py_CLEAR(w->parts);
}

/* What was written since the last part becomes one. */
static int close_part(Writer *w)
{
    if (w->parts == NULL && (w->parts = PyList_New(0)) == NULL) {
        return -1;
    }
    if (w->pos == 0) {
        return 0;
    }
    Py_ssize_t size = w->pos;
    PyObject *part = writer_finish(w);
    int result = part == NULL ? -1 : PyList_Append(w->parts, part);
    Py_XDECREF(part);
    w->before += size;
    w->data = w->scratch;
    w->size = SCRATCH;
    w->pos = 0;
    return result;
}

/* ``bytes`` follow. They are immutable, so nobody needs a copy. */
int writer_add_part(Writer *w, PyObject *bytes)
{
    if (close_part(w) < 0 || PyList_Append(w->parts, bytes) < 0) {
        return -1;
    }
    w->before += PyBytes_GET_SIZE(bytes);
    return 0;
}

/* A bytes object, or a list of them if some were added as parts. */
PyObject *writer_finish_parts(Writer *w)
{
    if (w->parts == NULL) {
        return writer_finish(w);
    }
    if (close_part(w) < 0) {
        return NULL;
    }
    PyObject *parts = w->parts;
    w->parts = NULL;
    return parts;
}

Place writer_place(const Writer *w)
{
    return (Place){w->parts == NULL ? 0 : PyList_GET_SIZE(w->parts), w->pos};
}

/* Where what was written at ``place`` is now. It may be in a part, but in one that was closed
   after it, which nobody else has yet. */
char *writer_at(Writer *w, Place place)
{
    if (w->parts != NULL && place.count < PyList_GET_SIZE(w->parts)) {
        return PyBytes_AS_STRING(PyList_GET_ITEM(w->parts, place.count)) + place.pos;
    }
    return w->data + place.pos;
}

/* Forget all that was written since. */
int writer_return(Writer *w, Place place)
{
    if (w->parts == NULL || place.count == PyList_GET_SIZE(w->parts)) {
        w->pos = place.pos;
        return 0;
    }
    PyObject *closed = Py_NewRef(PyList_GET_ITEM(w->parts, place.count));
    for (Py_ssize_t n = PyList_GET_SIZE(w->parts); n-- > place.count;) {
        w->before -= PyBytes_GET_SIZE(PyList_GET_ITEM(w->parts, n));
    }
    w->pos = 0;
    int result = PyList_SetSlice(w->parts, place.count, PyList_GET_SIZE(w->parts), NULL);
    char *at = result < 0 ? NULL : writer_take(w, place.pos);
    if (at != NULL) {
        memcpy(at, PyBytes_AS_STRING(closed), (size_t)place.pos);
    }
    Py_DECREF(closed);
    return at == NULL ? -1 : 0;
}

