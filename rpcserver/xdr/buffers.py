"""Arrays of numbers as buffers: ``array.array`` in, bytes out, and back."""

from __future__ import annotations

import sys
from array import array
from typing import Any

from rpcserver.xdr import schema as s

TYPECODES: dict[int, str] = {
    s.INT: "i",
    s.UNSIGNED_INT: "I",
    s.HYPER: "q",
    s.UNSIGNED_HYPER: "Q",
    s.FLOAT: "f",
    s.DOUBLE: "d",
}
"""by opcode: what ``array`` calls numbers of that kind and size"""


def numbers(typecode: str, data: bytes) -> array[Any]:
    """The big-endian numbers in ``data``, in this machine's order."""
    found = array(typecode, data)
    if sys.byteorder == "little":
        found.byteswap()
    return found
