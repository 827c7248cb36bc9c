"""A designator (see ``types``) becomes a schema: plain data that every codec walks.

A schema is a tuple that starts with an opcode:

======================================================  =====================================
``(VOID,)`` ``(INT,)`` ... ``(BOOL,)``                  a type without parameters
``(ENUM, cls, {int: member})``
``(FIXED_OPAQUE, size)``  ``(OPAQUE, limit)``
``(STRING, limit, encoding)``
``(FIXED_ARRAY, element, size)``
``(ARRAY, element, limit, [least])``                    least bytes that one element takes
``(OPTIONAL, element)``
``(LINKED_LIST, node, nonempty)``
``(STRUCT, cls, names, [field, ...])``
``(UNION, name, tag, discriminant, {label: arm},``      tag: name of the discriminant;
``default, {cls: arm})``                                default: an arm or None
``(ARGUMENTS, [field, ...])``                           of a procedure; a tuple
``(CUSTOM, hook)``                                      a ``Custom``
======================================================  =====================================

An arm is ``(cls, payload name | None, payload, carries)``; one that carries its discriminant
takes it by keyword. The lists let a recursive type hold itself.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import lru_cache
from inspect import get_annotations
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from rpcserver.xdr.types import (
    DEFAULT,
    MAX_LENGTH,
    Arm,
    Array,
    Bool,
    Custom,
    FixedArray,
    FixedOpaque,
    LinkedList,
    Marker,
    Opaque,
    Primitive,
    String,
    Struct,
    Void,
)

Schema: TypeAlias = tuple[Any, ...]

(
    VOID,
    INT,
    UNSIGNED_INT,
    HYPER,
    UNSIGNED_HYPER,
    FLOAT,
    DOUBLE,
    QUADRUPLE,
    BOOL,
    ENUM,
    FIXED_OPAQUE,
    OPAQUE,
    STRING,
    FIXED_ARRAY,
    ARRAY,
    OPTIONAL,
    LINKED_LIST,
    STRUCT,
    UNION,
    ARGUMENTS,
    CUSTOM,
) = range(21)

_PRIMITIVES = {
    "void": VOID,
    "int": INT,
    "unsigned int": UNSIGNED_INT,
    "hyper": HYPER,
    "unsigned hyper": UNSIGNED_HYPER,
    "float": FLOAT,
    "double": DOUBLE,
    "quadruple": QUADRUPLE,
    "bool": BOOL,
}
_LEAST_BYTES = {VOID: 0, HYPER: 8, UNSIGNED_HYPER: 8, DOUBLE: 8, QUADRUPLE: 16}
_ALIASES = {bool: Bool, type(None): Void, None: Void}


@lru_cache(maxsize=4096)
def schema_of(designator: Any) -> Schema:
    """The schema of an XDR type.

    Raises ``TypeError`` for what is no designator, with the class and the field it stands in.
    """
    return _Builder().build(designator)


def arguments_schema(designators: Sequence[Any]) -> Schema:
    """The schema of a procedure's arguments, one after the other (RFC 5531 section 12)."""
    return (ARGUMENTS, [schema_of(designator) for designator in designators])


