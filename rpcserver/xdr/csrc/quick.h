/* What most values are, taken apart and made without a call of the interpreter's.

   Nothing here runs the user's code, so that nothing changes meanwhile. */

#ifndef RPCSERVER_QUICK_H
#define RPCSERVER_QUICK_H

#include "native.h"

/* The value of an int of at most 60 bits, or of a subclass; whether it is one. */
static inline int quick_int(PyObject *item, int64_t *value)
{
    const PyLongObject *number = (const PyLongObject *)item;
#if PY_VERSION_HEX >= 0x030C0000
    uintptr_t tag = number->long_value.lv_tag;
    uintptr_t digits = tag >> 3;
    if (digits > 2) {
        return 0;
    }
    int64_t size = number->long_value.ob_digit[0];
    if (digits == 2) {
        size |= (int64_t)number->long_value.ob_digit[1] << PyLong_SHIFT;
    }
    *value = (1 - (int64_t)(tag & 3)) * size;  /* 0: positive, 1: zero, 2: negative */
#else
    Py_ssize_t digits = Py_SIZE(item);
    switch (digits) {
    case 0:
        *value = 0;
        break;
    case 1:
    case -1:
        *value = digits * (int64_t)number->ob_digit[0];
        break;
    case 2:
    case -2:
        *value = (digits / 2)
                 * ((int64_t)number->ob_digit[0] | (int64_t)number->ob_digit[1] << PyLong_SHIFT);
        break;
    default:
        return 0;
    }
#endif
    return 1;
}

/* 1 if ``item`` was packed, 0 if that is not done here, -1 without memory. */
static inline int quick_pack(const Node *node, Writer *w, PyObject *item)
{
    int64_t number;
    char *at;
    switch (node->op) {
    case OP_INT:
        if (!PyLong_CheckExact(item) || !quick_int(item, &number) || number < INT32_MIN
            || number > INT32_MAX) {
            return 0;
        }
        break;
    case OP_UNSIGNED_INT:
        if (!PyLong_CheckExact(item) || !quick_int(item, &number) || number < 0
            || number > (int64_t)UINT32_MAX) {
            return 0;
        }
        break;
    case OP_ENUM:
        if (!Py_IS_TYPE(item, node->cls) || !PyLong_Check(item) || !quick_int(item, &number)
            || number < INT32_MIN || number > INT32_MAX) {
            return 0;
        }
        break;
    case OP_BOOL:
        if (item != Py_True && item != Py_False) {
            return 0;
        }
        number = item == Py_True;
        break;
    case OP_UNSIGNED_HYPER:
    case OP_HYPER:
        if (!PyLong_CheckExact(item) || !quick_int(item, &number)
            || (number < 0 && node->op == OP_UNSIGNED_HYPER)) {
            return 0;
        }
        at = writer_take(w, 8);
        if (at == NULL) {
            return -1;
        }
        store64(at, (uint64_t)number);
        return 1;
    case OP_DOUBLE: {
        if (!PyFloat_CheckExact(item)) {
            return 0;
        }
        double value = PyFloat_AS_DOUBLE(item);
        uint64_t bits;
        at = writer_take(w, 8);
        if (at == NULL) {
            return -1;
        }
        memcpy(&bits, &value, 8);
        store64(at, bits);
        return 1;
    }
    case OP_FLOAT: {
        if (!PyFloat_CheckExact(item)) {
            return 0;
        }
        double value = PyFloat_AS_DOUBLE(item);
        float single = (float)value;
        uint32_t bits;
        if (!(value - value == 0) || !(single - single == 0)) {
            return 0;  /* infinite, or no number, or too large */
        }
        at = writer_take(w, 4);
        if (at == NULL) {
            return -1;
        }
        memcpy(&bits, &single, 4);
        store32(at, bits);
        return 1;
    }
    case OP_STRING:
    case OP_OPAQUE: {
        const char *data;
        Py_ssize_t size;
        if (node->op == OP_OPAQUE && PyBytes_CheckExact(item)) {
            data = PyBytes_AS_STRING(item);
            size = PyBytes_GET_SIZE(item);
        }
        else if (node->op == OP_STRING && node->encoding == NULL && PyUnicode_CheckExact(item)
                 && PyUnicode_IS_COMPACT_ASCII(item)) {
            data = (const char *)PyUnicode_1BYTE_DATA(item);
            size = PyUnicode_GET_LENGTH(item);
        }
        else {
            return 0;
        }
        if (size > (Py_ssize_t)node->limit || size >= LARGE_PART) {
            return 0;
        }
        at = writer_take(w, 4 + size + padding(size));
        if (at == NULL) {
            return -1;
        }
        store32(at, (uint32_t)size);
        if (size & 3) {
            store32(at + size + padding(size), 0);  /* the last word, before the bytes */
        }
        memcpy(at + 4, data, (size_t)size);
        return 1;
    }
    default:
        return 0;
    }
    at = writer_take(w, 4);
    if (at == NULL) {
        return -1;
    }
    store32(at, (uint32_t)number);
    return 1;
}

