"""The reference codec: a schema walked over xdrlib3, strict where xdrlib3 is lenient (RFC 4506).

The path of an error is put together while it leaves the nested values, so that a good value pays
nothing for it.
"""

from __future__ import annotations

from typing import Any

from xdrlib3 import Packer, Unpacker

from rpcserver.errors import XdrError
from rpcserver.xdr.pack import PACK
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH
from rpcserver.xdr.unpack import UNPACK, LenientUnpacker


def pack(schema: Schema, value: Any) -> bytes:
    """The XDR encoding of ``value``. Raises ``XdrError`` for a value that the schema refuses."""
    packer = Packer()
    try:
        PACK[schema[0]](schema, packer, value, MAX_DEPTH)
    except RecursionError:  # the caller itself is already deep in its own calls
        raise XdrError("nested too deep for the stack", len(packer.get_buffer())) from None
    return packer.get_buffer()


def unpack(schema: Schema, data: bytes, start: int = 0, lenient: bool = False) -> tuple[Any, int]:
    """The value that is encoded in ``data`` at ``start``, and the offset behind it.

    ``lenient``: a number that its enum does not have stays an ``int``, and a union of a label
    that it does not have is an ``UnknownArm``. Raises ``XdrError`` for bytes that are not of the
    schema.
    """
    unpacker = LenientUnpacker(data) if lenient else Unpacker(data)
    unpacker.set_position(start)
    try:
        value = UNPACK[schema[0]](schema, unpacker, MAX_DEPTH)
    except RecursionError:
        raise XdrError("nested too deep for the stack", unpacker.get_position()) from None
    return value, unpacker.get_position()
