"""A service that keeps nothing of its calls."""

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any

import rpcserver
from rpcserver import rpc, xdr

PROG = 0x20000402


class SOAK_V1(rpc.Version, prog=PROG, vers=1):
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(1, "echo", [xdr.Opaque()], xdr.Opaque())
    FILL: rpc.Procedure[bytes] = rpc.Procedure(2, "fill", [xdr.UnsignedInt], xdr.Opaque())
    WAIT: rpc.Procedure[int] = rpc.Procedure(3, "wait", [xdr.UnsignedInt], xdr.UnsignedInt)
    COME: rpc.Procedure[int] = rpc.Procedure(4, "come", [xdr.UnsignedInt], xdr.UnsignedInt)


@rpcserver.idempotent
class Soak(rpc.Service, version=SOAK_V1):
    def echo(self, call: rpc.Call, data: bytes) -> bytes:
        return data

    def fill(self, call: rpc.Call, size: int) -> bytes:
        """So many bytes, for who asks for little and gets much."""
        return bytes(size)

    @rpcserver.blocking
    def wait(self, call: rpc.Call, milliseconds: int) -> int:
        threading.Event().wait(milliseconds / 1000)
        return milliseconds

    async def come(self, call: rpc.Call, milliseconds: int) -> int:
        await asyncio.sleep(milliseconds / 1000)
        return milliseconds


class SoakClient(rpc.Client, version=SOAK_V1):
    def call(self, procedure: rpc.Procedure[Any], *arguments: Any) -> Any:
        return self._call(procedure, *arguments)


class AsyncSoak(rpc.AsyncClient, version=SOAK_V1):
    def call(self, procedure: rpc.Procedure[Any], *arguments: Any) -> Awaitable[Any]:
        return self._call(procedure, *arguments)