/* A new int. Those of one digit are made fastest by the function for long. */
static inline PyObject *quick_unsigned(uint64_t number)
{
    return number <= LONG_MAX ? PyLong_FromLong((long)number) : PyLong_FromUnsignedLongLong(number);
}

static inline PyObject *quick_signed(int64_t number)
{
    return sizeof(long) == 8 ? PyLong_FromLong((long)number) : PyLong_FromLongLong(number);
}

/* A new str, if the bytes are ASCII; else NULL without an exception, or with one. */
static inline PyObject *quick_ascii(const char *data, Py_ssize_t size)
{
    uint64_t any = 0, word;
    Py_ssize_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&word, data + at, 8);
        any |= word;
    }
    for (; at < size; at++) {
        any |= (unsigned char)data[at];
    }
    if (any & 0x8080808080808080u || size < 2) {
        return NULL;  /* the short ones are the interpreter's own */
    }
    PyObject *text = PyUnicode_New(size, 127);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), data, (size_t)size);
    }
    return text;
}

/* A value whose bytes are all there and as they should be; else NULL, with nothing taken, and who
   looks at them once more knows why. An exception may have been raised. */
static inline PyObject *quick_unpack(const Node *node, Reader *r)
{
    const unsigned char *at = r->data + r->pos;
    Py_ssize_t left = r->end - r->pos;
    switch (node->op) {
    case OP_INT:
        if (left < 4) {
            return NULL;
        }
        r->pos += 4;
        return PyLong_FromLong((int32_t)load32(at));
    case OP_UNSIGNED_INT:
        if (left < 4) {
            return NULL;
        }
        r->pos += 4;
        return quick_unsigned(load32(at));
    case OP_HYPER:
        if (left < 8) {
            return NULL;
        }
        r->pos += 8;
        return quick_signed((int64_t)load64(at));
    case OP_UNSIGNED_HYPER:
        if (left < 8) {
            return NULL;
        }
        r->pos += 8;
        return quick_unsigned(load64(at));
    case OP_OPAQUE:
    case OP_STRING: {
        if (left < 4 || r->buffers || node->encoding != NULL) {
            return NULL;
        }
        Py_ssize_t size = load32(at);
        if (size > (Py_ssize_t)node->limit || size + padding(size) > left - 4) {
            return NULL;
        }
        const char *data = (const char *)at + 4;
        for (Py_ssize_t n = size; n < size + padding(size); n++) {
            if (data[n] != 0) {
                return NULL;
            }
        }
        PyObject *made = node->op == OP_OPAQUE ? PyBytes_FromStringAndSize(data, size)
                                               : quick_ascii(data, size);
        if (made != NULL) {
            r->pos += 4 + size + padding(size);
        }
        return made;
    }
    default:
        return NULL;
    }
}

#endif
