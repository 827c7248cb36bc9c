"""Blocking channels: calls over TCP, UDP, UNIX and vsock sockets."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from rpcserver.auth.base import client_flavor
from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.clients.base import CONNECT_TIMEOUT, BlockingChannel
from rpcserver.clients.opening import Opener
from rpcserver.clients.resending import FIRST_RETRY, LAST_RETRY, MAX_DAMAGED, MAX_UNMARKED, pauses
from rpcserver.clients.waiting import ready
from rpcserver.errors import RecordError
from rpcserver.rpc.calls import PendingCall
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.record import MAX_RECORD, RecordReader, frame
from rpcserver.rpcbind.netid import Endpoint

_READ_SIZE = 64 << 10
_WINDOW = 8  # datagrams at once: the queue of a UNIX socket has room for ten
_DATAGRAM_SIZE = 256 << 10  # of UNIX datagrams; UDP has 64 KiB
_LOOK = 0.05  # seconds after which a caller who waits for room looks whether it must read, too


class StreamChannel(BlockingChannel):
    """Calls over TCP, a UNIX stream socket or vsock, with record marking."""

    max_record = MAX_RECORD

    def _opened(self, sock: socket.socket) -> None:
        self._stream = sock, RecordReader(self.max_record)
        self._looks = 0

    def _retries(self) -> Iterator[float]:
        yield float("inf")

    def _write(self, messages: Sequence[bytes], deadline: float) -> None:
        left = memoryview(b"".join(map(frame, messages)))
        while left:
            sock = self._socket
            if sock is None:
                raise OSError("the connection is gone")
            try:
                left = left[sock.send(left) :]
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    # Half a record is out: nothing can follow it on this connection.
                    raise OSError("the server reads nothing") from None
                self._await_room(sock, deadline)

    def _await_room(self, sock: socket.socket, deadline: float) -> None:
        """Until the socket takes more, or perhaps. The server may wait for its replies to be
        read, so if nobody does, it is done here."""
        with self._changed:
            if not self._reading and self._socket is sock:
                self._read_for_all(deadline, select.POLLOUT)
                return
        ready(sock, select.POLLOUT, min(deadline, time.monotonic() + _LOOK))

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        current, reader = self._stream
        if current is not sock:
            raise OSError("the connection is gone")
        try:
            data = sock.recv(_READ_SIZE)
        except BlockingIOError:
            return ()
        if not data:
            raise OSError("the server closed the connection")
        return reader.feed(data)

    def _received_all(self) -> None:
        if not self._engine.lenient:
            return
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

    def _attempt(self, calls: Sequence[PendingCall], deadline: float) -> None:
        for start in range(0, len(calls), _WINDOW):
            super()._attempt(calls[start : start + _WINDOW], deadline)

    def _wait(self, pending: PendingCall, deadline: float) -> None:
        for _ in range(MAX_DAMAGED):
            super()._wait(pending, deadline)
            if not (pending.resend and pending.damaged):
                return
            with self._changed:
                self._engine.again(pending)
            self._send([pending], deadline)
        super()._wait(pending, deadline)

    def _retries(self) -> Iterator[float]:
        return pauses(FIRST_RETRY, LAST_RETRY)

    def _write(self, messages: Sequence[bytes], deadline: float) -> None:
        sock = self._socket
        if sock is None:
            raise OSError("the connection is gone")
        for message in messages:
            with suppress(BlockingIOError):  # as good as lost on the way
                sock.send(message)

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        try:
            return (sock.recv(_DATAGRAM_SIZE),)
        except BlockingIOError:
            return ()


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
