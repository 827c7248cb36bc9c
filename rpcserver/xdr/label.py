"""The schema as ``construct`` definitions: values taken apart, with names and byte offsets.

It shares no code with the codec below the schema, and so is the second opinion in its tests.
Needs ``construct`` (``pip install rpcserver[dump]``).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rpcserver.errors import UsageError, XdrError
from rpcserver.xdr import schema as s
from rpcserver.xdr.schema import Schema, schema_of
from rpcserver.xdr.types import MAX_EMPTY

try:
    import construct as c
except ImportError as error:
    raise UsageError("this needs construct: pip install 'rpcserver[dump]'") from error

_INTEGERS = {
    s.INT: c.Int32sb,
    s.UNSIGNED_INT: c.Int32ub,
    s.HYPER: c.Int64sb,
    s.UNSIGNED_HYPER: c.Int64ub,
    s.FLOAT: c.Float32b,
    s.DOUBLE: c.Float64b,
    s.QUADRUPLE: c.Bytes(16),
}
_KINDS = {
    s.INT: "int",
    s.UNSIGNED_INT: "unsigned int",
    s.HYPER: "hyper",
    s.UNSIGNED_HYPER: "unsigned hyper",
    s.FLOAT: "float",
    s.DOUBLE: "double",
    s.QUADRUPLE: "quadruple",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A piece of an encoding: ``size`` bytes at ``offset``, what they are (``path``, ``kind``),
    and what they say."""

    offset: int
    size: int
    path: str
    kind: str
    value: Any


def take_apart(designator: Any, data: bytes) -> tuple[list[Row], Any, XdrError | None]:
    """The pieces of ``data``, an encoding of the type ``designator``; its value as ``construct``
    gives it (containers, lists, plain values); and what is wrong with it, if something is.

    The rows go as far as the data makes sense.
    """
    rows: list[Row] = []
    steps: list[str] = []
    stream = io.BytesIO(data)
    whole = _Builder().of(schema_of(designator))
    try:
        value = whole.parse_stream(
            stream, rows=rows, steps=steps, left=lambda: len(data) - stream.tell()
        )
    except (c.ConstructError, RecursionError) as error:
        reason = str(error).splitlines()[-1] if str(error) else "nested too deep"
        offset = rows[-1].offset + rows[-1].size if rows else 0
        return rows, None, XdrError(reason, offset, _path(steps))
    left = len(data) - stream.tell()
    if left:
        return rows, value, XdrError(f"{left} bytes left over", stream.tell())
    return rows, value, None


def dump(rows: list[Row], data: bytes) -> list[str]:
    """Rows as text: offset, the first bytes, path and type, value."""
    lines = []
    width = max((len(row.path) for row in rows), default=0)
    for row in rows:
        raw = data[row.offset : row.offset + row.size]
        shown = raw[:8].hex(" ", 4) + (" .." if len(raw) > 8 else "")
        value = repr(row.value)
        value = value if len(value) <= 60 else value[:57] + "..."
        lines.append(f"{row.offset:6}  {shown:20}  {row.path:{width}}  {value}  ({row.kind})")
    return lines


def _path(steps: list[str]) -> str:
    return "".join(
        step if step.startswith("[") or not n else f".{step}" for n, step in enumerate(steps)
    )


class _Step(c.Subconstruct):  # type: ignore[misc]
    """One step of the path; on failure it stays, and so tells where."""

    def __init__(self, step: str | Callable[[Any], str], subcon: Any) -> None:
        super().__init__(subcon)
        self.step = step

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        steps = context._params.steps
        steps.append(self.step if isinstance(self.step, str) else self.step(context))
        value = self.subcon._parsereport(stream, context, path)
        steps.pop()
        return value


class _Leaf(c.Subconstruct):  # type: ignore[misc]
    """What gets a row."""

    def __init__(self, kind: str, subcon: Any) -> None:
        super().__init__(subcon)
        self.kind = kind

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        start = stream.tell()
        value = self.subcon._parsereport(stream, context, path)
        params = context._params
        size = stream.tell() - start
        params.rows.append(Row(start, size, _path(params.steps), self.kind, value))
        return value


def _checked(subcon: Any, wrong: Callable[[Any, Any], str]) -> Any:
    """``subcon``, whose value must be such that ``wrong`` has nothing to say."""

    def check(value: Any, context: Any) -> Any:
        if reason := wrong(value, context):
            raise c.CheckError(reason)
        return value

    return c.ExprAdapter(subcon, check, check)


def _flag(what: str) -> Any:
    word = _checked(c.Int32ub, lambda word, _: "" if word < 2 else f"a bool is 0 or 1, not {word}")
    return _Leaf(what, c.ExprAdapter(word, lambda word, _: bool(word), lambda word, _: int(word)))


def _padded(size: Any) -> Any:
    padding = c.Bytes(lambda context: -context.size % 4)
    zero = _checked(padding, lambda pad, _: "the padding is not zero" if any(pad) else "")
    parts = c.Struct("size" / size, "data" / c.Bytes(c.this.size), "padding" / zero)
    return c.ExprAdapter(parts, lambda parts, _: parts.data, None)


def _count(limit: int, unit: str, least: int = 0) -> Any:
    def wrong(count: int, context: Any) -> str:
        if count > limit:
            return f"{count} {unit} exceed the limit of {limit}"
        most = context._params.left() // least if least else MAX_EMPTY
        return f"{count} {unit} do not fit" if unit == "elements" and count > most else ""

    return _checked(c.Int32ub, wrong)


