"""xdrlib3 by hand: what a program did that used xdrlib."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xdrlib3 import Packer, Unpacker

from benchmarks.codecs.cases import BLOB, INTS, LISTING, MIXED, NODES
from benchmarks.codecs.timing import Case


@dataclass(slots=True)
class Mixed:
    """struct mixed"""

    a: int
    b: int
    c: int
    d: int
    e: bool
    f: int
    g: float
    h: float
    i: int
    j: int


@dataclass(slots=True)
class Entry:
    """struct entry"""

    fileid: int
    name: str
    cookie: int
    handle: bytes
    type: int
    mode: int
    size: int
    sec: int
    nsec: int


@dataclass(slots=True)
class Listing:
    """struct listing"""

    status: int
    path: str
    verf: bytes
    entries: list[Entry]
    eof: bool


@dataclass(slots=True)
class Node:
    """struct node, without the rest of the list"""

    value: int
    name: str


def _pack_mixed(p: Packer, v: Mixed) -> None:
    p.pack_int(v.a)
    p.pack_uint(v.b)
    p.pack_hyper(v.c)
    p.pack_uhyper(v.d)
    p.pack_bool(v.e)
    p.pack_enum(v.f)
    p.pack_float(v.g)
    p.pack_double(v.h)
    p.pack_int(v.i)
    p.pack_uint(v.j)


def _unpack_mixed(u: Unpacker) -> Mixed:
    return Mixed(
        u.unpack_int(),
        u.unpack_uint(),
        u.unpack_hyper(),
        u.unpack_uhyper(),
        u.unpack_bool(),
        u.unpack_enum(),
        u.unpack_float(),
        u.unpack_double(),
        u.unpack_int(),
        u.unpack_uint(),
    )


def _pack_listing(p: Packer, v: Listing) -> None:
    p.pack_int(v.status)
    p.pack_string(v.path.encode())
    p.pack_fopaque(8, v.verf)
    p.pack_uint(len(v.entries))
    for e in v.entries:
        p.pack_uhyper(e.fileid)
        p.pack_string(e.name.encode())
        p.pack_uhyper(e.cookie)
        p.pack_opaque(e.handle)
        p.pack_uint(e.type)
        p.pack_uint(e.mode)
        p.pack_uhyper(e.size)
        p.pack_uint(e.sec)
        p.pack_uint(e.nsec)
    p.pack_bool(v.eof)


def _unpack_entry(u: Unpacker) -> Entry:
    return Entry(
        u.unpack_uhyper(),
        u.unpack_string().decode(),
        u.unpack_uhyper(),
        u.unpack_opaque(),
        u.unpack_uint(),
        u.unpack_uint(),
        u.unpack_uhyper(),
        u.unpack_uint(),
        u.unpack_uint(),
    )


def _unpack_listing(u: Unpacker) -> Listing:
    status, path, verf = u.unpack_int(), u.unpack_string().decode(), u.unpack_fopaque(8)
    entries = [_unpack_entry(u) for _ in range(u.unpack_uint())]
    return Listing(status, path, verf, entries, u.unpack_bool())


def _pack_ints(p: Packer, v: list[int]) -> None:
    p.pack_array(v, p.pack_int)


def _unpack_ints(u: Unpacker) -> list[int]:
    found: list[int] = u.unpack_array(u.unpack_int)
    return found


def _pack_nodes(p: Packer, v: list[Node]) -> None:
    for number, node in enumerate(v, 1):
        p.pack_int(node.value)
        p.pack_string(node.name.encode())
        p.pack_bool(number < len(v))


def _unpack_nodes(u: Unpacker) -> list[Node]:
    found = []
    more = True
    while more:
        found.append(Node(u.unpack_int(), u.unpack_string().decode()))
        more = u.unpack_bool()
    return found


def cases() -> dict[str, Case]:
    """The cases."""
    status, path, verf, entries, eof = LISTING
    listing = Listing(status, path, verf, [Entry(*each) for each in entries], eof)
    return {
        "mixed": _case(Mixed(*MIXED), _pack_mixed, _unpack_mixed),
        "listing": _case(listing, _pack_listing, _unpack_listing),
        "ints": _case(INTS, _pack_ints, _unpack_ints),
        "blob": _case(BLOB, lambda p, v: p.pack_opaque(v), lambda u: u.unpack_opaque()),
        "list": _case([Node(*each) for each in NODES], _pack_nodes, _unpack_nodes),
    }


def _case(
    value: Any, pack: Callable[[Packer, Any], None], unpack: Callable[[Unpacker], Any]
) -> Case:
    def encode(v: Any) -> bytes:
        packer = Packer()
        pack(packer, v)
        data: bytes = packer.get_buffer()
        return data

    def decode(data: bytes) -> Any:
        unpacker = Unpacker(data)
        v = unpack(unpacker)
        unpacker.done()
        return v

    return Case(value, encode, decode, xdr=True)
