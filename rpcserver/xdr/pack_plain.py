"""Encoding of what has no parts, and of runs of it: a schema becomes a function, once."""

from __future__ import annotations

import operator
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, NoReturn, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.runs import CODES, PADDING, Run
from rpcserver.xdr.schema import Schema

Parts: TypeAlias = list[bytes]
"""what is written so far"""

Pack: TypeAlias = Callable[[Parts, Any, int], None]
"""writes a value; the number says how much deeper the nesting may go"""

FALSE, TRUE = bytes(4), b"\0\0\0\1"
word = Struct(">I").pack

RANGES = {
    s.INT: (-(2**31), 2**31 - 1),
    s.UNSIGNED_INT: (0, 2**32 - 1),
    s.HYPER: (-(2**63), 2**63 - 1),
    s.UNSIGNED_HYPER: (0, 2**64 - 1),
}

REFUSALS = (StructError, AttributeError, LookupError, TypeError, ValueError, OverflowError)
"""what packing many values at once fails with; the walk, one by one, then says why"""


def size_of(out: Parts) -> int:
    """How many bytes are written."""
    return sum(map(len, out))


def refuse(out: Parts, reason: str) -> NoReturn:
    """Raise ``XdrError`` for what was to come next."""
    raise XdrError(reason, size_of(out))


def expected(out: Parts, what: str, value: Any) -> NoReturn:
    """Raise ``XdrError`` for a value of a wrong type."""
    refuse(out, f"expected {what}, got {type(value).__name__}")


# --- scalars ---------------------------------------------------------------------------------


def pack_void(out: Parts, value: Any, depth: int) -> None:
    """Nothing, for ``None``."""
    if value is not None:
        expected(out, "None", value)


def integer(schema: Schema) -> Pack:
    """For the four kinds of integers."""
    low, high = RANGES[schema[0]]
    write = Struct(">" + CODES[schema[0]]).pack

    def pack_integer(out: Parts, value: Any, depth: int) -> None:
        try:
            number = operator.index(value)
        except TypeError:
            expected(out, "an int", value)
        if not low <= number <= high:
            refuse(out, f"{_decimal(number)} is not between {low} and {high}")
        out.append(write(number))

    return pack_integer


