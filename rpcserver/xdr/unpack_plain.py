"""Decoding of what has no parts: a schema becomes a function, once."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.runs import CODES, PADDING
from rpcserver.xdr.schema import Schema

Unpack: TypeAlias = Callable[[bytes, int, int], tuple[Any, int]]
"""takes data, a position, and how much deeper the nesting may go; returns a value and the
position behind it"""

FALSE, TRUE = bytes(4), b"\0\0\0\1"
read_word = Struct(">I").unpack_from


def short(data: bytes, start: int, wanted: int) -> XdrError:
    """What is raised where the data end too early."""
    return XdrError(f"{wanted} bytes wanted and {max(len(data) - start, 0)} left", start)


# --- scalars ---------------------------------------------------------------------------------


def unpack_void(data: bytes, pos: int, depth: int) -> tuple[None, int]:
    """Nothing, of no bytes."""
    return None, pos


def number(schema: Schema) -> Unpack:
    """For integers, float and double."""
    form = Struct(">" + CODES[schema[0]])
    read, size = form.unpack_from, form.size

    def unpack_number(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        try:
            return read(data, pos)[0], pos + size
        except StructError:
            raise short(data, pos, size) from None

    return unpack_number


def unpack_flag(data: bytes, pos: int, depth: int) -> tuple[bool, int]:
    """A bool."""
    word = data[pos : pos + 4]
    if word == TRUE:
        return True, pos + 4
    if word == FALSE:
        return False, pos + 4
    if len(word) < 4:
        raise short(data, pos, 4)
    raise XdrError(f"a bool is 0 or 1, not {int.from_bytes(word, 'big')}", pos)


def enum(schema: Schema, lenient: bool) -> Unpack:
    """For a member by its number."""
    _, cls, members = schema
    unpack_int = number(schema)

    def unpack_enum(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        number, end = unpack_int(data, pos, depth)
        try:
            return members[number], end
        except KeyError:
            if lenient:
                return number, end
            raise XdrError(f"{cls.__name__} has no member {number}", pos) from None

    return unpack_enum


# --- bytes and text --------------------------------------------------------------------------


def _bytes(schema: Schema, buffers: bool) -> Unpack:
    """The function for an opaque whose size is known: it takes the size instead of the depth."""
    limit = schema[1]

    def unpack_bytes(data: bytes, pos: int, size: int) -> tuple[bytes | memoryview, int]:
        end = pos + size
        stop = end + (-size & 3)
        if size > limit or stop > len(data) or (size & 3 and data[end:stop] != PADDING[stop - end]):
            raise _wrong_bytes(data, pos, size, limit)
        return memoryview(data)[pos:end] if buffers else data[pos:end], stop

    return unpack_bytes


def _wrong_bytes(data: bytes, pos: int, size: int, limit: int) -> XdrError:
    padded = size + (-size & 3)
    if size > limit:
        return XdrError(f"{size} bytes exceed the limit of {limit}", pos - 4)
    if pos + padded > len(data):
        return short(data, pos, padded)
    return XdrError("the padding is not zero", pos + size)


def _text(schema: Schema) -> Unpack:
    _, limit, encoding = schema

    def unpack_text(data: bytes, pos: int, size: int) -> tuple[str, int]:
        end = pos + size
        stop = end + (-size & 3)
        if size > limit or stop > len(data) or (size & 3 and data[end:stop] != PADDING[stop - end]):
            raise _wrong_bytes(data, pos, size, limit)
        try:
            return data[pos:end].decode(encoding, "surrogateescape"), stop
        except UnicodeDecodeError:
            raise XdrError(f"the bytes are no {encoding}", pos) from None

    return unpack_text


def behind_count(schema: Schema, buffers: bool) -> Unpack:
    """The function for what follows its count, which it takes instead of the depth."""
    return _text(schema) if schema[0] == s.STRING else _bytes(schema, buffers)


def counted(schema: Schema, buffers: bool) -> Unpack:
    """For opaque data and strings behind their length."""
    unpack_rest = behind_count(schema, buffers)

    def unpack_counted(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        try:
            (size,) = read_word(data, pos)
        except StructError:
            raise short(data, pos, 4) from None
        return unpack_rest(data, pos + 4, size)

    return unpack_counted


def fixed_opaque(schema: Schema, buffers: bool) -> Unpack:
    """For so many bytes."""
    size = schema[1]
    unpack_bytes = _bytes(schema, buffers)
    return lambda data, pos, depth: unpack_bytes(data, pos, size)


def unpack_quadruple(data: bytes, pos: int, depth: int) -> tuple[Quad, int]:
    """16 bytes."""
    if pos + 16 > len(data):
        raise short(data, pos, 16)
    return Quad(data[pos : pos + 16]), pos + 16


def table_of(schema: Schema) -> dict[int, Any] | None:
    """What the words of a type mean, if not themselves."""
    if schema[0] == s.BOOL:
        return {0: False, 1: True}
    return schema[2] if schema[0] == s.ENUM else None
