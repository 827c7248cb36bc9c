"""The encoding half of the reference codec: one function for each opcode of the schema."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

from xdrlib3 import Packer

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import raw_numbers
from rpcserver.xdr.custom import pack_custom
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH, MAX_EMPTY


def _refuse(packer: Packer, reason: str) -> NoReturn:
    raise XdrError(reason, len(packer.get_buffer()))


def _expected(packer: Packer, what: str, value: Any) -> NoReturn:
    _refuse(packer, f"expected {what}, got {type(value).__name__}")


def _integer(write: Callable[[Packer, int], None], low: int, high: int) -> Callable[..., None]:
    def pack_integer(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
        try:
            number = operator.index(value)
        except TypeError:
            _expected(packer, "an int", value)
        if not low <= number <= high:
            _refuse(packer, f"{_decimal(number)} is not between {low} and {high}")
        write(packer, number)

    return pack_integer


def _decimal(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python prints
        return f"a number of {number.bit_length()} bits"


def _pack_void(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    if value is not None:
        _expected(packer, "None", value)


_pack_int = _integer(Packer.pack_int, -(2**31), 2**31 - 1)
_pack_unsigned_int = _integer(Packer.pack_uint, 0, 2**32 - 1)


def _floating(write: Callable[[Packer, float], None]) -> Callable[..., None]:
    def pack_floating(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
        if isinstance(value, (str, bytes, bytearray)) or not hasattr(type(value), "__float__"):
            _expected(packer, "a float", value)
        try:
            write(packer, float(value))
        except (OverflowError, ValueError, TypeError):
            _refuse(packer, f"{value!r} is too large for the type")

    return pack_floating


def _pack_bool(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    if value is not True and value is not False:
        _expected(packer, "a bool", value)
    packer.pack_bool(value)


def _pack_enum(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _, cls, members = schema
    number = int.__index__(value) if isinstance(value, int) else None
    if number is None or (type(value) is not cls and number not in members):
        _refuse(packer, f"{value!r} is no member of {cls.__name__}")
    if not -(2**31) <= number < 2**31:
        _refuse(packer, f"{value!r} is no member of {cls.__name__}")
    packer.pack_enum(number)


def _buffer(packer: Packer, value: Any) -> bytes:
    try:
        return value if type(value) is bytes else memoryview(value).tobytes()
    except TypeError:
        _expected(packer, "bytes or another buffer", value)


def _pack_fixed_opaque(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    data = _buffer(packer, value)
    if len(data) != schema[1]:
        _refuse(packer, f"{len(data)} bytes where exactly {schema[1]} must be")
    packer.pack_fopaque(len(data), data)


def _pack_quadruple(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    if not isinstance(value, Quad):
        _expected(packer, "an xdr.Quad", value)
    if len(value) != 16:  # not made by its own class
        _refuse(packer, f"{len(value)} bytes where exactly 16 must be")
    packer.pack_fopaque(16, bytes(value))


def _pack_limited(packer: Packer, data: bytes, limit: int) -> None:
    if len(data) > limit:
        _refuse(packer, f"{len(data)} bytes exceed the limit of {limit}")
    packer.pack_opaque(data)


def _pack_opaque(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _pack_limited(packer, _buffer(packer, value), schema[1])


def _pack_string(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    if not isinstance(value, str):
        _expected(packer, "a str", value)
    try:
        data = str.encode(value, schema[2], "surrogateescape")
    except UnicodeEncodeError as error:
        _refuse(packer, f"{value[error.start : error.end]!r} cannot be encoded as {schema[2]}")
    _pack_limited(packer, data, schema[1])


def _sequence(packer: Packer, value: Any) -> int:
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__getitem__"):
        _expected(packer, "a list or another sequence", value)
    try:
        return len(value)
    except TypeError:
        _expected(packer, "a list or another sequence", value)


def _pack_elements(element: Schema, packer: Packer, value: Any, count: int, depth: int) -> None:
    raw = None if type(value) is list else raw_numbers(element[0], value, count)
    if raw is not None:
        packer.pack_fstring(len(raw), raw)
        return
    pack_one = PACK[element[0]]
    index = 0
    try:
        for item in value:
            pack_one(element, packer, item, depth)
            index += 1
    except XdrError as error:
        error.within(f"[{index}]")
        raise
    if index != count:
        _refuse(packer, f"{index} elements in a sequence whose length is {count}")


def _pack_fixed_array(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    count = _sequence(packer, value)
    if count != schema[2]:
        _refuse(packer, f"{count} elements where exactly {schema[2]} must be")
    _pack_elements(schema[1], packer, value, count, depth)


def _pack_array(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _, element, limit, (least,) = schema
    count = _sequence(packer, value)
    limit = limit if least else min(limit, MAX_EMPTY)
    if count > limit:
        _refuse(packer, f"{count} elements exceed the limit of {limit}")
    packer.pack_uint(count)
    _pack_elements(element, packer, value, count, _shallower(packer, depth))


def _pack_optional(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    packer.pack_bool(value is not None)
    if value is not None:
        element = schema[1]
        PACK[element[0]](element, packer, value, _shallower(packer, depth))


def _pack_linked_list(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _, node, nonempty = schema
    depth = _shallower(packer, depth)
    count = _sequence(packer, value)
    if not count and nonempty:
        _refuse(packer, "a list held by value has at least one node")
    index = 0
    try:
        for item in value:
            if index or not nonempty:
                packer.pack_bool(True)
            _pack_struct(node, packer, item, depth)
            index += 1
    except XdrError as error:
        error.within(f"[{index}]")
        raise
    if index != count:
        _refuse(packer, f"{index} elements in a sequence whose length is {count}")
    packer.pack_bool(False)


def _pack_struct(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _, cls, names, fields = schema
    if not isinstance(value, cls):
        _expected(packer, cls.__name__, value)
    name = ""
    try:
        for name, field in zip(names, fields, strict=True):
            PACK[field[0]](field, packer, getattr(value, name), depth)
    except XdrError as error:
        error.within(name)
        raise


def _pack_union(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    _, name, tag, discriminant, cases, default, by_class = schema
    arm = by_class.get(type(value))
    if arm is None:
        _expected(packer, f"an arm of {name}", value)
    cls, payload_name, payload, carries = arm
    depth = _shallower(packer, depth)
    label = getattr(value if carries else cls, tag)
    step = tag
    try:
        PACK[discriminant[0]](discriminant, packer, label, depth)
        if carries and cases.get(operator.index(label), default) is not arm:
            raise XdrError(f"{label!r} is no case of {cls.__name__}", len(packer.get_buffer()) - 4)
        if payload_name is not None:
            step = payload_name
            PACK[payload[0]](payload, packer, getattr(value, payload_name), depth)
    except XdrError as error:
        error.within(step)
        raise


def _pack_arguments(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    fields = schema[1]
    if len(fields) == 1:
        PACK[fields[0][0]](fields[0], packer, value[0], depth)
        return
    index = 0
    try:
        for index, field in enumerate(fields):
            PACK[field[0]](field, packer, value[index], depth)
    except XdrError as error:
        error.within(f"[{index}]")
        raise


def _pack_custom(schema: Schema, packer: Packer, value: Any, depth: int) -> None:
    hook = schema[1]
    if hook.designator is not None:
        supplied = s.schema_of(hook.designator)
        PACK[supplied[0]](supplied, packer, value, _shallower(packer, depth))
        return
    data = pack_custom(hook, value, len(packer.get_buffer()))
    packer.pack_fstring(len(data), data)


def _shallower(packer: Packer, depth: int) -> int:
    if not depth:
        _refuse(packer, f"nested more than {MAX_DEPTH} deep")
    return depth - 1


PACK: dict[int, Callable[..., None]] = {
    s.VOID: _pack_void,
    s.INT: _pack_int,
    s.UNSIGNED_INT: _pack_unsigned_int,
    s.HYPER: _integer(Packer.pack_hyper, -(2**63), 2**63 - 1),
    s.UNSIGNED_HYPER: _integer(Packer.pack_uhyper, 0, 2**64 - 1),
    s.FLOAT: _floating(Packer.pack_float),
    s.DOUBLE: _floating(Packer.pack_double),
    s.QUADRUPLE: _pack_quadruple,
    s.BOOL: _pack_bool,
    s.ENUM: _pack_enum,
    s.FIXED_OPAQUE: _pack_fixed_opaque,
    s.OPAQUE: _pack_opaque,
    s.STRING: _pack_string,
    s.FIXED_ARRAY: _pack_fixed_array,
    s.ARRAY: _pack_array,
    s.OPTIONAL: _pack_optional,
    s.LINKED_LIST: _pack_linked_list,
    s.STRUCT: _pack_struct,
    s.UNION: _pack_union,
    s.ARGUMENTS: _pack_arguments,
    s.CUSTOM: _pack_custom,
}
