"""The encoding half of the reference codec: a schema becomes a function, once.

For each opcode there is a maker; what it makes takes the list of the parts written so far, a
value, and how much deeper the nesting may go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter, index, itemgetter
from struct import pack
from typing import Any, NoReturn, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import raw_numbers
from rpcserver.xdr.custom import pack_custom
from rpcserver.xdr.pack_plain import (
    FALSE,
    RANGES,
    REFUSALS,
    TRUE,
    Pack,
    Parts,
    append_padded,
    counted,
    enum,
    expected,
    fixed_opaque,
    floating,
    integer,
    kinds_of,
    pack_bool,
    pack_quadruple,
    pack_void,
    refuse,
    run_of,
    size_of,
    word,
)
from rpcserver.xdr.runs import CODES, COUNTED, runs_of
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH, MAX_EMPTY

_INTEGERS = frozenset((int,))


class Packing:
    """Makes the functions of a schema."""

    def __init__(self) -> None:
        self.known: dict[int, Pack] = {}  # of structs and unions, which may hold themselves

    def __call__(self, schema: Schema) -> Pack:
        return self.known.get(id(schema)) or _MAKERS[schema[0]](schema, self)


@lru_cache(maxsize=1024)
def _supplied(designator: Any) -> Pack:
    return Packing()(s.schema_of(designator))


def _too_deep(out: Parts) -> NoReturn:
    refuse(out, f"nested more than {MAX_DEPTH} deep")


def _length(out: Parts, value: Any) -> int:
    if type(value) is list:
        return len(value)
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__getitem__"):
        expected(out, "a list or another sequence", value)
    try:
        return len(value)
    except TypeError:
        expected(out, "a list or another sequence", value)


def _check_count(out: Parts, found: int, count: int) -> None:
    if found != count:
        refuse(out, f"{found} elements in a sequence whose length is {count}")


def _elements(element: Schema, make: Packing) -> Callable[[Parts, Any, int, int], None]:
    pack_one = make(element)

    def one_by_one(out: Parts, value: Any, depth: int, count: int) -> None:
        index = 0
        try:
            for item in value:
                pack_one(out, item, depth)
                index += 1
        except XdrError as error:
            error.within(f"[{index}]")
            raise
        _check_count(out, index, count)

    code = CODES.get(element[0])
    if code is None:
        return one_by_one
    kinds = kinds_of(element) or _INTEGERS  # no other's code is run, so a list cannot change

    def at_once(out: Parts, value: Any, depth: int, count: int) -> None:
        if type(value) is list:
            if kinds.issuperset(map(type, value)):
                try:
                    out.append(pack(f">{count}{code}", *value))
                    return
                except REFUSALS:
                    pass
        elif (raw := raw_numbers(element[0], value, count)) is not None:
            out.append(raw)
            return
        one_by_one(out, value, depth, count)

    return at_once


def _fixed_array(schema: Schema, make: Packing) -> Pack:
    _, element, size = schema
    elements = _elements(element, make)

    def pack_fixed_array(out: Parts, value: Any, depth: int) -> None:
        count = _length(out, value)
        if count != size:
            refuse(out, f"{count} elements where exactly {size} must be")
        elements(out, value, depth, count)

    return pack_fixed_array


def _array(schema: Schema, make: Packing) -> Pack:
    _, element, limit, (least,) = schema
    elements = _elements(element, make)
    limit = limit if least else min(limit, MAX_EMPTY)

    def pack_array(out: Parts, value: Any, depth: int) -> None:
        count = _length(out, value)
        if count > limit:
            refuse(out, f"{count} elements exceed the limit of {limit}")
        out.append(word(count))
        if not depth:
            _too_deep(out)
        elements(out, value, depth - 1, count)

    return pack_array


def _optional(schema: Schema, make: Packing) -> Pack:
    pack_one = make(schema[1])

    def pack_optional(out: Parts, value: Any, depth: int) -> None:
        if value is None:
            out.append(FALSE)
            return
        out.append(TRUE)
        if not depth:
            _too_deep(out)
        pack_one(out, value, depth - 1)

    return pack_optional


def _linked_list(schema: Schema, make: Packing) -> Pack:
    _, node, nonempty = schema
    pack_node = make(node)

    def pack_linked_list(out: Parts, value: Any, depth: int) -> None:
        if not depth:
            _too_deep(out)
        count = _length(out, value)
        if not count and nonempty:
            refuse(out, "a list held by value has at least one node")
        index = 0
        try:
            for item in value:
                if index or not nonempty:
                    out.append(TRUE)
                pack_node(out, item, depth - 1)
                index += 1
        except XdrError as error:
            error.within(f"[{index}]")
            raise
        _check_count(out, index, count)
        out.append(FALSE)

    return pack_linked_list


Single: TypeAlias = tuple[str, Callable[[Any], Any], Pack]
Member: TypeAlias = tuple[Callable[[Parts, Any], bool] | None, list[Single]]
"""a run of members, if it is one, and the same one by one"""


def _members_of(
    names: Sequence[str], keys: Sequence[Any], getter: Any, fields: list[Schema], make: Packing
) -> Iterator[Member]:
    for run in runs_of(fields, opaques=False):
        here = range(run.first, run.stop)
        singles = [(names[at], getter(keys[at]), make(fields[at])) for at in here]
        at_once = run_of(run, getter, [keys[at] for at in here], fields) if run.form else None
        yield at_once, singles


def _packer(cls: type, members: list[Member]) -> Pack:
    def pack_members(out: Parts, value: Any, depth: int) -> None:
        if not isinstance(value, cls):
            expected(out, cls.__name__, value)
        step = ""
        try:
            for run, singles in members:
                if run is not None and run(out, value):
                    continue
                for name, get, pack_one in singles:
                    step = name
                    pack_one(out, get(value), depth)
        except XdrError as error:
            error.within(step)
            raise

    return pack_members


def _struct(schema: Schema, make: Packing) -> Pack:
    _, cls, names, fields = schema
    members: list[Member] = []
    make.known[id(schema)] = pack_struct = _packer(cls, members)
    members += _members_of(names, names, attrgetter, fields, make)
    return pack_struct


def _arguments(schema: Schema, make: Packing) -> Pack:
    fields = schema[1]
    if len(fields) == 1:
        pack_one = make(fields[0])
        return lambda out, value, depth: pack_one(out, value[0], depth)
    keys = range(len(fields))
    names = [f"[{key}]" for key in keys]
    return _packer(object, [*_members_of(names, keys, itemgetter, fields, make)])


def _union(schema: Schema, make: Packing) -> Pack:
    _, name, tag, discriminant, cases, default, by_class = schema
    arms: dict[type, tuple[Any, Pack]] = {}

    def pack_union(out: Parts, value: Any, depth: int) -> None:
        found = arms.get(type(value))
        if found is None:
            expected(out, f"an arm of {name}", value)
        arm, pack_payload = found
        cls, payload_name, _, carries = arm
        if not depth:
            _too_deep(out)
        label = getattr(value if carries else cls, tag)
        step = tag
        try:
            pack_label(out, label, depth - 1)
            if carries and cases.get(index(label), default) is not arm:
                raise XdrError(f"{label!r} is no case of {cls.__name__}", size_of(out) - 4)
            if payload_name is not None:
                step = payload_name
                pack_payload(out, getattr(value, payload_name), depth - 1)
        except XdrError as error:
            error.within(step)
            raise

    make.known[id(schema)] = pack_union
    pack_label = make(discriminant)
    arms |= {cls: (arm, make(arm[2])) for cls, arm in by_class.items()}
    return pack_union


def _custom(schema: Schema, make: Packing) -> Pack:
    hook = schema[1]

    def pack_hooked(out: Parts, value: Any, depth: int) -> None:
        if hook.designator is not None:
            if not depth:  # what was supplied may hold this type again
                _too_deep(out)
            _supplied(hook.designator)(out, value, depth - 1)
            return
        try:
            data = pack_custom(hook, value, 0)
        except XdrError as error:
            error.offset = (error.offset or 0) + size_of(out)
            raise
        append_padded(out, data)

    return pack_hooked


_MAKERS: dict[int, Callable[[Schema, Packing], Pack]] = {
    **dict.fromkeys(RANGES, lambda schema, make: integer(schema)),
    **dict.fromkeys((s.FLOAT, s.DOUBLE), lambda schema, make: floating(schema)),
    **dict.fromkeys(COUNTED, lambda schema, make: counted(schema)),
    s.VOID: lambda schema, make: pack_void,
    s.QUADRUPLE: lambda schema, make: pack_quadruple,
    s.BOOL: lambda schema, make: pack_bool,
    s.ENUM: lambda schema, make: enum(schema),
    s.FIXED_OPAQUE: lambda schema, make: fixed_opaque(schema),
    s.FIXED_ARRAY: _fixed_array,
    s.ARRAY: _array,
    s.OPTIONAL: _optional,
    s.LINKED_LIST: _linked_list,
    s.STRUCT: _struct,
    s.UNION: _union,
    s.ARGUMENTS: _arguments,
    s.CUSTOM: _custom,
}
