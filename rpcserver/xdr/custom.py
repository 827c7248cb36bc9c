"""Values of a ``Custom`` whose codec is a pair of functions over xdrlib3's classes."""

from __future__ import annotations

from typing import Any

from xdrlib3 import Packer, Unpacker

from rpcserver.errors import XdrError
from rpcserver.xdr.types import Custom


class Source(Unpacker):
    """An ``Unpacker`` that knows how its bytes are to be taken: see ``reference.Codec.unpack``."""

    def __init__(self, data: bytes, start: int, lenient: bool = False, buffers: bool = False):
        super().__init__(data)
        self.set_position(start)
        self.lenient = lenient
        self.buffers = buffers


def pack_custom(hook: Custom, value: Any, offset: int) -> bytes:
    """What the user's function makes of ``value``. Raises ``XdrError``, with the place in an
    encoding that has ``offset`` bytes before."""
    if hook.pack is None:
        raise XdrError(f"nobody supplied a codec for {hook.name}", offset)
    packer = Packer()
    try:
        hook.pack(packer, value)
    except Exception as error:
        at = offset + len(packer.get_buffer())
        raise XdrError(f"{hook.name}: {error!r}", at) from error
    return packer.get_buffer()


def unpack_custom(hook: Custom, data: bytes, start: int, lenient: bool) -> tuple[Any, int]:
    """What the user's function makes of ``data`` from ``start`` on, and where that ends. Raises
    ``XdrError``."""
    if hook.unpack is None:
        raise XdrError(f"nobody supplied a codec for {hook.name}", start)
    source = Source(bytes(data), start, lenient)
    try:
        value = hook.unpack(source)
    except EOFError:
        raise XdrError(f"the data ends inside of {hook.name}", start) from None
    except Exception as error:
        raise XdrError(f"{hook.name}: {error!r}", start) from error
    end = source.get_position()
    if not start <= end <= len(data):
        raise XdrError(f"{hook.name} was read to byte {end} of {len(data)}", start)
    return value, end
