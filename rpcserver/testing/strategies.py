"""Random values of XDR types, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rpcserver.errors import UsageError
from rpcserver.xdr import schema as s
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.schema import Schema, schema_of
from rpcserver.xdr.types import MAX_EMPTY

_INTEGERS = {
    s.INT: (-(2**31), 2**31 - 1),
    s.UNSIGNED_INT: (0, 2**32 - 1),
    s.HYPER: (-(2**63), 2**63 - 1),
    s.UNSIGNED_HYPER: (0, 2**64 - 1),
}


def strategy(designator: Any, max_size: int) -> st.SearchStrategy[Any]:
    """What ``rpcserver.testing.values`` gives."""
    return _Strategies(max_size).of(schema_of(designator))


class _Strategies:
    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self._structs: dict[type, st.SearchStrategy[Any]] = {}
        self._unions: dict[int, st.SearchStrategy[Any]] = {}

    def of(self, schema: Schema) -> st.SearchStrategy[Any]:
        op = schema[0]
        if op == s.CUSTOM:
            if schema[1].designator is None:
                raise UsageError(f"no values for {schema[1].name}: its codec is the user's")
            return self.of(schema_of(schema[1].designator))
        if op in _INTEGERS:
            low, high = _INTEGERS[op]
            return st.integers(low, high)
        if op in (s.FLOAT, s.DOUBLE):
            # No NaN: it does not equal itself.
            return st.floats(width=32 if op == s.FLOAT else 64, allow_nan=False)
        if op == s.ENUM:
            return st.sampled_from(list(schema[2].values()))
        if op in (s.OPAQUE, s.STRING):
            data = st.binary(max_size=min(schema[1], self.max_size))
            if op == s.OPAQUE:
                return data
            return data.map(lambda raw: raw.decode(schema[2], "surrogateescape"))
        if op in (s.ARRAY, s.FIXED_ARRAY, s.LINKED_LIST):
            return self._lists(schema)
        if op == s.OPTIONAL:
            return st.none() | self.of(schema[1])
        if op == s.STRUCT:
            return self._struct(schema)
        if op == s.UNION:
            return self._union(schema)
        simple = {
            s.VOID: st.none(),
            s.BOOL: st.booleans(),
            s.QUADRUPLE: st.binary(min_size=16, max_size=16).map(Quad),
            s.FIXED_OPAQUE: st.binary(min_size=schema[-1], max_size=schema[-1]),
        }
        return simple[op]

    def _lists(self, schema: Schema) -> st.SearchStrategy[Any]:
        element = self.of(schema[1])
        if schema[0] == s.FIXED_ARRAY:
            return st.lists(element, min_size=schema[2], max_size=schema[2])
        if schema[0] == s.LINKED_LIST:
            return st.lists(element, min_size=int(schema[2]), max_size=self.max_size)
        return st.lists(element, max_size=min(schema[2], self.max_size, MAX_EMPTY))

    def _struct(self, schema: Schema) -> st.SearchStrategy[Any]:
        _, cls, _, fields = schema
        if cls not in self._structs:
            # Deferred, since a struct may hold itself.
            self._structs[cls] = st.deferred(lambda: st.builds(cls, *map(self.of, fields)))
        return self._structs[cls]

    def _union(self, schema: Schema) -> st.SearchStrategy[Any]:
        if id(schema) not in self._unions:
            self._unions[id(schema)] = st.deferred(
                lambda: st.one_of([self._arm(schema, arm) for arm in schema[6].values()])
            )
        return self._unions[id(schema)]

    def _arm(self, schema: Schema, arm: Any) -> st.SearchStrategy[Any]:
        _, _, tag, discriminant, cases, default, _ = schema
        cls, payload_name, payload, carries = arm
        parts = [] if payload_name is None else [self.of(payload)]
        if not carries:
            return st.builds(cls, *parts)
        labels = self.of(discriminant).filter(lambda label: cases.get(label, default) is arm)
        if arm is not default:
            own = [label for label, each in cases.items() if each is arm]
            labels = st.sampled_from([_as_discriminant(discriminant, label) for label in own])
        return st.builds(cls, *parts, **{tag: labels})


def _as_discriminant(schema: Schema, label: int) -> Any:
    if schema[0] == s.ENUM:
        return schema[2][label]
    return bool(label) if schema[0] == s.BOOL else label
