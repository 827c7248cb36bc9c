"""A service called without a socket: the whole way of a call but for the record marking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.clients.negotiating import advance, repairable
from rpcserver.errors import CallError, NotReached, TimedOut
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.flavor import ClientFlavor, SessionFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.version import Client, Procedure, Service, Version
from rpcserver.servers.methods import add_flavor, answer, engine_for

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient, GssServer

ClientT = TypeVar("ClientT", bound=Client)

PEER = Peer("memory", "client", "server")


def connect(
    client_class: type[ClientT],
    *services: Service,
    credentials: ClientFlavor | SysCredential | GssClient | str | None = None,
    peer: Peer = PEER,
    gss: GssServer | str | bool | None = None,
) -> ClientT:
    """A client of ``services`` in the same thread: arguments, credentials and results go through
    their encoding and back, and a method's failure is what a caller would get.

    ``peer`` is who seems to call; ``credentials`` as for ``rpcserver.connect``, and ``gss`` as for
    ``rpcserver.serve``: both sides of RPCSEC_GSS are real. Leaving ``with`` ends the connection.
    """
    engine = engine_for(services)
    if gss is not None:
        from rpcserver.auth.gss import server  # few need it

        add_flavor(engine, server(gss))
    return client_class(MemoryChannel(engine, client_flavor(credentials, "localhost"), peer))


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
        pending = self._client.make(version, procedure, arguments)
        session = self._client.session
        for _ in range(2):  # a session that the server does not know any more is made anew, once
            if session is not None and not session.ready:
                self._negotiate(session)
            self._ask(pending, timeout)
            if not repairable([pending]):
                break
        return pending.result()

    def _negotiate(self, session: SessionFlavor) -> None:
        steps = session.negotiate()
        step = advance(steps)
        while step is not None:
            pending = self._client.own(step)
            self._ask(pending)
            error = pending.error if isinstance(pending.error, CallError) else None
            step = advance(steps, pending.value, error)

    def _ask(self, pending: PendingCall, timeout: float | None = None) -> None:
        self._client.seal((pending,))
        self._client.again(pending)
        reply = answer(self.engine, pending.message, self.peer, self._connection, timeout)
        if reply is None:
            self._client.forget(pending)
            raise TimedOut("no answer, and none will come")
        self._client.receive(reply)

    def close(self) -> None:
        """End the session and the connection: its hooks are called."""
        session = self._client.session
        if session is not None and not self.closed and (step := session.farewell()):
            self._ask(self._client.own(step))
        self.closed = True
        for hook in self._connection.closed():
            hook()
