"""Arrays of numbers as buffers, without a step for each number."""

from __future__ import annotations

import sys
from array import array
from functools import partial
from typing import TYPE_CHECKING, Any

from rpcserver.xdr import schema as s

if TYPE_CHECKING:
    from rpcserver.xdr.reference import Codec

TYPECODES: dict[int, str] = {
    s.INT: "i",
    s.UNSIGNED_INT: "I",
    s.HYPER: "q",
    s.UNSIGNED_HYPER: "Q",
    s.FLOAT: "f",
    s.DOUBLE: "d",
}
"""by opcode: what ``array`` calls numbers of that kind and size"""


class BufferCodec:
    """A codec whose values come as buffers, as ``decode(..., buffers=True)`` has them."""

    def __init__(self, codec: Codec) -> None:
        self.schema = codec.schema
        self.pack = codec.pack
        self.unpack = partial(codec.unpack, buffers=True)
        self.unpack_whole = partial(codec.unpack_whole, buffers=True)


def numbers(typecode: str, data: bytes) -> array[Any]:
    """The big-endian numbers in ``data``, in this machine's order."""
    found = array(typecode, data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


_KINDS = {
    s.INT: "ilq",
    s.UNSIGNED_INT: "ILQ",
    s.HYPER: "ilq",
    s.UNSIGNED_HYPER: "ILQ",
    s.FLOAT: "f",
    s.DOUBLE: "d",
}


def raw_numbers(op: int, value: Any, count: int) -> bytes | None:
    """The big-endian bytes of a buffer of ``count`` numbers of just that kind and size, in one
    piece; ``None`` for everything else."""
    if op not in TYPECODES:
        return None
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError):
        return None
    order, kind = view.format[:-1], view.format[-1:]
    if (
        view.shape != (count,)
        or not view.c_contiguous
        or order not in ("", "@", "=", "<", ">", "!")
        or kind not in _KINDS[op]
        or view.itemsize != array(TYPECODES[op]).itemsize
    ):
        return None
    if order in (">", "!") or (order != "<" and sys.byteorder == "big"):
        return view.tobytes()
    found = array(TYPECODES[op], view.tobytes())
    found.byteswap()
    return found.tobytes()
