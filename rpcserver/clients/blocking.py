"""Blocking channels: calls over TCP, UDP, UNIX and vsock sockets."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpcserver.auth.base import client_flavor
from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.clients.base import CONNECT_TIMEOUT, BlockingChannel
from rpcserver.clients.opening import Opener, Wire, check_size
from rpcserver.clients.receiving import NOW, Receiver, milliseconds_left, ready, receive
from rpcserver.clients.resending import FIRST_RETRY, LAST_RETRY, MAX_DAMAGED, MAX_UNMARKED, pauses
from rpcserver.errors import RecordError
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.message import is_call
from rpcserver.rpc.pending import PendingCall, framed
from rpcserver.rpc.record import MAX_RECORD, SCRATCH, RecordReader, frame
from rpcserver.rpcbind.netid import Endpoint

if TYPE_CHECKING:
    from rpcserver.auth.tls_peer import TlsInfo

_LARGE = 32 << 10  # messages of that size are gathered, not joined
_PARTS = 64  # that are gathered at once
_WINDOW = 8  # datagrams at once: the queue of a UNIX socket has room for ten
_DATAGRAM_SIZE = 256 << 10  # of UNIX datagrams; UDP has 64 KiB
_LOOK = 50  # milliseconds after which who waits for room looks whether it must read, too


class StreamChannel(BlockingChannel):
    """Calls over TCP, a UNIX stream socket or vsock, with record marking."""

    max_record = MAX_RECORD

    @property
    def tls(self) -> TlsInfo | None:
        """What is known of the TLS of the connection, if it is open and has any."""
        session = getattr(self._socket, "session", None)
        return None if session is None else session.info

    def _opened(self, sock: Wire) -> None:
        self._stream = Receiver(sock), RecordReader(self.max_record)
        self._wants_room = False  # whoever reads
        self._looks = 0

    @cached_property
    def _scratch(self) -> memoryview:
        return memoryview(bytearray(SCRATCH))

    def _framed(self, message: bytes) -> bytes:
        return frame(message)

    def _parts(self, calls: Sequence[PendingCall]) -> list[bytes]:
        parts = [each.framed for each in calls]
        if sum(map(len, parts)) < _LARGE:
            return [b"".join(parts)]
        parts.clear()
        small: list[bytes] = []
        for each in calls:
            part = framed(each)
            if len(part) < _LARGE:
                small.append(part)
            else:
                parts += [b"".join(small), part] if small else [part]
                small.clear()
        if small:
            parts.append(b"".join(small))
        return parts

    def _sent_alone(self, pending: PendingCall, deadline: float) -> bool:
        part: bytes = pending.framed
        with self._lock:
            sock = self._socket
            if (
                sock is None
                or self._reading
                or not self._engine.idle
                or pending.oneway
                or len(part) > _LARGE
                or not self._sending.acquire(False)
            ):
                return False
            receiver, _ = self._stream
            sent = receiver.offer(part)
            if sent:
                self._engine.again(pending)
            if sent in (0, len(part)):
                self._sending.release()
                return sent > 0
        self._finish_sending(sock, [memoryview(part)[sent:]], deadline)
        return True

    def _write(self, sock: Wire, parts: Sequence[bytes | memoryview], deadline: float) -> None:
        left: list[bytes | memoryview] = [*parts]
        while left:
            try:
                if len(left) == 1:
                    sent = sock.send(left[0], NOW)
                else:
                    sent = sock.sendmsg(left[:_PARTS], (), NOW)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    # Half a record is out: nothing can follow it on this connection.
                    raise OSError("the server reads nothing") from None
                self._await_room(sock, deadline)
                continue
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if sent:
                left[0] = memoryview(left[0])[sent:]

    def _await_room(self, sock: Wire, deadline: float) -> None:
        """Until the socket takes more, or perhaps. The server may wait for its replies to be
        read, so if nobody does, it is done here."""
        with self._lock:
            if self._socket is not sock:
                raise OSError("the connection is gone")
            if not self._reading:
                self._wants_room = True
                try:
                    self._read_for_all(deadline)
                finally:
                    self._wants_room = False
                return
        ready(sock, select.POLLOUT, min(milliseconds_left(deadline), _LOOK))

    def _read(self, sock: Wire, until: float) -> RecordReader | None:
        receiver, reader = self._stream
        if receiver.sock is not sock:
            raise OSError("the connection is gone")
        if self._wants_room:
            both = select.POLLIN | select.POLLOUT
            if not ready(sock, both, milliseconds_left(until)) & ~select.POLLOUT:
                return None
            until = 0.0
        count = receiver.receive(reader.room(self._scratch), until)
        if count is None:
            reader.keep()
            return None
        if count == 0:
            raise OSError("the server closed the connection")
        reader.filled(count)
        return reader

    def _take(self, arrived: RecordReader) -> None:
        self._engine.take(arrived, self._called)

    def _taken(self) -> None:
        _, reader = self._stream
        fragments = reader.unmarked
        self._looks = 0 if fragments is None else self._looks + 1
        if fragments is not None:
            if self._looks > MAX_UNMARKED:
                raise RecordError("the end of a record is not marked", "MAX_UNMARKED")
            if self._engine.receive_unmarked(fragments) is not None:
                reader.end_record()


class DatagramChannel(BlockingChannel):
    """Calls over UDP or UNIX datagrams, sent again after 0.5, 1, 2 ... seconds until answered.

    A procedure may so run more than once. Only the address that was asked is listened to.
    """

    @cached_property
    def _scratch(self) -> memoryview:
        return memoryview(bytearray(_DATAGRAM_SIZE))

    def make(self, *call: Any, **options: Any) -> PendingCall:
        """The same for one that a datagram has room for."""
        pending = super().make(*call, **options)
        check_size(self.endpoint, pending.message)
        return pending

    def _attempt(self, calls: Sequence[PendingCall], deadline: float) -> None:
        for start in range(0, len(calls), _WINDOW):
            super()._attempt(calls[start : start + _WINDOW], deadline)

    def _collect(self, calls: Sequence[PendingCall], deadline: float) -> None:
        for pending in calls:
            if pending.oneway:
                pending.sent()
            else:
                self._wait(pending, deadline)

    def _wait(self, pending: PendingCall, deadline: float) -> None:
        for _ in range(MAX_DAMAGED):
            self._wait_for_one(pending, deadline)
            if not (pending.resend and pending.damaged):
                return
            with self._lock:
                self._engine.again(pending)
            self._send(self._socket, self._sealed([pending]), deadline)
        self._wait_for_one(pending, deadline)

    def _wait_for_one(self, pending: PendingCall, deadline: float) -> None:
        waits = pauses(FIRST_RETRY, LAST_RETRY)
        retry = time.monotonic() + next(waits)
        with self._lock:
            while not pending.done:
                now = time.monotonic()
                if now >= deadline:
                    raise self._late(pending)
                if now >= retry:
                    retry = now + next(waits)
                    with suppress(OSError):
                        if self._socket is not None:
                            self._write(self._socket, self._sealed([pending]), deadline)
                self._read_for_all(min(deadline, retry))

    def _framed(self, message: bytes) -> bytes:
        return message

    def _parts(self, calls: Sequence[PendingCall]) -> list[bytes]:
        return [each.message for each in calls]

    def _sent_alone(self, pending: PendingCall, deadline: float) -> bool:
        return False

    def _write(self, sock: Wire, parts: Sequence[bytes | memoryview], deadline: float) -> None:
        for message in parts:
            with suppress(BlockingIOError):  # as good as lost on the way
                sock.send(message)

    def _opened(self, sock: Wire) -> None:
        pass

    def _read(self, sock: Wire, until: float) -> bytes | None:
        count = receive(sock, self._scratch, milliseconds_left(until))
        return None if count is None else bytes(self._scratch[:count])

    def _taken(self) -> None:
        pass

    def _take(self, arrived: bytes) -> None:
        if is_call(arrived):
            self._called(arrived)
        else:
            self._engine.receive(arrived)


def open_channel(
    endpoint: Endpoint | Opener,
    *,
    flavor: ClientFlavor | None = None,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    privileged_port: bool = False,
    keep_alive: float | None = KEEP_ALIVE,
) -> BlockingChannel:
    """A channel to ``endpoint``, or whatever an ``Opener`` opens; a generated client class is
    called with it.

    ``flavor``: see ``rpcserver.auth``, by default AUTH_NONE. ``timeout`` (for a call) and
    ``connect_timeout`` (by default as much, and 10 at most) are seconds. ``privileged_port``:
    call from a port below 1024. ``keep_alive``: seconds of silence after which a TCP peer is
    asked whether it is still there; ``None``: never. Raises ``NotReached``.
    """
    if isinstance(endpoint, Endpoint):
        endpoint = Opener(endpoint, privileged_port, keep_alive)
    channel = StreamChannel if endpoint.endpoint.stream else DatagramChannel
    if connect_timeout is None:
        connect_timeout = min(CONNECT_TIMEOUT, timeout)
    return channel(endpoint, flavor or client_flavor(None), timeout, connect_timeout)
