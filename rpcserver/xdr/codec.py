"""Values to bytes and back, by the codec that runs here."""

from __future__ import annotations

from typing import Any

from rpcserver.errors import XdrError
from rpcserver.xdr.reference import pack, unpack
from rpcserver.xdr.schema import Schema, schema_of

__all__ = ["codec_name", "decode", "encode", "pack", "unpack", "unpack_whole"]


def codec_name() -> str:
    """Which codec runs: ``"reference"`` (plain Python)."""
    return "reference"


def encode(designator: Any, value: Any) -> bytes:
    """The XDR encoding (RFC 4506) of ``value``, which is of the type ``designator``.

    Raises ``XdrError`` with the path of what the type does not allow, ``TypeError`` if
    ``designator`` is no XDR type.
    """
    return pack(schema_of(designator), value)


def decode(designator: Any, data: bytes) -> Any:
    """The value of the type ``designator`` that ``data`` encodes, all of ``data``.

    Raises ``XdrError`` with path and offset for bytes that are not of the type, or left over.
    """
    return unpack_whole(schema_of(designator), bytes(data))


def unpack_whole(schema: Schema, data: bytes, start: int = 0) -> Any:
    """The value that ``data`` encodes from ``start`` to its end. Raises ``XdrError``."""
    value, end = unpack(schema, data, start)
    if end != len(data):
        raise XdrError(f"{len(data) - end} bytes left over", end)
    return value
