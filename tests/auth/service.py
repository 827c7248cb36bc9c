"""A service whose arguments are watched as they are decoded, and that tells who called."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xdrlib3 import Packer, Unpacker

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.auth import GssCredential
from rpcserver.servers.server import Server

PROG = 0x20000402

DECODED: list[bytes] = []
"""What was decoded in this process"""


def _pack(packer: Packer, value: bytes) -> None:
    packer.pack_opaque(value)


def _unpack(unpacker: Unpacker) -> bytes:
    value: bytes = unpacker.unpack_opaque()
    DECODED.append(value)
    return value


Watched = xdr.Custom("watched_t")
Watched.supply((_pack, _unpack))


class WHO_V1(rpc.Version, prog=PROG, vers=1):
    WHO: rpc.Procedure[str] = rpc.Procedure(1, "who", [], xdr.String())
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(2, "echo", [Watched], xdr.Opaque())
    NOTE: rpc.Procedure[None] = rpc.Procedure(3, "note", [xdr.String()], xdr.Void)


class Who(rpc.Service, version=WHO_V1):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def who(self, call: rpc.Call) -> rpc.Result[str]:
        return described(call.credential)

    def echo(self, call: rpc.Call, data: bytes) -> rpc.Result[bytes]:
        return data

    @rpcserver.oneway
    def note(self, call: rpc.Call, text: str) -> None:
        self.notes.append(text)


def described(credential: Any) -> str:
    if credential is None:
        return "nobody"
    if isinstance(credential, GssCredential):
        return credential.principal
    groups = ",".join(map(str, credential.groups))
    return f"{credential.uid}:{credential.gid}:{groups}"


class WhoClient(rpc.Client, version=WHO_V1):
    def who(self) -> str:
        return self._call(WHO_V1.WHO)

    def echo(self, data: bytes) -> bytes:
        return self._call(WHO_V1.ECHO, data)

    def note(self, text: str) -> None:
        self._call(WHO_V1.NOTE, text)


class AsyncWhoClient(rpc.AsyncClient, version=WHO_V1):
    async def who(self) -> str:
        return await self._call(WHO_V1.WHO)

    async def note(self, text: str) -> None:
        await self._call(WHO_V1.NOTE, text)


URLS = {
    "tcp": "tcp://127.0.0.1:0",
    "udp": "udp://127.0.0.1:0",
    "unix": "unix://{path}",
    "unixgram": "unixgram://{path}",
}


@contextmanager
def serving(
    transport: str, directory: Path, kind: str = "select", service: Any = None, **settings: Any
) -> Iterator[tuple[str, Server]]:
    """A server of some kind: its URL, and itself."""
    listen = [URLS[transport].format(path=directory / "sock")]
    service = service or Who()
    with rpcserver.serve(service, listen=listen, register=False, kind=kind, **settings) as server:
        server.start()
        yield server.endpoints[0], server