def _decimal(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python prints
        return f"a number of {number.bit_length()} bits"


def floating(schema: Schema) -> Pack:
    """For float and double."""
    write = Struct(">" + CODES[schema[0]]).pack

    def pack_floating(out: Parts, value: Any, depth: int) -> None:
        if isinstance(value, (str, bytes, bytearray)) or not hasattr(type(value), "__float__"):
            expected(out, "a float", value)
        try:
            out.append(write(float(value)))
        except (OverflowError, ValueError, TypeError):
            refuse(out, f"{value!r} is too large for the type")

    return pack_floating


def pack_bool(out: Parts, value: Any, depth: int) -> None:
    """0 or 1."""
    if value is not True and value is not False:
        expected(out, "a bool", value)
    out.append(TRUE if value else FALSE)


def enum(schema: Schema) -> Pack:
    """For a member, or its number."""
    _, cls, members = schema
    write = Struct(">i").pack

    def pack_enum(out: Parts, value: Any, depth: int) -> None:
        number = int.__index__(value) if isinstance(value, int) else None
        if number is None or (type(value) is not cls and number not in members):
            refuse(out, f"{value!r} is no member of {cls.__name__}")
        try:
            out.append(write(number))
        except StructError:
            refuse(out, f"{value!r} is no member of {cls.__name__}")

    return pack_enum


# --- bytes and text --------------------------------------------------------------------------


def _as_bytes(out: Parts, value: Any) -> bytes:
    try:
        return memoryview(value).tobytes()
    except TypeError:
        expected(out, "bytes or another buffer", value)


def append_padded(out: Parts, data: bytes) -> None:
    """``data`` and the zeros behind it."""
    out.append(data)
    if len(data) & 3:
        out.append(PADDING[-len(data) & 3])


def fixed_opaque(schema: Schema) -> Pack:
    """For so many bytes, no more and no fewer."""
    size = schema[1]

    def pack_fixed_opaque(out: Parts, value: Any, depth: int) -> None:
        data = value if type(value) is bytes else _as_bytes(out, value)
        if len(data) != size:
            refuse(out, f"{len(data)} bytes where exactly {size} must be")
        append_padded(out, data)

    return pack_fixed_opaque


def pack_quadruple(out: Parts, value: Any, depth: int) -> None:
    """The 16 bytes of a ``Quad``."""
    if not isinstance(value, Quad):
        expected(out, "an xdr.Quad", value)
    if len(value) != 16:  # not made by its own class
        refuse(out, f"{len(value)} bytes where exactly 16 must be")
    out.append(bytes(value))


def _encoder(schema: Schema) -> Callable[[Parts, Any], bytes]:
    """The function that has the bytes of a value whose type is of ``COUNTED``."""
    limit = schema[1]

    def encode_opaque(out: Parts, value: Any) -> bytes:
        data = value if type(value) is bytes else _as_bytes(out, value)
        if len(data) > limit:
            refuse(out, f"{len(data)} bytes exceed the limit of {limit}")
        return data

    def encode_text(out: Parts, value: Any) -> bytes:
        if not isinstance(value, str):
            expected(out, "a str", value)
        try:
            data = str.encode(value, encoding, "surrogateescape")
        except UnicodeEncodeError as error:
            refuse(out, f"{value[error.start : error.end]!r} cannot be encoded as {encoding}")
        if len(data) > limit:
            refuse(out, f"{len(data)} bytes exceed the limit of {limit}")
        return data

    if schema[0] == s.OPAQUE:
        return encode_opaque
    encoding = schema[2]
    return encode_text


def counted(schema: Schema) -> Pack:
    """For opaque data and strings, behind their length."""
    encode = _encoder(schema)

    def pack_counted(out: Parts, value: Any, depth: int) -> None:
        data = encode(out, value)
        size = len(data)
        out.append(word(size))
        out.append(data)
        if size & 3:
            out.append(PADDING[-size & 3])

    return pack_counted


# --- runs ------------------------------------------------------------------------------------


def kinds_of(schema: Schema) -> frozenset[type]:
    """The types whose values ``struct`` takes as we do; empty: it is as strict as we are."""
    if schema[0] in (s.FLOAT, s.DOUBLE):
        return frozenset((float, int))
    if schema[0] == s.BOOL:
        return frozenset((bool,))
    return frozenset((schema[1],)) if schema[0] == s.ENUM else frozenset()


def run_of(
    run: Run, getter: Any, keys: list[Any], fields: list[Schema]
) -> Callable[[Parts, Any], bool]:
    """The function that packs a run of members at once, or does nothing and says so.

    ``getter``: attrgetter or itemgetter, for ``keys``, by which a value has its members.
    """
    assert run.form is not None
    fields = fields[run.first : run.stop]
    if run.counted:
        return _counted_run(run.form, getter, keys, fields)
    write, get = run.form.pack, getter(*keys)
    checks = _checks(fields)

    def pack_run(out: Parts, value: Any) -> bool:
        try:
            values = get(value)
            for at, kinds in checks:
                if type(values[at]) not in kinds:
                    return False
            out.append(write(*values))
        except REFUSALS:
            return False
        return True

    return pack_run


def _checks(fields: list[Schema]) -> list[tuple[int, frozenset[type]]]:
    return [(at, kinds) for at, field in enumerate(fields) if (kinds := kinds_of(field))]


def _counted_run(
    form: Struct, getter: Any, keys: list[Any], fields: list[Schema]
) -> Callable[[Parts, Any], bool]:
    write, encode = form.pack, _encoder(fields[-1])
    get_heads, get_last = getter(*keys[:-1]), getter(keys[-1])
    checks = _checks(fields[:-1])
    alone = len(keys) == 2  # its getter has no tuple, and calls without one are much faster

    def pack_run(out: Parts, value: Any) -> bool:
        try:
            heads = get_heads(value)
            for at, kinds in checks:
                if type(heads if alone else heads[at]) not in kinds:
                    return False
            data = encode(out, get_last(value))
            size = len(data)
            out.append(write(heads, size) if alone else write(*heads, size))
        except REFUSALS:
            return False
        out.append(data)
        if size & 3:
            out.append(PADDING[-size & 3])
        return True

    return pack_run
