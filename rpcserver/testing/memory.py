"""A service called without a socket: the whole way of a call but for the record marking."""

from __future__ import annotations

from typing import Any, TypeVar

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.errors import NotReached, TimedOut
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.version import Client, Procedure, Service, Version
from rpcserver.servers.methods import answer, engine_for

ClientT = TypeVar("ClientT", bound=Client)

PEER = Peer("memory", "client", "server")


def connect(
    client_class: type[ClientT],
    *services: Service,
    credentials: ClientFlavor | SysCredential | str | None = None,
    peer: Peer = PEER,
) -> ClientT:
    """A client of ``services`` in the same thread: arguments, credentials and results go through
    their encoding and back, and a method's failure is what a caller would get.

    ``peer`` is who seems to call; ``credentials`` as for ``rpcserver.connect``. Leaving ``with``
    ends the connection.
    """
    return client_class(MemoryChannel(engine_for(services), client_flavor(credentials), peer))


class MemoryChannel:
    """Calls an engine as ``peer`` would. Silence is a time-out, at once."""

    def __init__(self, engine: ServerEngine, flavor: ClientFlavor, peer: Peer = PEER) -> None:
        self.engine = engine
        self.peer = peer
        self.closed = False
        self._connection = Connection()
        self._client = ClientEngine(flavor, 1)

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
    ) -> Any:
        """The result; ``timeout`` is the call's time limit. Raises what other channels do."""
        if self.closed:
            raise NotReached("the channel is closed")
        pending = self._client.begin(version, procedure, arguments)
        reply = answer(self.engine, pending.message, self.peer, self._connection, timeout)
        if reply is None:
            self._client.forget(pending)
            raise TimedOut("no answer, and none will come")
        self._client.receive(reply)
        return pending.result()

    def close(self) -> None:
        """End the connection: its hooks are called."""
        self.closed = True
        for hook in self._connection.closed():
            hook()
