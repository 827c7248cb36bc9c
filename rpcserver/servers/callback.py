"""Calls of the server over a connection that a client made, as NFSv4.1's back channel has them.

A method gets at them through ``call.client(ClientClass)``. The client answers if it serves the
program there (``rpcserver.serve_on``).
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Protocol

from rpcserver.auth.base import client_flavor
from rpcserver.auth.none import NoneClient
from rpcserver.clients import TIMEOUT
from rpcserver.clients.calls_back import MAX_CALLS_BACK
from rpcserver.errors import NotReached, TimedOut, UsageError
from rpcserver.rpc.calls import ClientEngine, random_word
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.version import Procedure, Version

IN_THE_LOOP = (
    "a blocking client would hold the loop that this method runs in: mark it as"
    " @rpcserver.blocking, or make it an async def that awaits an AsyncClient"
)


class End(Protocol):
    """The server's end of a connection."""

    reads_while_waiting: bool
    """whether it is who waits that reads"""

    def send_message(self, message: bytes) -> None:
        """Put a message on the connection; from any thread. Raises ``NotReached``."""

    def check_waiting(self) -> None:
        """Raises ``UsageError`` if nobody would read while this thread waits."""

    def wait_for(self, answered: Future[None], until: float) -> None:
        """Until it is done, or ``until`` (``time.monotonic``)."""


class BackChannel:
    """What blocking clients call through; ``asynchronous`` is its like for asyncio's."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.asynchronous = AsyncBackChannel(self)
        self._engine = ClientEngine(NoneClient(), random_word())
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[None]] = {}
        self._gone = False

    @property
    def waits(self) -> bool:
        """Whether a call waits for its reply."""
        return bool(self._waiting)

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        oneway: bool = False,
        flavor: ClientFlavor | None = None,
    ) -> Any:
        """Call the procedure at the other end of the connection, and return its result.

        ``timeout``: seconds, by default 25. ``oneway``: wait for no reply. ``flavor``: whose
        credential to send, by default none. Raises ``UsageError`` where nobody would read the
        reply while this thread waits for it, and for RPCSEC_GSS, which has no context here, and
        otherwise what clients' channels do.
        """
        if not oneway:
            _check_no_loop()
            self.end.check_waiting()
        deadline = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        pending, answered = self.begin(version, procedure, arguments, oneway, flavor)
        if oneway:
            return None
        try:
            self.end.wait_for(answered, deadline)
        finally:
            self.forget(pending)
        return result_of(pending)

    def close(self) -> None:
        """Nothing: the connection is the client's."""

    def begin(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        oneway: bool,
        flavor: ClientFlavor | None,
    ) -> tuple[PendingCall, Future[None]]:
        """Send a call; the future is done when its reply is there, or none can come."""
        answered: Future[None] = Future()
        if flavor is not None:
            flavor = client_flavor(flavor)
        with self._lock:
            if self._gone:
                raise NotReached("the client is gone")
            if len(self._waiting) >= MAX_CALLS_BACK:
                raise NotReached(f"{MAX_CALLS_BACK} calls have not been answered")
            pending = self._engine.begin(
                version, procedure, arguments, oneway=oneway, flavor=flavor
            )
            if not oneway:
                self._waiting[pending.xid] = answered
        try:
            self.end.send_message(pending.message)
        except BaseException:
            self.forget(pending)
            raise
        return pending, answered

    def forget(self, pending: PendingCall) -> None:
        """Wait no longer for this call."""
        with self._lock:
            self._engine.forget(pending)
            self._waiting.pop(pending.xid, None)

    def received(self, record: bytes) -> None:
        """A reply, perhaps to a call that waits no longer."""
        with self._lock:
            pending = self._engine.receive(record)
            answered = self._waiting.get(pending.xid) if pending else None
        if answered is not None:
            _set(answered)

    def lost(self) -> None:
        """The connection is gone: all calls end."""
        with self._lock:
            self._gone = True
            self._engine.fail_all(NotReached("the client closed the connection"))
            waiting = list(self._waiting.values())
        for answered in waiting:
            _set(answered)


class AsyncBackChannel:
    """What asyncio's clients call through."""

    def __init__(self, channel: BackChannel) -> None:
        self._channel = channel

    async def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        oneway: bool = False,
        flavor: ClientFlavor | None = None,
    ) -> Any:
        """As ``BackChannel.call``, which may wait where others read."""
        channel = self._channel
        pending, answered = channel.begin(version, procedure, arguments, oneway, flavor)
        if oneway:
            return None
        until = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        try:
            await self._wait(answered, until)
        finally:
            channel.forget(pending)
        return result_of(pending)

    async def close(self) -> None:
        """Nothing: the connection is the client's."""

    async def _wait(self, answered: Future[None], until: float) -> None:
        if self._channel.end.reads_while_waiting:
            await asyncio.to_thread(self._channel.end.wait_for, answered, until)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(answered), until - time.monotonic())


def result_of(pending: PendingCall) -> Any:
    """The result of a call that was waited for. Raises ``CallError``."""
    if not pending.done:
        raise TimedOut(f"no answer to {pending.procedure.name or 'NULL'} in time")
    return pending.result()


def _set(answered: Future[None]) -> None:
    with suppress(InvalidStateError):  # who waited has gone
        answered.set_result(None)


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(IN_THE_LOOP)