class _Builder:
    """Builds one schema; what it meets twice (a recursive type) is the same object."""

    def __init__(self) -> None:
        self._structs: dict[type, Schema] = {}
        self._unions: dict[frozenset[Any], Schema] = {}
        self._arrays: list[Schema] = []

    def build(self, designator: Any) -> Schema:
        schema = self._schema(designator)
        # Only now is every struct complete, and its least size known.
        known: dict[int, int] = {}
        for _, element, _, least in self._arrays:
            least[0] = min(_least_bytes(element, known), _ENDLESS)
        for cls, struct in self._structs.items():
            if _least_bytes(struct, known) >= _ENDLESS:
                raise TypeError(f"{cls.__qualname__} contains itself without a pointer")
        for cls, struct in self._structs.items():  # only if all of them are good
            cls._xdr_schema = struct  # type: ignore[attr-defined]
        return schema

    def _schema(self, designator: Any) -> Schema:
        designator = _ALIASES.get(designator, designator)
        origin = get_origin(designator)
        if origin is Annotated:
            markers = [extra for extra in get_args(designator)[1:] if isinstance(extra, Marker)]
            if len(markers) != 1:
                raise TypeError(f"{designator!r} needs exactly one marker from rpcserver.xdr")
            return self._marked(markers[0])
        if origin is Union or origin is types.UnionType:
            return self._union(designator)
        if isinstance(designator, Marker):
            return self._marked(designator)
        if isinstance(designator, type):
            if issubclass(designator, Struct):
                return self._struct(designator)
            if issubclass(designator, Arm):
                return self._arms((designator,))
            if issubclass(designator, IntEnum):
                members = {int(member): member for member in designator}
                return (ENUM, designator, members)
        hint = " (an int is xdr.Int, xdr.Hyper, ...)" if designator is int else ""
        raise TypeError(f"{designator!r} is no XDR type{hint}")

    def _marked(self, marker: Marker) -> Schema:
        match marker:
            case Primitive(name):
                return (_PRIMITIVES[name],)
            case String(limit, encoding):
                return (STRING, _limit(limit), encoding)
            case Opaque(limit):
                return (OPAQUE, _limit(limit))
            case FixedOpaque(size):
                return (FIXED_OPAQUE, _limit(size))
            case Array(element, limit):
                array = (ARRAY, self._schema(element), _limit(limit), [0])
                self._arrays.append(array)
                return array
            case FixedArray(element, size):
                return (FIXED_ARRAY, self._schema(element), _limit(size))
            case Custom():
                return (CUSTOM, marker)
            case LinkedList(node, nonempty):
                schema = self._schema(node)
                if schema[0] != STRUCT:
                    raise TypeError(f"{node!r} is no struct: the nodes of a list are")
                return (LINKED_LIST, schema, bool(nonempty))
        raise TypeError(f"{marker!r} is no marker of rpcserver.xdr")

    def _struct(self, cls: type) -> Schema:
        known = self._structs.get(cls) or cls.__dict__.get("_xdr_schema")
        if known:
            return known
        if not is_dataclass(cls):
            raise TypeError(f"{cls.__qualname__} must be a @dataclass(slots=True)")
        names = tuple(field.name for field in fields(cls))
        schema: Schema = (STRUCT, cls, names, [])
        self._structs[cls] = schema
        schema[3].extend(self._field(cls, name) for name in names)
        return schema

    def _field(self, cls: type, name: str) -> Schema:
        owner = next(base for base in cls.__mro__ if name in get_annotations(base))
        annotation = get_annotations(owner)[name]
        try:
            if isinstance(annotation, str):
                annotation = eval(annotation, vars(sys.modules[owner.__module__]))
            return self._schema(annotation)
        except (TypeError, NameError) as error:
            raise TypeError(f"{cls.__qualname__}.{name}: {error}") from error

    def _union(self, designator: Any) -> Schema:
        members = get_args(designator)
        rest = [member for member in members if member is not type(None)]
        whole = self._arms(tuple(rest)) if len(rest) > 1 else self._schema(rest[0])
        return (OPTIONAL, whole) if len(rest) < len(members) else whole

    def _arms(self, arms: tuple[Any, ...]) -> Schema:
        if not all(isinstance(arm, type) and issubclass(arm, Arm) for arm in arms):
            raise TypeError(f"a union is made of xdr.Arm classes, not of {arms!r}")
        key = frozenset(arms)
        if key in self._unions:
            return self._unions[key]
        cases: dict[int, Any] = {}
        default: list[Any] = []
        name = (arms[0].__doc__ or arms[0].__name__).partition(",")[0]
        tag = _arm_names(arms[0])[0]
        discriminant = self._schema(arms[0]._on)
        if discriminant[0] not in (INT, UNSIGNED_INT, BOOL, ENUM):
            raise TypeError(f"{name} switches on {arms[0]._on!r}: no int, unsigned int, bool, enum")
        # The arms may hold the union itself: it must be there before they are looked at.
        entries = [_arm(arm) for arm in arms]
        for arm, entry in zip(arms, entries, strict=True):
            if arm._case is DEFAULT:
                default.append(entry)
            else:
                cases.update((int(label), entry) for label in arm._case)
        if len(default) > 1:
            raise TypeError(f"{name} has {len(default)} default arms")
        by_class = dict(zip(arms, entries, strict=True))
        other = default[0] if default else None
        schema = (UNION, name, tag, discriminant, cases, other, by_class)
        self._unions[key] = schema
        for arm, entry in by_class.items():
            if entry[1] is not None:
                entry[2] = self._field(arm, entry[1])
        return schema


