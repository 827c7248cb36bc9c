"""The reference codec: a schema walked over xdrlib3, strict where xdrlib3 is lenient (RFC 4506).

The path of an error is put together while it leaves the nested values, so that a good value pays
nothing for it.
"""

from __future__ import annotations

from typing import Any

from xdrlib3 import Packer

from rpcserver.errors import XdrError
from rpcserver.xdr.custom import Source
from rpcserver.xdr.pack import PACK
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH
from rpcserver.xdr.unpack import UNPACK


class Codec:
    """Values of one type to bytes and back."""

    __slots__ = ("schema",)

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def pack(self, value: Any, /) -> bytes:
        """The XDR encoding of ``value``. Raises ``XdrError`` for a value that the type refuses."""
        packer = Packer()
        try:
            PACK[self.schema[0]](self.schema, packer, value, MAX_DEPTH)
        except RecursionError:  # the caller itself is already deep in its own calls
            raise XdrError("nested too deep for the stack", len(packer.get_buffer())) from None
        return packer.get_buffer()

    def unpack(
        self, data: bytes, start: int = 0, *, lenient: bool = False, buffers: bool = False
    ) -> tuple[Any, int]:
        """The value that is encoded in ``data`` at ``start``, and the offset behind it.

        ``lenient``: a number that its enum does not have stays an ``int``, and a union of a label
        that it does not have is an ``UnknownArm``. ``buffers``: opaque data are a ``memoryview``
        of ``data``, arrays of numbers an ``array.array``. Raises ``XdrError`` for bytes that are
        not of the type, ``ValueError`` for a ``start`` outside of them.
        """
        if not 0 <= start <= len(data):
            raise ValueError(f"a value starts at 0 to {len(data)}, not at {start}")
        source = Source(data, start, lenient, buffers)
        try:
            value = UNPACK[self.schema[0]](self.schema, source, MAX_DEPTH)
        except RecursionError:
            raise XdrError("nested too deep for the stack", source.get_position()) from None
        return value, source.get_position()

    def unpack_whole(self, data: bytes, start: int = 0, /, *, buffers: bool = False) -> Any:
        """The value that ``data`` encodes from ``start`` to its end. Raises ``XdrError``."""
        value, end = self.unpack(data, start, buffers=buffers)
        if end != len(data):
            raise XdrError(f"{len(data) - end} bytes left over", end)
        return value
