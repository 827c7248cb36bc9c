"""Values of XDR types to and from what the ``json`` module reads and writes.

========================  ==================================================================
struct                    object with a key for each member
union                     object with the discriminant, and the arm's member if there is one
enum                      the member's name (its number is taken as well)
opaque, quadruple         hexadecimal string
string                    string; bytes that are no UTF-8 as lone surrogates
int, hyper, bool          number, true or false
float, double             number, or one of the strings ``NaN``, ``Infinity``, ``-Infinity``
optional                  the value, or null
array, linked list        array
void                      null
========================  ==================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.schema import Schema, schema_of

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_BYTES = (s.OPAQUE, s.FIXED_OPAQUE, s.QUADRUPLE)
_SEQUENCES = (s.ARRAY, s.FIXED_ARRAY, s.LINKED_LIST)


def to_json(designator: Any, value: Any) -> Any:
    """The JSON form of ``value``, which is of the type ``designator``."""
    return dump(schema_of(designator), value)


def from_json(designator: Any, data: Any) -> Any:
    """The value of the type ``designator`` that the JSON form ``data`` stands for.

    Raises ``XdrError`` with the path of what does not fit. Limits are checked when the value is
    encoded.
    """
    return parse(schema_of(designator), data)


def dump(schema: Schema, value: Any) -> Any:
    """``to_json`` for a schema."""
    op = schema[0]
    if op == s.CUSTOM:
        designator = schema[1].designator
        return value if designator is None else dump(schema_of(designator), value)
    if op == s.ENUM:
        return schema[2][value].name
    if op in _BYTES:
        return bytes(value).hex()
    if op in (s.FLOAT, s.DOUBLE):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if op in _SEQUENCES:
        return [dump(schema[1], item) for item in value]
    if op == s.OPTIONAL:
        return None if value is None else dump(schema[1], value)
    if op == s.STRUCT:
        _, _, names, fields = schema
        pairs = zip(names, fields, strict=True)
        return {name: dump(field, getattr(value, name)) for name, field in pairs}
    if op == s.UNION:
        _, _, tag, discriminant, _, _, by_class = schema
        _, payload_name, payload, _ = by_class[type(value)]
        result = {tag: dump(discriminant, getattr(value, tag))}
        if payload_name is not None:
            result[payload_name] = dump(payload, getattr(value, payload_name))
        return result
    return value


def parse(schema: Schema, data: Any) -> Any:
    """``from_json`` for a schema."""
    op = schema[0]
    if op == s.CUSTOM:
        designator = schema[1].designator
        return data if designator is None else parse(schema_of(designator), data)
    if op == s.ENUM:
        return _enum(schema, data)
    if op in _BYTES:
        return _bytes(schema, data)
    if op in (s.FLOAT, s.DOUBLE):
        return _float(data)
    if op in _SEQUENCES:
        return _items(schema[1], data)
    if op == s.OPTIONAL:
        return None if data is None else parse(schema[1], data)
    if op == s.STRUCT:
        _, cls, names, fields = schema
        _members(data, cls.__name__, names)
        return cls(*(_member(data, name, field) for name, field in zip(names, fields, strict=True)))
    if op == s.UNION:
        return _union(schema, data)
    for ops, kind, what in _PLAIN:
        if op in ops and (not isinstance(data, kind) or (kind is int and isinstance(data, bool))):
            _expected(what, data)
    return data


_PLAIN: tuple[tuple[tuple[int, ...], type, str], ...] = (
    ((s.INT, s.UNSIGNED_INT, s.HYPER, s.UNSIGNED_HYPER), int, "a whole number"),
    ((s.BOOL,), bool, "true or false"),
    ((s.STRING,), str, "a string"),
    ((s.VOID,), type(None), "null"),
)


def _expected(what: str, data: Any) -> NoReturn:
    raise XdrError(f"expected {what}, got {data!r:.60}")


def _enum(schema: Schema, data: Any) -> Any:
    _, cls, members = schema
    if isinstance(data, str) and data in cls.__members__:
        return cls[data]
    if isinstance(data, int) and not isinstance(data, bool) and data in members:
        return members[data]
    _expected(f"a member of {cls.__name__} ({', '.join(cls.__members__)})", data)


def _bytes(schema: Schema, data: Any) -> bytes:
    if not isinstance(data, str):
        _expected("a hexadecimal string", data)
    try:
        value = bytes.fromhex(data)
        return Quad(value) if schema[0] == s.QUADRUPLE else value
    except ValueError as error:
        raise XdrError(f"expected a hexadecimal string, got {data!r:.60}: {error}") from None


def _float(data: Any) -> float:
    if (isinstance(data, (int, float)) and not isinstance(data, bool)) or data in _NOT_FINITE:
        try:
            return float(data)
        except OverflowError:
            raise XdrError("the number is too large") from None
    _expected("a number", data)


def _items(element: Schema, data: Any) -> list[Any]:
    if not isinstance(data, list):
        _expected("an array", data)
    items: list[Any] = []
    try:
        for item in data:
            items.append(parse(element, item))
    except XdrError as error:
        raise error.within(f"[{len(items)}]") from None
    return items


def _union(schema: Schema, data: Any) -> Any:
    _, name, tag, discriminant, cases, default, _ = schema
    if not isinstance(data, Mapping) or tag not in data:
        _expected(f"an object with {tag!r}", data)
    label = _member(data, tag, discriminant)
    arm = cases.get(label, default)
    if arm is None:
        raise XdrError(f"{name} has no case {label!r}")
    cls, payload_name, payload, carries = arm
    _members(data, cls.__name__, (tag,) if payload_name is None else (tag, payload_name))
    keywords = {tag: label} if carries else {}
    if payload_name is not None:
        return cls(_member(data, payload_name, payload), **keywords)
    return cls(**keywords)


def _members(data: Any, name: str, names: tuple[str, ...]) -> None:
    if not isinstance(data, Mapping):
        _expected(f"an object for {name}", data)
    for key in names:
        if key not in data:
            raise XdrError(f"{name} needs {key!r}")
    for key in data:
        if key not in names:
            raise XdrError(f"{name} has no member {key!r} (it has {', '.join(names)})")


def _member(data: Mapping[str, Any], name: str, field: Schema) -> Any:
    try:
        return parse(field, data[name])
    except XdrError as error:
        raise error.within(name) from None
