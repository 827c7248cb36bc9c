"""asyncio's channels: calls over TCP, UDP, UNIX and vsock sockets.

The names and what they mean are those of ``clients.blocking``.
"""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from rpcserver.auth.base import client_flavor
from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.clients.aio_protocols import Datagrams, Records
from rpcserver.clients.base import CONNECT_TIMEOUT
from rpcserver.clients.batch import AsyncBatch
from rpcserver.clients.calls_back import MAX_CALLS_BACK, refuse_call
from rpcserver.clients.negotiating_aio import AsyncNegotiating
from rpcserver.clients.opening import Opener, check_size
from rpcserver.clients.resending import (
    FIRST_BACK_OFF,
    FIRST_RETRY,
    LAST_BACK_OFF,
    LAST_RETRY,
    MAX_DAMAGED,
    MAX_UNMARKED,
    pauses,
    went_nowhere,
)
from rpcserver.errors import AuthError, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, PendingCall, random_word
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.message import is_call
from rpcserver.rpc.record import MAX_RECORD, RecordReader, frame
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint

MAX_IN_FLIGHT = 1024
"""Calls of a channel that wait for their replies; the next one waits for one of them. A server
has limits, too, and a thousand hide any network's latency."""


async def _refuse(record: bytes) -> bytes | None:
    return refuse_call(record)


class AsyncChannel(AsyncNegotiating, ABC):
    """What stream and datagram channels share. ``open_channel`` makes one.

    ``timeout`` (seconds for a call) and ``connect_timeout`` may be changed at any time. The
    connection is opened again by the next call when it has been lost. A call that is cancelled
    leaves it as it was.
    """

    def __init__(
        self,
        opener: Opener,
        flavor: ClientFlavor,
        timeout: float,
        connect_timeout: float,
        max_in_flight: int,
    ) -> None:
        super().__init__(max_in_flight)
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._opener = opener
        self._engine = ClientEngine(flavor, random_word())
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._room = asyncio.Semaphore(max_in_flight)
        self._opening = asyncio.Lock()
        self._transport: Any = None
        self._closed = False
        self._answer: Callable[[bytes], Awaitable[bytes | None]] = _refuse
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> Endpoint:
        """Where the service is, as far as is known."""
        return self._opener.endpoint

    async def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        oneway: bool = False,
        resend: bool = False,
        lenient: bool = False,
        batch: AsyncBatch | None = None,
    ) -> Any:
        """Call the procedure and return its result.

        The arguments are those of ``BlockingChannel.call``, and so is what is raised.
        """
        begin = partial(self._begin, version, procedure, arguments, resend, lenient, oneway)
        if batch is not None:
            return begin()
        seconds = self.timeout if timeout is None else timeout

        async def once() -> Any:
            pending = begin()
            await self._call(pending, connect_timeout)
            return pending.result()

        try:
            async with asyncio.timeout(seconds):
                try:
                    return await once()
                except AuthError as error:
                    if not self._engine.flavor.refused(error.stat):
                        raise
                return await once()
        except TimeoutError as error:
            if isinstance(error, CallError):
                raise
            if self._transport is None:
                raise NotReached(f"{self.endpoint}: no connection in time") from None
            name = procedure.name or "NULL"
            raise TimedOut(f"{self.endpoint}: no answer to {name} in time") from None

    async def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        await self._say_farewell()
        self._closed = True
        self.lost(self._transport, NotReached(f"{self.endpoint}: the channel was closed"))

    def batch(self, timeout: float | None = None) -> AsyncBatch:
        """Calls that are sent together when ``async with`` is left, which waits for all replies.

        ``timeout``: seconds for all of them, by default the channel's.
        """
        return AsyncBatch(self, self.timeout if timeout is None else timeout)

    async def exchange(self, calls: Iterable[PendingCall], timeout: float) -> None:
        """Send calls, and wait until all are done, or for ``timeout`` seconds."""
        with suppress(TimeoutError):  # each call says so for itself
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(self._call(each, None) for each in calls))

    def answer_calls(self, answer: Callable[[bytes], Awaitable[bytes | None]]) -> None:
        """Have the calls answered that the server makes over this connection: ``answer(record)``
        gives the reply, or ``None`` for silence. Until then they are refused.
        ``rpcserver.serve_on`` makes ``answer`` from services."""
        self._answer = answer

    async def connect(self, connect_timeout: float | None = None) -> Any:
        """Open the connection if it is not open. Raises ``NotReached``."""
        if self._transport is not None:
            return self._transport
        async with self._opening:
            if self._closed:
                raise NotReached(f"{self.endpoint}: the channel is closed")
            if self._transport is None:
                limit = self.connect_timeout if connect_timeout is None else connect_timeout
                sock = await self._connected(limit)
                transport = await self._wrap(asyncio.get_running_loop(), sock)
                if self._closed:  # meanwhile
                    transport.abort()
                    raise NotReached(f"{self.endpoint}: the channel was closed")
                self._transport = transport
            return self._transport

    def _begin(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        resend: bool,
        lenient: bool,
        oneway: bool,
    ) -> PendingCall:
        pending = self._engine.begin(version, procedure, arguments, resend=resend, lenient=lenient)
        self._engine.forget(pending)  # until it is sent
        pending.oneway = oneway
        self._asked = version
        check_size(self.endpoint, pending.message)
        return pending

    async def _call(self, pending: PendingCall, connect_timeout: float | None) -> None:
        """Send a call, once more if it may be, until it is done."""
        if self._engine.session is None:
            await self._deliver(pending, connect_timeout)
        else:
            await self._deliver_in_session(self._engine.session, pending, connect_timeout)

    async def _deliver(self, pending: PendingCall, connect_timeout: float | None) -> None:
        waits = pauses(FIRST_BACK_OFF, LAST_BACK_OFF)
        async with self._room:
            for tried in count():
                begun = time.monotonic()
                try:
                    await self._attempt(pending, connect_timeout)
                except (NotReached, AuthError) as error:
                    pending.fail(error)
                moved = tried == 0 and self._opener.may_move and went_nowhere(pending, begun)
                if self._closed or not pending.lost or not (pending.resend or moved):
                    return
                await asyncio.sleep(next(waits))

    async def _attempt(self, pending: PendingCall, connect_timeout: float | None) -> None:
        transport = await self.connect(connect_timeout)
        if pending.oneway:
            await self._send(transport, self._sealed(pending))
            pending.sent()
            return
        for _ in range(MAX_DAMAGED + 1):
            self._engine.again(pending)
            answered = asyncio.get_running_loop().create_future()
            self._waiting[pending.xid] = answered
            try:
                await self._exchange(transport, pending, answered)
            finally:
                del self._waiting[pending.xid]
                self._engine.forget(pending)
            if self.endpoint.stream or not (pending.resend and pending.damaged):
                return

    async def _connected(self, timeout: float) -> socket.socket:
        # In a thread: a name's addresses are asked for, and tried one after the other.
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, self._opener.open, timeout)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    def received(self, transport: Any, record: bytes) -> None:
        """A reply, perhaps to a call that waits no longer; or a call that the server makes."""
        if not is_call(record):
            self._answered(self._engine.receive(record))
            return
        if len(self._answering) >= MAX_CALLS_BACK:
            raise RecordError(f"the server made more than {MAX_CALLS_BACK} calls", "MAX_CALLS_BACK")
        task = asyncio.get_running_loop().create_task(self._reply(transport, record))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def received_unmarked(self, reader: RecordReader, looks: int) -> int:
        """Nothing more is there for now; how often a record was without its end."""
        if not self._engine.lenient:
            return 0
        fragments = reader.unmarked
        if fragments is None:
            return 0
        if looks >= MAX_UNMARKED:
            raise RecordError("the end of a record is not marked", "MAX_UNMARKED")
        pending = self._engine.receive_unmarked(fragments)
        if pending is not None:
            reader.end_record()
            self._answered(pending)
        return looks + 1

    def lost(self, transport: Any, error: CallError) -> None:
        """The connection is of no use any more: its calls end with ``error``."""
        if transport is None or transport is not self._transport:
            return
        self._transport = None
        self._opener.lost()
        transport.abort()
        for task in self._answering:
            task.cancel()
        self._engine.fail_all(error)
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_result(None)

    def _answered(self, pending: PendingCall | None) -> None:
        answered = self._waiting.get(pending.xid) if pending is not None else None
        if answered is not None and not answered.done():
            answered.set_result(None)

    async def _reply(self, transport: Any, record: bytes) -> None:
        reply = await self._answer(record)
        if reply is not None and transport is self._transport:
            await self._send(transport, reply)

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        await self._send(transport, self._sealed(pending))
        await answered

    def _sealed(self, pending: PendingCall) -> bytes:
        message = self._engine.sealed(pending)
        if pending.unprotected is not None:
            check_size(self.endpoint, message)
        return message

    @abstractmethod
    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        """The transport over a connected socket."""

    @abstractmethod
    async def _send(self, transport: Any, message: bytes) -> None:
        """Send a message, whole or not at all."""


