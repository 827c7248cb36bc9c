"""Values to bytes and back, by the codec that runs here: the native one, or the reference."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rpcserver.xdr.schema import arguments_schema, schema_of

__all__ = ["Codec", "arguments_codec", "codec_name", "codec_of", "decode", "encode"]

CHOICE = "RPCSERVER_CODEC"
"""the variable of the environment that says which codec is to run, ``native`` or ``reference``"""


def source_hash() -> str:
    """What the native codec is made from, in short; empty where only the result is there."""
    folder = os.path.join(os.path.dirname(__file__), "csrc")
    if not os.path.isdir(folder):
        return ""
    checksum = 0
    for name in sorted(os.listdir(folder)):
        if name.endswith((".c", ".h")):
            with open(os.path.join(folder, name), "rb") as file:
                checksum = zlib.crc32(file.read(), checksum)
    return f"{checksum:08x}"


def _native_is_there() -> bool:
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "native", "reference"):
        raise ImportError(f"{CHOICE}={choice}: it is native or reference")
    if choice == "reference":
        return False
    try:
        from rpcserver.xdr import _native
    except ImportError:
        if choice:
            raise
        return False  # there was no compiler
    if source_hash() not in ("", _native.SOURCE_HASH):
        text = f"{_native.__file__} was built from other sources and is not used: install again"
        import warnings  # not for everybody

        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return False
    return True


NATIVE = _native_is_there()

if TYPE_CHECKING:
    from rpcserver.xdr.reference import Codec
elif NATIVE:
    from rpcserver.xdr._native import Codec
else:
    from rpcserver.xdr.reference import Codec


def native(name: str) -> Any:
    """Something of the C module, ``None`` where that is not used, or does not have it."""
    if not NATIVE:
        return None
    from rpcserver.xdr import _native

    return getattr(_native, name, None)


def codec_name() -> str:
    """Which codec runs: ``"native"`` (C) or ``"reference"`` (plain Python)."""
    return "native" if NATIVE else "reference"


@lru_cache(maxsize=4096)
def codec_of(designator: Any) -> Codec:
    """The codec of an XDR type. Raises ``TypeError`` for what is no designator."""
    return Codec(schema_of(designator))


def arguments_codec(designators: Sequence[Any]) -> Codec:
    """The codec of a procedure's arguments, a tuple of them (RFC 5531 section 12)."""
    return Codec(arguments_schema(designators))


def encode(designator: Any, value: Any) -> bytes:
    """The XDR encoding (RFC 4506) of ``value``, which is of the type ``designator``.

    Raises ``XdrError`` with the path of what the type does not allow, ``TypeError`` if
    ``designator`` is no XDR type.
    """
    return codec_of(designator).pack(value)


def decode(designator: Any, data: bytes, *, buffers: bool = False) -> Any:
    """The value of the type ``designator`` that ``data`` encodes, all of ``data``.

    ``buffers``: opaque data come as a ``memoryview`` of ``data`` instead of ``bytes``, arrays of
    int, hyper, float or double as an ``array.array`` instead of a list; nothing of them is done
    one by one. Raises ``XdrError`` with path and offset for bytes that are not of the type, or
    left over.
    """
    return codec_of(designator).unpack_whole(bytes(data), buffers=buffers)