def _arm_names(arm: type[Arm]) -> list[str]:
    """The names of an arm's discriminant and, if it has one, of its payload."""
    names = list(get_annotations(arm))
    if not names or len(names) > 2:
        raise TypeError(f"{arm.__qualname__} needs a discriminant and at most one member")
    return names


def _arm(arm: type[Arm]) -> list[Any]:
    """An arm as the schema has it; the payload's own schema is filled in later."""
    tag, *payload = _arm_names(arm)
    carries = any(field.name == tag for field in fields(arm))  # type: ignore[arg-type]
    if not carries and not isinstance(getattr(arm, tag, None), int):
        raise TypeError(f"{arm.__qualname__}.{tag} is neither a field nor a number")
    return [arm, payload[0] if payload else None, (VOID,), carries]


def _limit(limit: int | None) -> int:
    if limit is None:
        return MAX_LENGTH
    if not 0 <= limit <= MAX_LENGTH:
        raise TypeError(f"{limit} is no size: those are of 32 bits, without a sign")
    return int(limit)


def slots_of(cls: type, names: Sequence[str]) -> tuple[Any, ...] | None:
    """The descriptors of the slots that instances of ``cls`` have for ``names``, if they have
    nothing else, so that who reads or fills these need not run any code of the class.

    ``names`` are of a struct all its fields, of an arm its discriminant (if that is a field) and
    what it holds.
    """
    methods = {name: _owner(cls, name) for name in ("__init__", "__setattr__")}
    made = methods["__init__"].__dict__.get("__dataclass_params__")
    code = getattr(cls.__init__, "__code__", None)  # type: ignore[misc]
    if made is None or not made.init or code is None:
        return None
    if not code.co_qualname.startswith("__create_fn__."):  # put in its place later
        return None
    frozen = methods["__setattr__"].__dict__.get("__dataclass_params__")
    if methods["__setattr__"] is not object and (frozen is None or not frozen.frozen):
        return None
    if (
        type(cls) is not type  # which may have another way to make an instance
        or hasattr(cls, "__post_init__")
        or any(_owner(cls, name) is not object for name in ("__new__", "__getattribute__"))
        or cls.__dictoffset__
    ):
        return None
    # The discriminant of an arm is given by keyword, and nothing else is.
    positional = code.co_varnames[1 : code.co_argcount]
    by_keyword = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    tag = _arm_names(cls)[0] if issubclass(cls, Arm) else None
    wanted = tuple(name for name in names if name != tag)
    if {*positional, *by_keyword} != set(names) or (wanted and positional != wanted):
        return None
    return tuple(getattr(cls, name, None) for name in names)


def _owner(cls: type, name: str) -> type:
    """The class that ``cls`` has its attribute ``name`` from."""
    return next(base for base in cls.__mro__ if name in base.__dict__)


_ENDLESS = 1 << 40  # bytes of a value that contains itself; a union may have a way out


def _least_bytes(schema: Schema, known: dict[int, int]) -> int:
    """The least number of bytes that a value of ``schema`` takes.

    ``known`` has it for structs and unions met before, and ``_ENDLESS`` for those we are inside.
    """
    match schema[0]:
        case op if op in _LEAST_BYTES:
            return _LEAST_BYTES[op]
        case op if op == FIXED_OPAQUE:
            return int(schema[1] + 3) // 4 * 4
        case op if op == FIXED_ARRAY:
            return int(schema[2]) * _least_bytes(schema[1], known)
        case op if op == LINKED_LIST:
            return 4 + (_least_bytes(schema[1], known) if schema[2] else 0)
        case op if op in (STRUCT, UNION):
            key = id(schema[3 if op == STRUCT else 4])
            if key not in known:
                known[key] = _ENDLESS
                known[key] = _least_members(schema, known)
            return known[key]
    return 4


def _least_members(schema: Schema, known: dict[int, int]) -> int:
    if schema[0] == STRUCT:
        return sum(_least_bytes(field, known) for field in schema[3])
    return 4 + min(_least_bytes(arm[2], known) for arm in schema[6].values())
