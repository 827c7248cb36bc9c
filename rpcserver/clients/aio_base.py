"""asyncio's channels, whatever they go over: calls made, sent, sent again, and waited for."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

from rpcserver.clients.batch import AsyncBatch
from rpcserver.clients.calls_back import MAX_CALLS_BACK, refuse_call
from rpcserver.clients.negotiating_aio import AsyncNegotiating
from rpcserver.clients.opening import Opener, Wire
from rpcserver.clients.resending import (
    FIRST_BACK_OFF,
    LAST_BACK_OFF,
    MAX_DAMAGED,
    MAX_UNMARKED,
    pauses,
    went_nowhere,
)
from rpcserver.errors import AuthError, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, random_word
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.message import is_call
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.record import RecordReader
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint


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
    ) -> Any:
        """Call the procedure and return its result.

        The arguments are those of ``BlockingChannel.call``, and so is what is raised.
        """
        pending = self.make(version, procedure, arguments, resend, lenient, oneway)
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                await self._call(pending, connect_timeout)
                if pending.error is not None and (again := self.renewed(pending)):
                    await self._call(again, connect_timeout)
                    return again.result()
                return pending.result()
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
        if self._transport is not None:
            self._flush()
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
                self._engine.moved(getattr(sock, "channel_bindings", None))
            return self._transport

    def make(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        resend: bool = False,
        lenient: bool = False,
        oneway: bool = False,
    ) -> PendingCall:
        """A call for ``exchange``. Raises ``XdrError`` and ``UsageError`` as ``call`` does."""
        pending = self._engine.make(version, procedure, arguments, resend, lenient, oneway)
        self._check(pending)
        return pending

    def renewed(self, pending: PendingCall) -> PendingCall | None:
        """A call whose credential was refused, made anew if there is a better one."""
        return self._engine.renewed(pending)

    async def _call(self, pending: PendingCall, connect_timeout: float | None) -> None:
        """Send a call, once more if it may be, until it is done."""
        if self._engine.session is None:
            await self._deliver(pending, connect_timeout)
        else:
            await self._deliver_in_session(self._engine.session, pending, connect_timeout)

    async def _deliver(self, pending: PendingCall, connect_timeout: float | None) -> None:
        async with self._room:
            waits: Iterator[float] | None = None
            for tried in count():
                begun = time.monotonic()
                try:
                    await self._attempt(pending, connect_timeout)
                except (NotReached, AuthError) as error:
                    pending.fail(error)
                if pending.error is None:
                    return
                moved = tried == 0 and self._opener.may_move and went_nowhere(pending, begun)
                if self._closed or not pending.lost or not (pending.resend or moved):
                    return
                waits = waits or pauses(FIRST_BACK_OFF, LAST_BACK_OFF)
                await asyncio.sleep(next(waits))

    async def _attempt(self, pending: PendingCall, connect_timeout: float | None) -> None:
        transport = self._transport or await self.connect(connect_timeout)
        if pending.oneway:
            await self._send(transport, self._sealed(pending))
            self._flush()
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

    async def _connected(self, timeout: float) -> Wire:
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
        if is_call(record):
            self.called(transport, record)
        else:
            self._answered(self._engine.receive(record))

    def take(self, reader: RecordReader, called: Callable[[bytes], object]) -> None:
        """Such records of a stream. Raises ``RecordError``."""
        for pending in self._engine.take(reader, called):
            self._answered(pending)

    def called(self, transport: Any, record: bytes) -> None:
        """A call that the server makes. Raises ``RecordError`` for one too many."""
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
            await self._send(transport, self._framed(reply))

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        await self._send(transport, self._sealed(pending))
        await answered

    def _check(self, pending: PendingCall) -> None:
        """Raises ``UsageError`` for a call that cannot be sent."""

    def _flush(self) -> None:
        """Nothing more follows: send what was kept for that."""

    @abstractmethod
    def _part(self, pending: PendingCall) -> bytes:
        """A call as it goes over the socket."""

    @abstractmethod
    def _framed(self, message: bytes) -> bytes:
        """Another message likewise."""

    @abstractmethod
    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: Any) -> Any:
        """The transport over a connected socket."""

    @abstractmethod
    async def _send(self, transport: Any, part: bytes) -> None:
        """Send a message, whole or not at all."""


def _close_unwanted(opening: asyncio.Future[Wire]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
