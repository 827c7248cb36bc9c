"""A service that calls its caller, in every way that a method can, and says how that went.

rpcserver serve tests.servers.callbacks:Caller
"""

from collections.abc import Callable
from typing import Any

import rpcserver
from rpcserver import aio, rpc, xdr
from rpcserver.errors import CallError, UsageError
from tests.clients.test_aio import AsyncEcho
from tests.rpc.echo import EchoClient

PROG = 0x20000402


class CALLER(rpc.Version, prog=PROG, vers=1):
    PLAIN: rpc.Procedure[str] = rpc.Procedure(1, "plain", [xdr.String()], xdr.String())
    BLOCKING: rpc.Procedure[str] = rpc.Procedure(2, "in_a_thread", [xdr.String()], xdr.String())
    ASYNC: rpc.Procedure[str] = rpc.Procedure(3, "in_a_task", [xdr.String()], xdr.String())
    WRONG: rpc.Procedure[str] = rpc.Procedure(4, "waits_in_a_task", [xdr.String()], xdr.String())
    LATER: rpc.Procedure[None] = rpc.Procedure(5, "later", [xdr.String()], xdr.Void)
    TOLD: rpc.Procedure[None] = rpc.Procedure(6, "tell", [xdr.UnsignedInt], xdr.Void)


class CallerClient(rpc.Client, version=CALLER):
    def ask(self, procedure: rpc.Procedure[Any], argument: Any) -> Any:
        return self._call(procedure, argument)


class CallerAsyncClient(rpc.AsyncClient, version=CALLER):
    async def ask(self, procedure: rpc.Procedure[Any], argument: Any) -> Any:
        return await self._call(procedure, argument)


def told(function: Callable[[], Any]) -> str:
    """How it went."""
    try:
        assert function() == 42
    except UsageError as error:
        return f"refused: {error}"
    except CallError as error:
        return f"failed: {type(error).__name__}: {error}"
    return "works"


class Caller(rpc.Service, version=CALLER):
    """The argument of each is the URL to call, or empty for the connection of the call."""

    def plain(self, call: rpc.Call, url: str) -> str:
        if not url:
            return told(lambda: call.client(EchoClient, timeout=5).add(20, 22))

        def connected() -> int:
            with rpcserver.connect(EchoClient, url, timeout=5) as client:
                return client.add(20, 22)

        return told(connected)

    @rpcserver.blocking
    def in_a_thread(self, call: rpc.Call, url: str) -> str:
        return self.plain(call, url)

    async def in_a_task(self, call: rpc.Call, url: str) -> str:
        try:
            if not url:
                result = await call.client(AsyncEcho, timeout=5).add(20, 22)
            else:
                async with aio.connect(AsyncEcho, url, timeout=5) as client:
                    result = await client.add(20, 22)
        except UsageError as error:
            return f"refused: {error}"
        except CallError as error:
            return f"failed: {error}"
        return told(lambda: result)

    async def waits_in_a_task(self, call: rpc.Call, url: str) -> str:
        return self.plain(call, url)

    def later(self, call: rpc.Call, url: str) -> None:
        """Keeps the way back, for another thread."""
        LATER.append(call.client(EchoClient, timeout=5))

    def tell(self, call: rpc.Call, count: int) -> None:
        """Calls that nobody answers."""
        client = call.client(EchoClient, oneway=True)
        for number in range(count):
            client.add(number, number)


LATER: list[EchoClient] = []
