"""The decoding half of the reference codec: a schema becomes a function, once.

For each opcode there is a maker; what it makes takes the data, a position and how much deeper the
nesting may go, and returns the value and the position behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import calcsize, unpack_from
from struct import error as StructError
from typing import Any, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import TYPECODES, numbers
from rpcserver.xdr.custom import unpack_custom
from rpcserver.xdr.runs import CODES, COUNTED, runs_of
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH, MAX_EMPTY, UnknownArm
from rpcserver.xdr.unpack_plain import (
    Unpack,
    behind_count,
    counted,
    enum,
    fixed_opaque,
    number,
    read_word,
    short,
    table_of,
    unpack_flag,
    unpack_quadruple,
    unpack_void,
)


class Unpacking:
    """Makes the functions of a schema. ``lenient`` and ``buffers``: see ``reference.Codec``."""

    def __init__(self, lenient: bool = False, buffers: bool = False) -> None:
        self.lenient = lenient
        self.buffers = buffers
        self.known: dict[int, Unpack] = {}  # of structs and unions, which may hold themselves

    def __call__(self, schema: Schema) -> Unpack:
        return self.known.get(id(schema)) or _MAKERS[schema[0]](schema, self)


@lru_cache(maxsize=1024)
def _supplied(designator: Any, lenient: bool, buffers: bool) -> Unpack:
    return Unpacking(lenient, buffers)(s.schema_of(designator))


def _too_deep(offset: int) -> XdrError:
    return XdrError(f"nested more than {MAX_DEPTH} deep", offset)


def _elements(element: Schema, make: Unpacking) -> Callable[..., tuple[Any, int]]:
    unpack_one = make(element)

    def one_by_one(data: bytes, pos: int, depth: int, count: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        try:
            for _ in range(count):
                item, pos = unpack_one(data, pos, depth)
                items.append(item)
        except XdrError as error:
            error.within(f"[{len(items)}]")
            raise
        return items, pos

    code = CODES.get(element[0])
    if code is None:
        return one_by_one
    table = table_of(element)
    size = calcsize(">" + code)
    as_array = make.buffers and element[0] in TYPECODES

    def at_once(data: bytes, pos: int, depth: int, count: int) -> tuple[Any, int]:
        end = pos + count * size
        if end > len(data):  # of a fixed array: which element is it that is not there
            return one_by_one(data, pos, depth, count)
        if as_array:
            return numbers(code, data[pos:end]), end
        words = unpack_from(f">{count}{code}", data, pos)
        try:
            return [*words] if table is None else [*map(table.__getitem__, words)], end
        except KeyError:
            pass
        return one_by_one(data, pos, depth, count)

    return at_once


def _fixed_array(schema: Schema, make: Unpacking) -> Unpack:
    _, element, count = schema
    elements = _elements(element, make)
    return lambda data, pos, depth: elements(data, pos, depth, count)


def _array(schema: Schema, make: Unpacking) -> Unpack:
    _, element, limit, (least,) = schema
    elements = _elements(element, make)

    def unpack_array(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        try:
            (count,) = read_word(data, pos)
        except StructError:
            raise short(data, pos, 4) from None
        if count > limit:
            raise XdrError(f"{count} elements exceed the limit of {limit}", pos)
        left = len(data) - pos - 4
        if count * least > left or (not least and count > MAX_EMPTY):
            raise XdrError(f"{count} elements do not fit into the {left} bytes left", pos)
        if not depth:
            raise _too_deep(pos)
        return elements(data, pos + 4, depth - 1, count)

    return unpack_array


def _optional(schema: Schema, make: Unpacking) -> Unpack:
    unpack_one = make(schema[1])

    def unpack_optional(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        there, end = unpack_flag(data, pos, depth)
        if not there:
            return None, end
        if not depth:
            raise _too_deep(pos)
        return unpack_one(data, end, depth - 1)

    return unpack_optional


def _linked_list(schema: Schema, make: Unpacking) -> Unpack:
    _, node, nonempty = schema
    unpack_node = make(node)

    def unpack_linked_list(data: bytes, pos: int, depth: int) -> tuple[list[Any], int]:
        if not depth:
            raise _too_deep(pos)
        depth -= 1
        items: list[Any] = []
        more = nonempty
        try:
            if not more:
                more, pos = unpack_flag(data, pos, depth)
            while more:
                item, pos = unpack_node(data, pos, depth)
                items.append(item)
                more, pos = unpack_flag(data, pos, depth)
        except XdrError as error:
            error.within(f"[{len(items)}]")
            raise
        return items, pos

    return unpack_linked_list


Part: TypeAlias = tuple[Any, int, int, list[tuple[int, dict[int, Any]]], list[Unpack], Any]
"""a run of fields: how it is read, its size, its first field, what words of it mean, its fields one
by one, and what follows its count; or a single field, and ``None``"""


def _struct(schema: Schema, make: Unpacking) -> Unpack:
    _, cls, names, fields = schema
    parts: list[Part] = []

    def unpack_struct(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        values: list[Any] = []
        try:
            for read, size, first, tables, singles, unpack_rest in parts:
                if read is not None:
                    try:
                        values += read(data, pos)
                        for at, table in tables:
                            values[at] = table[values[at]]
                    except (StructError, KeyError):  # the walk finds out which field it is
                        del values[first:]
                    else:
                        pos += size
                        if unpack_rest is not None:
                            value, pos = unpack_rest(data, pos, values.pop())
                            values.append(value)
                        continue
                for unpack_one in singles:
                    value, pos = unpack_one(data, pos, depth)
                    values.append(value)
        except XdrError as error:
            error.within(names[len(values)])
            raise
        return cls(*values), pos

    make.known[id(schema)] = unpack_struct
    parts += _parts(fields, make)
    return unpack_struct


def _parts(fields: list[Schema], make: Unpacking) -> list[Part]:
    parts: list[Part] = []
    for first, stop, form, is_counted in runs_of(fields, opaques=not make.buffers):
        singles = [make(field) for field in fields[first:stop]]
        if form is None:
            parts.append((None, 0, first, [], singles, None))
            continue
        found = [(at, table_of(fields[at])) for at in range(first, stop)]
        tables = [(at, table) for at, table in found if table is not None]
        unpack_rest = behind_count(fields[stop - 1], make.buffers) if is_counted else None
        parts.append((form.unpack_from, form.size, first, tables, singles, unpack_rest))
    return parts


def _arguments(schema: Schema, make: Unpacking) -> Unpack:
    fields = schema[1]
    if len(fields) == 1:
        unpack_one = make(fields[0])

        def unpack_argument(data: bytes, pos: int, depth: int) -> tuple[tuple[Any], int]:
            value, pos = unpack_one(data, pos, depth)
            return (value,), pos

        return unpack_argument
    names = [f"[{index}]" for index in range(len(fields))]
    return _struct((s.STRUCT, lambda *values: values, names, fields), make)


def _union(schema: Schema, make: Unpacking) -> Unpack:
    _, name, tag, discriminant, cases, default, by_class = schema
    lenient = make.lenient
    arms: dict[int, Any] = {}

    def unpack_union(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        try:
            label, pos = unpack_label(data, pos, depth)
            arm = arms.get(label, other)
            if arm is None:
                if lenient:
                    return UnknownArm(int(label)), pos
                raise XdrError(f"{name} has no case {label!r}", pos - 4)
        except XdrError as error:
            error.within(tag)
            raise
        if not depth:  # an arm may hold the union itself
            raise _too_deep(pos - 4)
        cls, payload_name, carries, unpack_payload = arm
        keywords = {tag: label} if carries else {}
        if payload_name is None:
            return cls(**keywords), pos
        try:
            value, pos = unpack_payload(data, pos, depth - 1)
        except XdrError as error:
            error.within(payload_name)
            raise
        return cls(value, **keywords), pos

    make.known[id(schema)] = unpack_union
    unpack_label = make(discriminant)
    made = {
        cls: (cls, payload_name, carries, make(payload))
        for cls, payload_name, payload, carries in by_class.values()
    }
    other = None if default is None else made[default[0]]
    arms |= {label: made[arm[0]] for label, arm in cases.items()}
    return unpack_union


def _custom(schema: Schema, make: Unpacking) -> Unpack:
    hook = schema[1]
    lenient, buffers = make.lenient, make.buffers

    def unpack_hooked(data: bytes, pos: int, depth: int) -> tuple[Any, int]:
        if hook.designator is not None:
            if not depth:  # what was supplied may hold this type again
                raise _too_deep(pos)
            return _supplied(hook.designator, lenient, buffers)(data, pos, depth - 1)
        return unpack_custom(hook, data, pos, lenient)

    return unpack_hooked


_MAKERS: dict[int, Callable[[Schema, Unpacking], Unpack]] = {
    **dict.fromkeys(TYPECODES, lambda schema, make: number(schema)),
    **dict.fromkeys(COUNTED, lambda schema, make: counted(schema, make.buffers)),
    s.VOID: lambda schema, make: unpack_void,
    s.QUADRUPLE: lambda schema, make: unpack_quadruple,
    s.BOOL: lambda schema, make: unpack_flag,
    s.ENUM: lambda schema, make: enum(schema, make.lenient),
    s.FIXED_OPAQUE: lambda schema, make: fixed_opaque(schema, make.buffers),
    s.FIXED_ARRAY: _fixed_array,
    s.ARRAY: _array,
    s.OPTIONAL: _optional,
    s.LINKED_LIST: _linked_list,
    s.STRUCT: _struct,
    s.UNION: _union,
    s.ARGUMENTS: _arguments,
    s.CUSTOM: _custom,
}
