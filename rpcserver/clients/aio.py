"""asyncio's channels: calls over TCP, UDP, UNIX and vsock sockets.

The names and what they mean are those of ``clients.blocking``.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from rpcserver.auth.base import client_flavor
from rpcserver.clients.blocking import (
    CONNECT_TIMEOUT,
    FIRST_RETRY,
    LAST_RETRY,
    TIMEOUT,
    connected,
)
from rpcserver.errors import AuthError, BadReply, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, PendingCall
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.record import MAX_RECORD, RecordReader, frame
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint

MAX_IN_FLIGHT = 1024
"""Calls of a channel that wait for their replies; the next one waits for one of them. A server
has limits, too, and a thousand hide any network's latency."""


class AsyncChannel(ABC):
    """What stream and datagram channels share. ``open_channel`` makes one.

    ``timeout`` (seconds for a call) may be changed at any time. The connection is opened again by
    the next call when it has been lost. A call that is cancelled leaves it as it was.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        flavor: ClientFlavor,
        timeout: float,
        connect_timeout: float,
        max_in_flight: int,
    ) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._engine = ClientEngine(flavor, secrets.randbits(32))
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._room = asyncio.Semaphore(max_in_flight)
        self._opening = asyncio.Lock()
        self._transport: Any = None
        self._closed = False

    async def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        oneway: bool = False,
    ) -> Any:
        """Call the procedure and return its result.

        ``timeout``: seconds, by default the channel's. ``oneway``: send the call, wait for no
        reply, and return ``None`` (RFC 5531 section 8). Raises ``NotReached``, ``TimedOut``,
        ``Refused`` or ``BadReply``, and ``XdrError`` for arguments that the procedure refuses.
        """
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                if oneway:
                    return await self._tell(version, procedure, arguments)
                try:
                    return await self._call(version, procedure, arguments)
                except AuthError as error:
                    if not self._engine.flavor.refused(error.stat):
                        raise
                return await self._call(version, procedure, arguments)
        except TimeoutError as error:
            if isinstance(error, CallError):
                raise
            name = procedure.name or "NULL"
            raise TimedOut(f"{self.endpoint}: no answer to {name} in time") from None

    async def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        self._closed = True
        self.lost(self._transport, NotReached(f"{self.endpoint}: the channel was closed"))

    async def connect(self) -> Any:
        """Open the connection if it is not open. Raises ``NotReached``."""
        if self._transport is not None:
            return self._transport
        async with self._opening:
            if self._closed:
                raise NotReached(f"{self.endpoint}: the channel is closed")
            if self._transport is None:
                sock = await self._connected()
                transport = await self._wrap(asyncio.get_running_loop(), sock)
                if self._closed:  # meanwhile
                    transport.abort()
                    raise NotReached(f"{self.endpoint}: the channel was closed")
                self._transport = transport
            return self._transport

    async def _call(
        self, version: type[Version], procedure: Procedure[Any], arguments: tuple[Any, ...]
    ) -> Any:
        async with self._room:
            transport = await self.connect()
            pending = self._engine.begin(version, procedure, arguments)
            answered = asyncio.get_running_loop().create_future()
            self._waiting[pending.xid] = answered
            try:
                await self._exchange(transport, pending, answered)
            finally:
                del self._waiting[pending.xid]
                self._engine.forget(pending)
        return pending.result()

    async def _tell(
        self, version: type[Version], procedure: Procedure[Any], arguments: tuple[Any, ...]
    ) -> None:
        transport = await self.connect()
        pending = self._engine.begin(version, procedure, arguments)
        self._engine.forget(pending)
        await self._send(transport, pending)

    async def _connected(self) -> socket.socket:
        # In a thread: a name's addresses are asked for, and tried one after the other.
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, connected, self.endpoint, self.connect_timeout)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    def received(self, record: bytes) -> None:
        """A reply, perhaps to a call that waits no longer."""
        pending = self._engine.receive(record)
        if pending is not None:
            self._wake(pending.xid)

    def lost(self, transport: Any, error: CallError) -> None:
        """The connection is of no use any more: its calls end with ``error``."""
        if transport is None or transport is not self._transport:
            return
        self._transport = None
        transport.abort()
        self._engine.fail_all(error)
        for xid in list(self._waiting):
            self._wake(xid)

    def _wake(self, xid: int) -> None:
        answered = self._waiting.get(xid)
        if answered is not None and not answered.done():
            answered.set_result(None)

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        await self._send(transport, pending)
        await answered

    @abstractmethod
    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        """The transport over a connected socket."""

    @abstractmethod
    async def _send(self, transport: Any, pending: PendingCall) -> None:
        """Send a call, whole or not at all."""


class AsyncStreamChannel(AsyncChannel):
    """Calls over TCP, a UNIX stream socket or vsock, with record marking."""

    max_record = MAX_RECORD

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        self._writable = asyncio.Event()
        self._writable.set()
        transport, _ = await loop.create_connection(
            lambda: _Records(self, self._writable, RecordReader(self.max_record)), sock=sock
        )
        return transport

    async def _send(self, transport: Any, pending: PendingCall) -> None:
        await self._writable.wait()  # whoever is cancelled here has sent nothing yet
        transport.write(frame(pending.message))


class AsyncDatagramChannel(AsyncChannel):
    """Calls over UDP or UNIX datagrams, sent again after 0.5, 1, 2 ... seconds until answered.

    A procedure may so run more than once. Only the address that was asked is listened to.
    """

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Any:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=sock)
        return transport

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        pause = FIRST_RETRY
        while True:
            await self._send(transport, pending)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answered), pause)
                return
            pause = min(2 * pause, LAST_RETRY)

    async def _send(self, transport: Any, pending: PendingCall) -> None:
        transport.sendto(pending.message)


class _Records(asyncio.Protocol):
    def __init__(
        self, channel: AsyncStreamChannel, writable: asyncio.Event, reader: RecordReader
    ) -> None:
        self._channel = channel
        self._writable = writable
        self._reader = reader
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for record in self._reader.feed(data):
                self._channel.received(record)
        except RecordError as error:
            self._channel.lost(self._transport, BadReply(f"{self._channel.endpoint}: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        reason = "the server closed the connection" if exc is None else _reason(exc)
        self._channel.lost(self._transport, NotReached(f"{self._channel.endpoint}: {reason}"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, channel: AsyncChannel) -> None:
        self._channel = channel
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._channel.received(data)

    def error_received(self, exc: Exception) -> None:
        reason = f"{self._channel.endpoint}: {_reason(exc)}"
        self._channel.lost(self._transport, NotReached(reason))


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error


def _close_unwanted(opening: asyncio.Future[socket.socket]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def open_channel(
    endpoint: Endpoint,
    *,
    flavor: ClientFlavor | None = None,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> AsyncChannel:
    """A channel to ``endpoint``, open; a generated ``AsyncClient`` class is called with it.

    ``flavor``: see ``rpcserver.auth``, by default AUTH_NONE. ``timeout`` (for a call) and
    ``connect_timeout`` are seconds. Raises ``NotReached``.
    """
    kind = AsyncStreamChannel if endpoint.stream else AsyncDatagramChannel
    if connect_timeout is None:
        connect_timeout = min(CONNECT_TIMEOUT, timeout)
    flavor = flavor or client_flavor(None)
    channel = kind(endpoint, flavor, timeout, connect_timeout, max_in_flight)
    await channel.connect()
    return channel
