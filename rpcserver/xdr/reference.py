"""The reference codec: plain Python, strict (RFC 4506), and always there.

The schema becomes functions when the first value travels: see ``pack`` and ``unpack``. The path
of an error is put together while it leaves the nested values, so that a good value pays nothing
for it.
"""

from __future__ import annotations

from typing import Any

from rpcserver.errors import XdrError
from rpcserver.xdr.pack import Packing
from rpcserver.xdr.pack_plain import Pack, Parts, size_of
from rpcserver.xdr.schema import Schema
from rpcserver.xdr.types import MAX_DEPTH
from rpcserver.xdr.unpack import Unpacking
from rpcserver.xdr.unpack_plain import Unpack

_STACK = "nested too deep for the stack"


class Codec:
    """Values of one type to bytes and back."""

    __slots__ = ("_others", "_pack", "_unpack", "schema")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._pack: Pack | None = None
        self._unpack: Unpack | None = None
        self._others: dict[tuple[bool, bool], Unpack] = {}

    def pack(self, value: Any, /) -> bytes:
        """The XDR encoding of ``value``. Raises ``XdrError`` for a value that the type refuses."""
        out: Parts = []
        try:
            if self._pack is None:
                self._pack = Packing()(self.schema)
            self._pack(out, value, MAX_DEPTH)
        except RecursionError:  # the caller itself is already deep in its own calls
            raise XdrError(_STACK, size_of(out)) from None
        return b"".join(out)

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
        if type(data) is not bytes and not buffers:
            data = bytes(data)
        try:
            unpack = self._others.get((lenient, buffers)) if lenient or buffers else self._unpack
            if unpack is None:
                unpack = self._make(lenient, buffers)
            return unpack(data, start, MAX_DEPTH)
        except RecursionError:
            raise XdrError(_STACK, start) from None

    def _make(self, lenient: bool, buffers: bool) -> Unpack:
        unpack = Unpacking(lenient, buffers)(self.schema)
        if lenient or buffers:
            self._others[lenient, buffers] = unpack
        else:
            self._unpack = unpack
        return unpack

    def unpack_whole(self, data: bytes, start: int = 0, /, *, buffers: bool = False) -> Any:
        """The value that ``data`` encodes from ``start`` to its end. Raises ``XdrError``."""
        if buffers or not 0 <= start <= len(data) or type(data) is not bytes:
            value, end = self.unpack(data, start, buffers=buffers)
        else:  # what a server does for every call
            try:
                unpack = self._unpack or self._make(False, False)
                value, end = unpack(data, start, MAX_DEPTH)
            except RecursionError:
                raise XdrError(_STACK, start) from None
        if end != len(data):
            raise XdrError(f"{len(data) - end} bytes left over", end)
        return value