class _Builder:
    """Schema to construct; a struct or union met again is the same object."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def of(self, schema: Schema) -> Any:
        op = schema[0]
        if op in _INTEGERS:
            return _Leaf(_KINDS[op], _INTEGERS[op])
        if op in (s.STRUCT, s.UNION):
            return self._recursive(schema)
        return getattr(self, f"_{_NAMES[op]}")(schema)

    def _recursive(self, schema: Schema) -> Any:
        key = id(schema[3 if schema[0] == s.STRUCT else 4])  # the same in every copy
        if key not in self._known:
            built: list[Any] = []
            self._known[key] = c.LazyBound(lambda: built[0])
            built.append(self._struct(schema) if schema[0] == s.STRUCT else self._union(schema))
        return self._known[key]

    def _custom(self, schema: Schema) -> Any:
        hook = schema[1]
        if hook.designator is not None:
            return self.of(schema_of(hook.designator))
        return _checked(c.Pass, lambda *_: f"{hook.name} has a codec of the user's own")

    def _void(self, schema: Schema) -> Any:
        return c.Pass

    def _bool(self, schema: Schema) -> Any:
        return _flag("bool")

    def _enum(self, schema: Schema) -> Any:
        _, cls, members = schema
        known = _checked(
            c.Int32sb, lambda number, _: "" if number in members else f"no member {number}"
        )
        return _Leaf(
            f"enum {cls.__name__}",
            c.ExprAdapter(known, lambda number, _: members[number].name, None),
        )

    def _fixed_opaque(self, schema: Schema) -> Any:
        return _Leaf(f"opaque[{schema[1]}]", _padded(c.Computed(schema[1])))

    def _opaque(self, schema: Schema) -> Any:
        return _Leaf("opaque<>", _padded(_count(schema[1], "bytes")))

    def _string(self, schema: Schema) -> Any:
        text = c.ExprAdapter(
            _padded(_count(schema[1], "bytes")),
            lambda data, _: data.decode(schema[2], "surrogateescape"),
            None,
        )
        return _Leaf("string<>", text)

    def _item(self, schema: Schema) -> Any:
        return _Step(lambda context: f"[{context._index}]", self.of(schema))

    def _fixed_array(self, schema: Schema) -> Any:
        return c.Array(schema[2], self._item(schema[1]))

    def _array(self, schema: Schema) -> Any:
        _, element, limit, (least,) = schema
        count = _Leaf("count", _count(limit, "elements", least))
        parts = c.Struct("count" / count, "items" / c.Array(c.this.count, self._item(element)))
        return c.ExprAdapter(parts, lambda parts, _: parts["items"], None)

    def _optional(self, schema: Schema) -> Any:
        parts = c.Struct(
            "present" / _flag("optional"), "value" / c.If(c.this.present, self.of(schema[1]))
        )
        return c.ExprAdapter(parts, lambda parts, _: parts["value"], None)

    def _linked_list(self, schema: Schema) -> Any:
        _, node, nonempty = schema
        more = _Step(lambda context: f"[{context._index + 1}]", _flag("next"))
        link = c.Struct("value" / self._item(node), "more" / more)
        chain = c.RepeatUntil(lambda link, *_: not link.more, link)
        if not nonempty:
            first = _Step("[0]", _flag("first"))
            whole = c.Struct("more" / first, "links" / c.If(c.this.more, chain))
            chain = c.ExprAdapter(whole, lambda whole, _: whole.links or [], None)
        return c.ExprAdapter(chain, lambda links, _: [link["value"] for link in links], None)

    def _struct(self, schema: Schema) -> Any:
        _, _, names, fields = schema
        members = [
            name / _Step(name, self.of(field)) for name, field in zip(names, fields, strict=True)
        ]
        return c.Struct(*members)

    def _union(self, schema: Schema) -> Any:
        _, name, tag, discriminant, cases, default, _ = schema
        by_value: dict[Any, Any] = {}
        for label, arm in cases.items():
            shown = discriminant[2][label].name if discriminant[0] == s.ENUM else label
            by_value[shown] = self._arm(arm)
        none = _Step(tag, _checked(c.Pass, lambda *_: f"{name} has no such case"))
        other = self._arm(default) if default is not None else none
        parts = c.Struct(
            tag / _Step(tag, self.of(discriminant)),
            "_arm" / c.Switch(lambda context: context[tag], by_value, default=other),
        )
        return c.ExprAdapter(parts, lambda parts, _: {tag: parts[tag], **(parts._arm or {})}, None)

    def _arm(self, arm: Any) -> Any:
        _, name, payload, _ = arm
        return c.Pass if name is None else c.Struct(name / _Step(name, self.of(payload)))

    def _arguments(self, schema: Schema) -> Any:
        parts = [_Step(f"[{n}]", self.of(field)) for n, field in enumerate(schema[1])]
        return c.Sequence(*parts)


_NAMES = {
    s.VOID: "void",
    s.BOOL: "bool",
    s.ENUM: "enum",
    s.FIXED_OPAQUE: "fixed_opaque",
    s.OPAQUE: "opaque",
    s.STRING: "string",
    s.FIXED_ARRAY: "fixed_array",
    s.ARRAY: "array",
    s.OPTIONAL: "optional",
    s.LINKED_LIST: "linked_list",
    s.ARGUMENTS: "arguments",
    s.CUSTOM: "custom",
}