class AsyncStreamChannel(AsyncChannel):
    """Calls over TCP, a UNIX stream socket or vsock, with record marking."""

    max_record = MAX_RECORD

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        self._writable = asyncio.Event()
        self._writable.set()
        transport, _ = await loop.create_connection(
            lambda: Records(self, self._writable, RecordReader(self.max_record)), sock=sock
        )
        return transport

    async def _send(self, transport: Any, message: bytes) -> None:
        await self._writable.wait()  # whoever is cancelled here has sent nothing yet
        transport.write(frame(message))


class AsyncDatagramChannel(AsyncChannel):
    """Calls over UDP or UNIX datagrams, sent again after 0.5, 1, 2 ... seconds until answered.

    A procedure may so run more than once. Only the address that was asked is listened to.
    """

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(self), sock=sock)
        return transport

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        for pause in pauses(FIRST_RETRY, LAST_RETRY):
            await self._send(transport, self._sealed(pending))
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answered), pause)
                return

    async def _send(self, transport: Any, message: bytes) -> None:
        transport.sendto(message)


def _close_unwanted(opening: asyncio.Future[socket.socket]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def open_channel(
    endpoint: Endpoint | Opener,
    *,
    flavor: ClientFlavor | None = None,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    privileged_port: bool = False,
    keep_alive: float | None = KEEP_ALIVE,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> AsyncChannel:
    """A channel to ``endpoint``, open; a generated ``AsyncClient`` class is called with it.

    The arguments are those of ``clients.blocking.open_channel``; ``max_in_flight``: calls that
    wait for their replies at the same time. Raises ``NotReached``.
    """
    if connect_timeout is None:
        connect_timeout = min(CONNECT_TIMEOUT, timeout)
    if isinstance(endpoint, Endpoint):
        endpoint = Opener(endpoint, privileged_port, keep_alive)
    kind = AsyncStreamChannel if endpoint.endpoint.stream else AsyncDatagramChannel
    flavor = flavor or client_flavor(None)
    channel = kind(endpoint, flavor, timeout, connect_timeout, max_in_flight)
    await channel.connect()
    return channel
