"""msgspec: MessagePack, structs as arrays, into typed structs."""

from __future__ import annotations

from typing import Any

from benchmarks.codecs.cases import BLOB, ENTRY_FIELDS, INTS, LISTING, MIXED, NODES
from benchmarks.codecs.timing import Case
from benchmarks.peers.client import need

msgspec = need("msgspec")


def _struct(name: str, *fields: tuple[str, Any]) -> Any:
    return msgspec.defstruct(name, fields, array_like=True)


def _list_of(element: Any) -> Any:
    return list[element]  # made at run time, so no type for a type checker


def cases() -> dict[str, Case]:
    """The cases."""
    types = (int, int, int, int, bool, int, float, float, int, int)
    mixed = _struct("Mixed", *zip("abcdefghij", types, strict=True))
    of = {"name": str, "handle": bytes}
    entry: Any = _struct("Entry", *((name, of.get(name, int)) for name in ENTRY_FIELDS))
    listing = _struct(
        "Listing",
        ("status", int),
        ("path", str),
        ("verf", bytes),
        ("entries", _list_of(entry)),
        ("eof", bool),
    )
    node = _struct("Node", ("value", int), ("name", str))
    status, path, verf, entries, eof = LISTING
    return {
        "mixed": _case(mixed, mixed(*MIXED)),
        "listing": _case(
            listing, listing(status, path, verf, [entry(*each) for each in entries], eof)
        ),
        "ints": _case(list[int], INTS),
        "blob": _case(bytes, BLOB),
        "list": _case(_list_of(node), [node(*each) for each in NODES]),
    }


def _case(type_: Any, value: Any) -> Case:
    return Case(value, msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(type_).decode)
