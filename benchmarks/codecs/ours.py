"""The codec of rpcserver on what it compiles from c/codec.x: the native one, if it runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import rpcserver
from benchmarks.codecs.cases import BLOB, INTS, LISTING, MIXED, NODES
from benchmarks.codecs.timing import Case
from rpcserver import xdr
from rpcserver.xdr.codec import codec_of


def cases() -> dict[str, Case]:
    """The cases. The codec of a type is looked up beforehand, as a procedure's is."""
    x: Any = rpcserver.load(Path(__file__).parents[1] / "c" / "codec.x")
    mixed = x.Mixed(*MIXED[:5], x.Color(MIXED[5]), *MIXED[6:])
    status, path, verf, entries, eof = LISTING
    listing = x.Listing(status, path, verf, [x.Entry(*each) for each in entries], eof)
    # The head of the list in c/codec.x is a node by value.
    nodes = Annotated[list[x.Node], xdr.LinkedList(x.Node, nonempty=True)]
    return {
        "mixed": _case(x.Mixed, mixed),
        "listing": _case(x.Listing, listing),
        "ints": _case(x.Ints, INTS),
        "blob": _case(x.Blob, BLOB),
        "list": _case(nodes, [x.Node(*each) for each in NODES]),
    }


def _case(designator: Any, value: Any) -> Case:
    codec = codec_of(designator)
    return Case(value, codec.pack, codec.unpack_whole, xdr=True)
