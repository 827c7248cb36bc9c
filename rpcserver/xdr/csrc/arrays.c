/* Arrays of numbers: from lists, and from and to buffers, without a step in Python for each. */

#include "quick.h"

int number_size(Opcode op)
{
    switch (op) {
    case OP_INT:
    case OP_UNSIGNED_INT:
    case OP_FLOAT:
        return 4;
    case OP_HYPER:
    case OP_UNSIGNED_HYPER:
    case OP_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

/* Whether an item of a buffer is such a number, and in which order its bytes are. */
static int same_number(Opcode op, const Py_buffer *view, int *swap)
{
    const char *format = view->format == NULL ? "B" : view->format;
    *swap = PY_LITTLE_ENDIAN;
    switch (format[0]) {
    case '>':
    case '!':
        *swap = 0;
        format++;
        break;
    case '<':
        *swap = 1;
        format++;
        break;
    case '@':
    case '=':
        format++;
        break;
    default:
        break;
    }
    if (format[0] == '\0' || format[1] != '\0' || view->itemsize != number_size(op)) {
        return 0;
    }
    switch (op) {
    case OP_INT:
    case OP_HYPER:
        return strchr("ilq", format[0]) != NULL;
    case OP_UNSIGNED_INT:
    case OP_UNSIGNED_HYPER:
        return strchr("ILQ", format[0]) != NULL;
    case OP_FLOAT:
        return format[0] == 'f';
    default:
        return format[0] == 'd';
    }
}

static void copy_numbers(char *to, const char *from, Py_ssize_t count, int size, int swap)
{
    if (!swap) {
        memcpy(to, from, (size_t)(count * size));
    }
    else if (size == 4) {
        for (Py_ssize_t n = 0; n < count; n++) {
            uint32_t item;
            memcpy(&item, from + 4 * n, 4);
            item = __builtin_bswap32(item);
            memcpy(to + 4 * n, &item, 4);
        }
    }
    else {
        for (Py_ssize_t n = 0; n < count; n++) {
            uint64_t item;
            memcpy(&item, from + 8 * n, 8);
            item = __builtin_bswap64(item);
            memcpy(to + 8 * n, &item, 8);
        }
    }
}

static int pack_buffer(Node *element, Writer *w, PyObject *value, Py_ssize_t count)
{
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_ND | PyBUF_FORMAT) < 0) {
        PyErr_Clear();  /* not in one piece, perhaps */
        return 0;
    }
    int swap, done = 0;
    if (view.ndim == 1 && view.shape != NULL && view.shape[0] == count
        && same_number(element->op, &view, &swap)) {
        char *at = writer_take(w, view.len);
        if (at == NULL) {
            done = -1;
        }
        else {
            copy_numbers(at, view.buf, count, (int)view.itemsize, swap);
            done = 1;
        }
    }
    PyBuffer_Release(&view);
    return done;
}

#ifndef Py_GIL_DISABLED

/* A list: the easy items here, the others as any value is packed. */
static int pack_list(Node *element, Writer *w, PyObject *list, Py_ssize_t count)
{
    /* Other code may run for an item, and change the list. */
    Py_ssize_t n = 0;
    for (; n < PyList_GET_SIZE(list); n++) {
        PyObject *item = PyList_GET_ITEM(list, n);
        int result = quick_pack(element, w, item);
        if (result == 0) {
            Py_INCREF(item);
            result = pack_value(element, w, item, 1);
            Py_DECREF(item);
            if (result < 0) {
                within_index(w->state, n);
            }
        }
        if (result < 0) {
            return -1;
        }
    }
    if (n != count) {
        return fail(w->state, writer_length(w) - w->base, "%zd elements in a sequence whose length is %zd",
                    n, count);
    }
    return 1;
}

#endif

/* 1 if it is done, 0 if ``value`` must be asked for its items, -1 for an error. */
int pack_numbers(Node *element, Writer *w, PyObject *value, Py_ssize_t count)
{
#ifndef Py_GIL_DISABLED  /* else its items may go away while they are looked at */
    if (PyList_CheckExact(value)) {
        /* Room for all at once: it is not looked for again. */
        if (writer_take(w, count * number_size(element->op)) == NULL) {
            return -1;
        }
        w->pos -= count * number_size(element->op);
        return pack_list(element, w, value, count);
    }
#endif
    return PyObject_CheckBuffer(value) ? pack_buffer(element, w, value, count) : 0;
}

static PyObject *unpack_array(Node *element, Reader *r, Py_ssize_t count)
{
    static const char codes[] = {
        [OP_INT] = 'i', [OP_UNSIGNED_INT] = 'I', [OP_HYPER] = 'q', [OP_UNSIGNED_HYPER] = 'Q',
        [OP_FLOAT] = 'f', [OP_DOUBLE] = 'd',
    };
    PyObject *numbers = PyObject_CallFunction(
        r->state->numbers, "Cy#", (int)codes[element->op], (const char *)r->data + r->pos,
        count * number_size(element->op));
    if (numbers != NULL) {
        r->pos += count * number_size(element->op);
    }
    return numbers;
}

/* A list of ``count`` numbers, or with ``buffers`` an array.array; their bytes are there. */
PyObject *unpack_numbers(Node *element, Reader *r, Py_ssize_t count)
{
    if (r->buffers) {
        return unpack_array(element, r, count);
    }
    PyObject *list = PyList_New(count);
    if (list == NULL) {
        return NULL;
    }
    int size = number_size(element->op);
    const unsigned char *at = r->data + r->pos;
    for (Py_ssize_t n = 0; n < count; n++, at += size) {
        PyObject *item;
        switch (element->op) {
        case OP_INT:
            item = PyLong_FromLong((int32_t)load32(at));
            break;
        case OP_UNSIGNED_INT:
            item = quick_unsigned(load32(at));
            break;
        case OP_HYPER:
            item = quick_signed((int64_t)load64(at));
            break;
        case OP_UNSIGNED_HYPER:
            item = quick_unsigned(load64(at));
            break;
        case OP_FLOAT:
            item = PyFloat_FromDouble(PyFloat_Unpack4((const char *)at, 0));
            break;
        default: {
            uint64_t bits = load64(at);
            double value;
            memcpy(&value, &bits, 8);
            item = PyFloat_FromDouble(value);
        }
        }
        if (item == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, n, item);
    }
    r->pos += count * size;
    return list;
}
