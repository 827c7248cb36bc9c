"""The decoding half of the reference codec: one function for each opcode of the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import TYPECODES, numbers
from rpcserver.xdr.custom import Source, unpack_custom
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH, MAX_EMPTY, UnknownArm


def _short(unpacker: Source, start: int, wanted: int) -> XdrError:
    left = max(len(unpacker.get_buffer()) - start, 0)
    return XdrError(f"{wanted} bytes wanted and {left} left", start)


def _scalar(read: Callable[[Source], Any], size: int) -> Callable[..., Any]:
    def unpack_scalar(schema: Schema, unpacker: Source, depth: int) -> Any:
        start = unpacker.get_position()
        try:
            return read(unpacker)
        except EOFError:
            raise _short(unpacker, start, size) from None

    return unpack_scalar


def _unpack_void(schema: Schema, unpacker: Source, depth: int) -> None:
    return None


_unpack_int = _scalar(Source.unpack_int, 4)
_unpack_unsigned_int = _scalar(Source.unpack_uint, 4)


def _unpack_bool(schema: Schema, unpacker: Source, depth: int) -> bool:
    word: int = _unpack_unsigned_int(schema, unpacker, depth)
    if word > 1:
        raise XdrError(f"a bool is 0 or 1, not {word}", unpacker.get_position() - 4)
    return word == 1


def _unpack_enum(schema: Schema, unpacker: Source, depth: int) -> Any:
    number = _unpack_int(schema, unpacker, depth)
    try:
        return schema[2][number]
    except KeyError:
        if unpacker.lenient:
            return number
        offset = unpacker.get_position() - 4
        raise XdrError(f"{schema[1].__name__} has no member {number}", offset) from None


def _take(unpacker: Source, size: int) -> bytes:
    start = unpacker.get_position()
    try:
        data = unpacker.unpack_fstring(size)
    except EOFError:
        raise _short(unpacker, start, size + -size % 4) from None
    end = start + size
    if unpacker.get_buffer()[end : end + -size % 4].strip(b"\0"):
        raise XdrError("the padding is not zero", end)
    return bytes(data)


def _count(unpacker: Source, limit: int, unit: str) -> int:
    count: int = _unpack_unsigned_int((), unpacker, 0)
    if count > limit:
        offset = unpacker.get_position() - 4
        raise XdrError(f"{count} {unit} exceed the limit of {limit}", offset)
    return count


def _unpack_quadruple(schema: Schema, unpacker: Source, depth: int) -> Quad:
    return Quad(_take(unpacker, 16))


def _opaque(unpacker: Source, size: int) -> bytes | memoryview:
    start = unpacker.get_position()
    data = _take(unpacker, size)
    return memoryview(unpacker.get_buffer())[start : start + size] if unpacker.buffers else data


def _unpack_fixed_opaque(schema: Schema, unpacker: Source, depth: int) -> bytes | memoryview:
    return _opaque(unpacker, schema[1])


def _unpack_opaque(schema: Schema, unpacker: Source, depth: int) -> bytes | memoryview:
    return _opaque(unpacker, _count(unpacker, schema[1], "bytes"))


def _unpack_string(schema: Schema, unpacker: Source, depth: int) -> str:
    count = _count(unpacker, schema[1], "bytes")
    start = unpacker.get_position()
    try:
        return _take(unpacker, count).decode(schema[2], "surrogateescape")
    except UnicodeDecodeError:
        raise XdrError(f"the bytes are no {schema[2]}", start) from None


def _elements(element: Schema, unpacker: Source, depth: int, count: int) -> Any:
    if unpacker.buffers and element[0] in TYPECODES:
        return _numbers(element, unpacker, count)
    unpack_one = UNPACK[element[0]]
    items: Any = []
    try:
        for _ in range(count):
            items.append(unpack_one(element, unpacker, depth))
    except XdrError as error:
        error.within(f"[{len(items)}]")
        raise
    return items


def _numbers(element: Schema, unpacker: Source, count: int) -> Any:
    start = unpacker.get_position()
    size = 8 if TYPECODES[element[0]] in "qQd" else 4
    left = len(unpacker.get_buffer()) - start
    if count * size > left:  # of a fixed array: which element is it that is not there
        there = max(left, 0) // size
        raise _short(unpacker, start + there * size, size).within(f"[{there}]")
    unpacker.set_position(start + count * size)
    data = unpacker.get_buffer()[start : start + count * size]
    return numbers(TYPECODES[element[0]], data)


def _unpack_fixed_array(schema: Schema, unpacker: Source, depth: int) -> Any:
    return _elements(schema[1], unpacker, depth, schema[2])


def _unpack_array(schema: Schema, unpacker: Source, depth: int) -> Any:
    _, element, limit, (least,) = schema
    count = _count(unpacker, limit, "elements")
    start = unpacker.get_position()
    left = len(unpacker.get_buffer()) - start
    if count * least > left or (not least and count > MAX_EMPTY):
        raise XdrError(f"{count} elements do not fit into the {left} bytes left", start - 4)
    return _elements(element, unpacker, _deeper(depth, start - 4), count)


def _unpack_optional(schema: Schema, unpacker: Source, depth: int) -> Any:
    if not _unpack_bool(schema, unpacker, depth):
        return None
    element = schema[1]
    offset = unpacker.get_position() - 4
    return UNPACK[element[0]](element, unpacker, _deeper(depth, offset))


def _unpack_linked_list(schema: Schema, unpacker: Source, depth: int) -> list[Any]:
    _, node, nonempty = schema
    depth = _deeper(depth, unpacker.get_position())
    items: list[Any] = []
    try:
        while (nonempty and not items) or _unpack_bool(schema, unpacker, depth):
            items.append(_unpack_struct(node, unpacker, depth))
    except XdrError as error:
        error.within(f"[{len(items)}]")
        raise
    return items


def _unpack_struct(schema: Schema, unpacker: Source, depth: int) -> Any:
    _, cls, names, fields = schema
    values: list[Any] = []
    try:
        for field in fields:
            values.append(UNPACK[field[0]](field, unpacker, depth))
    except XdrError as error:
        error.within(names[len(values)])
        raise
    return cls(*values)


def _unpack_union(schema: Schema, unpacker: Source, depth: int) -> Any:
    _, name, tag, discriminant, cases, default, _ = schema
    try:
        label = UNPACK[discriminant[0]](discriminant, unpacker, depth)
        arm = cases.get(label, default)
        if arm is None:
            if unpacker.lenient:
                return UnknownArm(int(label))
            raise XdrError(f"{name} has no case {label!r}", unpacker.get_position() - 4)
    except XdrError as error:
        error.within(tag)
        raise
    cls, payload_name, payload, carries = arm
    depth = _deeper(depth, unpacker.get_position() - 4)  # an arm may hold the union itself
    keywords = {tag: label} if carries else {}
    if payload_name is None:
        return cls(**keywords)
    try:
        held = UNPACK[payload[0]](payload, unpacker, depth)
    except XdrError as error:
        error.within(payload_name)
        raise
    return cls(held, **keywords)


def _unpack_arguments(schema: Schema, unpacker: Source, depth: int) -> tuple[Any, ...]:
    fields = schema[1]
    if len(fields) == 1:
        return (UNPACK[fields[0][0]](fields[0], unpacker, depth),)
    values: list[Any] = []
    try:
        for field in fields:
            values.append(UNPACK[field[0]](field, unpacker, depth))
    except XdrError as error:
        error.within(f"[{len(values)}]")
        raise
    return tuple(values)


def _unpack_custom(schema: Schema, unpacker: Source, depth: int) -> Any:
    hook = schema[1]
    if hook.designator is not None:
        supplied = s.schema_of(hook.designator)
        return UNPACK[supplied[0]](supplied, unpacker, _deeper(depth, unpacker.get_position()))
    start = unpacker.get_position()
    value, end = unpack_custom(hook, unpacker.get_buffer(), start, unpacker.lenient)
    unpacker.set_position(end)
    return value


def _deeper(depth: int, offset: int) -> int:
    if not depth:
        raise XdrError(f"nested more than {MAX_DEPTH} deep", offset)
    return depth - 1


UNPACK: dict[int, Callable[..., Any]] = {
    s.VOID: _unpack_void,
    s.INT: _unpack_int,
    s.UNSIGNED_INT: _unpack_unsigned_int,
    s.HYPER: _scalar(Source.unpack_hyper, 8),
    s.UNSIGNED_HYPER: _scalar(Source.unpack_uhyper, 8),
    s.FLOAT: _scalar(Source.unpack_float, 4),
    s.DOUBLE: _scalar(Source.unpack_double, 8),
    s.QUADRUPLE: _unpack_quadruple,
    s.BOOL: _unpack_bool,
    s.ENUM: _unpack_enum,
    s.FIXED_OPAQUE: _unpack_fixed_opaque,
    s.OPAQUE: _unpack_opaque,
    s.STRING: _unpack_string,
    s.FIXED_ARRAY: _unpack_fixed_array,
    s.ARRAY: _unpack_array,
    s.OPTIONAL: _unpack_optional,
    s.LINKED_LIST: _unpack_linked_list,
    s.STRUCT: _unpack_struct,
    s.UNION: _unpack_union,
    s.ARGUMENTS: _unpack_arguments,
    s.CUSTOM: _unpack_custom,
}
