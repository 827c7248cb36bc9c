"""A service with one method for everything that a kind of server could do differently."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.errors import AuthError
from rpcserver.servers.child import in_child
from rpcserver.servers.server import endpoint_of
from tests.peers.process import until

PROG = 0x20000401


class FACTS_V3(rpc.Version, prog=PROG, vers=3):
    ECHO: rpc.Procedure[str] = rpc.Procedure(1, "echo", [xdr.String()], xdr.String())
    ABOUT: rpc.Procedure[str] = rpc.Procedure(2, "about", [], xdr.String())
    ASYNC: rpc.Procedure[str] = rpc.Procedure(3, "asynchronous", [xdr.String()], xdr.String())
    SLOW: rpc.Procedure[int] = rpc.Procedure(4, "slow", [xdr.String()], xdr.Int)
    FAIL: rpc.Procedure[None] = rpc.Procedure(5, "fail", [xdr.Int], xdr.Void)
    ONEWAY: rpc.Procedure[None] = rpc.Procedure(6, "tell", [xdr.String()], xdr.Void)
    CHILD: rpc.Procedure[int] = rpc.Procedure(7, "child", [xdr.String()], xdr.Int)
    COUNT: rpc.Procedure[int] = rpc.Procedure(8, "count", [xdr.String()], xdr.Int)
    MISSING: rpc.Procedure[None] = rpc.Procedure(9, "missing", [], xdr.Void)


class Facts(rpc.Service, version=FACTS_V3):
    """``log`` has what was done, in the order in which it was; a child has its own."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def echo(self, call: rpc.Call, text: str) -> str:
        self.log.append("fast")
        return text

    def about(self, call: rpc.Call) -> str:
        uid = call.credential and call.credential.uid
        return (
            f"{call.transport} {call.prog:#x} {call.vers} {call.procedure.name} {call.xid != 0}"
            f" {uid} {call.connection is not None} {call.deadline}"
        )

    async def asynchronous(self, call: rpc.Call, text: str) -> str:
        return text

    @rpcserver.blocking
    def slow(self, call: rpc.Call, path: str) -> int:
        """Until there is a file."""
        Path(f"{path}.begun").touch()
        until("the file", Path(path).exists, timeout=30)
        self.log.append("slow")
        return os.getpid()

    def fail(self, call: rpc.Call, how: int) -> Any:
        if how == 0:
            raise KeyError("a mistake of the service's own")
        if how == 1:
            raise AuthError(5)
        return "not void"

    @rpcserver.oneway
    def tell(self, call: rpc.Call, path: str) -> None:
        Path(path).touch()

    def child(self, call: rpc.Call, path: str) -> int:
        """The rest of the work is left to a child, if the path is not empty."""
        return in_child(self.slow, call, path) if path else os.getpid()

    def count(self, call: rpc.Call, path: str) -> int:
        """How often this connection asked; the path is there when it is gone."""
        if call.connection is None:
            return -1
        if not call.connection.state:
            call.connection.on_close(Path(path).touch)
        call.connection.state["n"] = call.connection.state.get("n", 0) + 1
        return int(call.connection.state["n"])

    def missing(self, call: rpc.Call) -> None:
        raise rpc.ProcUnavail


class FactsClient(rpc.Client, version=FACTS_V3):
    """Generated classes have a method for each."""

    def call(self, procedure: rpc.Procedure[Any], *arguments: Any) -> Any:
        return self._call(procedure, *arguments)


@dataclass
class Place:
    """Where clients find the service."""

    url: str
    transport: str
    open: Callable[..., FactsClient]
    server: Any = None


@contextmanager
def running(server: Any) -> Iterator[Place]:
    """A server of one of the classes, which serves in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = str(endpoint_of(server)).replace("[::]", "[::1]").replace("//:::", "//[::1]:")

    def connected(**options: Any) -> FactsClient:
        return rpcserver.connect(FactsClient, url, **{"timeout": 10, **options})

    try:
        yield Place(url, server.transport, connected, server)
    finally:
        server.end_requests()
        server.shutdown()
        thread.join()
        server.server_close()
