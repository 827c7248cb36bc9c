"""Calls of programs whose types are not known here: bytes go out, bytes come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcserver.clients.blocking import open_channel
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint
from rpcserver.xdr.types import Custom

if TYPE_CHECKING:
    from xdrlib3 import Packer, Unpacker


def _pack(packer: Packer, data: bytes) -> None:
    packer.pack_fstring(len(data), data)


def _unpack(unpacker: Unpacker) -> bytes:
    data: bytes = unpacker.get_buffer()[unpacker.get_position() :]
    unpacker.set_position(unpacker.get_position() + len(data))
    return data


_BYTES = Custom("the bytes of another type")
_BYTES.supply((_pack, _unpack))


def forward(
    place: Endpoint,
    prog: int,
    vers: int,
    proc: int,
    arguments: bytes,
    timeout: float = 5.0,
) -> bytes:
    """The encoded result of a call with encoded ``arguments``, without a credential. Raises
    ``CallError``."""

    class Asked(Version, prog=prog, vers=vers):
        pass

    procedure: Procedure[bytes] = Procedure(proc, "", [_BYTES], _BYTES)
    channel = open_channel(place, timeout=timeout)
    try:
        result: bytes = channel.call(Asked, procedure, (arguments,))
        return result
    finally:
        channel.close()
