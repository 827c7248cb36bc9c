"""construct, compiled. It has no loop for a linked list, only
recursion, so that case is left out."""

from __future__ import annotations

from typing import Any

from benchmarks.codecs.cases import BLOB, ENTRY_FIELDS, INTS, LISTING, MIXED
from benchmarks.codecs.timing import Case
from benchmarks.peers.client import need

c = need("construct")

_NUMBERS = (c.Int32sb, c.Int32ub, c.Int64sb, c.Int64ub, c.Int32ub, c.Int32sb, c.Float32b)


def _variable(name: str, text: bool = False) -> list[Any]:
    """The members for an opaque or string: ``Aligned`` around something variable cannot be
    compiled, so its length and padding are members, too."""
    length = c.this[f"{name}_n"]
    data = c.Bytes(length)
    return [
        f"{name}_n" / c.Rebuild(c.Int32ub, c.len_(c.this[name])),
        name / (c.StringEncoded(data, "ascii") if text else data),
        c.Padding(-length % 4),
    ]


def cases() -> dict[str, Case]:
    """The cases: values are dictionaries, as construct gives and takes them."""
    kinds = (*_NUMBERS, c.Float64b, c.Int32sb, c.Int32ub)
    mixed = c.Struct(*(name / kind for name, kind in zip("abcdefghij", kinds, strict=True)))
    of: dict[str, list[Any]] = {name: [name / c.Int32ub] for name in ENTRY_FIELDS}
    of |= {name: [name / c.Int64ub] for name in ("fileid", "cookie", "size")}
    of |= {"name": _variable("name", text=True), "handle": _variable("handle")}
    entry = c.Struct(*(member for name in ENTRY_FIELDS for member in of[name]))
    listing = c.Struct(
        "status" / c.Int32sb,
        *_variable("path", text=True),
        "verf" / c.Bytes(8),
        "entries" / c.PrefixedArray(c.Int32ub, entry),
        "eof" / c.Int32ub,
    )
    status, path, verf, entries, eof = LISTING
    listed = [dict(zip(ENTRY_FIELDS, each, strict=True)) for each in entries]
    value = {"status": status, "path": path, "verf": verf, "entries": listed, "eof": int(eof)}
    return {
        "mixed": _case(mixed, dict(zip("abcdefghij", MIXED, strict=True))),
        "listing": _case(listing, value),
        "ints": _case(c.PrefixedArray(c.Int32ub, c.Int32sb), INTS),
        "blob": _case(c.Struct(*_variable("data")), {"data": BLOB}),
    }


def _case(kind: Any, value: Any) -> Case:
    compiled = kind.compile()
    return Case(value, compiled.build, compiled.parse, same=_same, xdr=True)


def _same(found: Any, value: Any) -> bool:
    """What construct parses has an entry of its own in each container."""
    if isinstance(value, dict):
        return all(_same(found[name], each) for name, each in value.items())
    if isinstance(value, list):
        return len(found) == len(value) and all(map(_same, found, value))
    return bool(found == value)
