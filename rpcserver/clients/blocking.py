"""Blocking channels: calls over TCP, UDP and UNIX sockets.

A channel may be used by many threads: each call is sent at once, and whichever caller waits reads
the replies for all of them.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from rpcserver.auth.base import client_flavor
from rpcserver.clients.batch import Batch
from rpcserver.errors import AuthError, BadReply, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, PendingCall
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.record import MAX_RECORD, RecordReader, frame
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint

TIMEOUT = 25.0
"""Seconds that a call may take: what rpcgen's clients wait."""

CONNECT_TIMEOUT = 10.0
"""Seconds that opening a connection may take."""

FIRST_RETRY = 0.5
"""Seconds after which a datagram that nobody answered is sent again; doubled each time."""

LAST_RETRY = 8.0
"""Seconds between two sendings, at most."""

_READ_SIZE = 64 << 10
_WINDOW = 8  # datagrams at once: the queue of a UNIX socket has room for ten
_DATAGRAM_SIZE = 256 << 10  # of UNIX datagrams; UDP has 64 KiB


class BlockingChannel:
    """What stream and datagram channels share. ``open_channel`` makes one.

    ``timeout`` (seconds for a call) may be changed at any time. The connection is opened again by
    the next call when it has been lost.
    """

    def __init__(
        self, endpoint: Endpoint, flavor: ClientFlavor, timeout: float, connect_timeout: float
    ) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._engine = ClientEngine(flavor, secrets.randbits(32))
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._reading = False
        self._closed = False
        self._socket: socket.socket | None = None
        self._connect()

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        oneway: bool = False,
        batch: Batch | None = None,
    ) -> Any:
        """Call the procedure and return its result.

        ``timeout``: seconds, by default the channel's. ``oneway``: send the call, wait for no
        reply, and return ``None`` (RFC 5531 section 8). Raises ``NotReached``, ``TimedOut``,
        ``Refused`` or ``BadReply``, and ``XdrError`` for arguments that the procedure refuses.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        if batch is not None:
            return self._begin(version, procedure, arguments)
        if oneway:
            pending = self._begin(version, procedure, arguments)
            self._engine.forget(pending)
            self._send([pending], deadline)
            return None
        try:
            return self._call(version, procedure, arguments, deadline)
        except AuthError as error:
            if not self._engine.flavor.refused(error.stat):
                raise
        return self._call(version, procedure, arguments, deadline)

    def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        self._closed = True
        self._drop(NotReached(f"{self.endpoint}: the channel was closed"))

    def _call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        deadline: float,
    ) -> Any:
        pending = self._begin(version, procedure, arguments)
        self.exchange([pending], deadline)
        return pending.result()

    def batch(self, timeout: float | None = None) -> Batch:
        """Calls that are sent together when ``with`` is left, which waits for all replies.

        ``timeout``: seconds for all of them, by default the channel's::

            with client.channel.batch() as batch:
                both = [batch.call(client.add, n, 1) for n in (1, 2)]
            print([each.result() for each in both])
        """
        return Batch(self, self.timeout if timeout is None else timeout)

    def exchange(self, calls: Sequence[PendingCall], deadline: float) -> None:
        """Send calls and wait until all are done. Raises ``NotReached`` and ``TimedOut``."""
        try:
            self._send(calls, deadline)
            for pending in calls:
                self._wait(pending, deadline)
        finally:
            with self._changed:
                for pending in calls:
                    self._engine.forget(pending)

    def _begin(
        self, version: type[Version], procedure: Procedure[Any], arguments: tuple[Any, ...]
    ) -> PendingCall:
        with self._changed:
            if self._closed:
                raise NotReached(f"{self.endpoint}: the channel is closed")
            if self._socket is None:
                self._connect()
            return self._engine.begin(version, procedure, arguments)

    def _wait(self, pending: PendingCall, deadline: float) -> None:
        """Until ``pending`` is done: read, or sleep while another caller reads for all."""
        retry, pause = self._first_retry()
        with self._changed:
            while not pending.done:
                now = time.monotonic()
                if now >= deadline:
                    name = pending.procedure.name or "NULL"
                    raise TimedOut(f"{self.endpoint}: no answer to {name} in time")
                if now >= retry:
                    pause = min(2 * pause, LAST_RETRY)
                    retry = now + pause
                    with suppress(OSError):
                        self._write([pending.message], deadline)
                until = min(deadline, retry)
                if self._reading:
                    self._changed.wait(until - now)
                else:
                    self._read_for_all(until)

    def _read_for_all(self, until: float) -> None:
        """Wait for the socket without the lock, and sort what it brings with it."""
        self._reading = True
        sock = self._socket
        self._changed.release()
        records: Iterable[bytes] = ()
        failure: CallError | None = None
        try:
            if sock is None:
                failure = NotReached(f"{self.endpoint}: the connection is gone")
            elif _ready(sock, select.POLLIN, until):
                records = self._read(sock)
        except OSError as error:
            failure = NotReached(f"{self.endpoint}: {error.strerror or error}")
        finally:
            self._changed.acquire()
            self._reading = False
        try:
            for record in records:
                self._engine.receive(record)
        except RecordError as error:
            failure = BadReply(f"{self.endpoint}: {error}")
        if failure is not None:
            self._drop(failure)
        self._changed.notify_all()

    def _send(self, calls: Sequence[PendingCall], deadline: float) -> None:
        try:
            with self._sending:
                self._write([pending.message for pending in calls], deadline)
        except OSError as error:
            failure = NotReached(f"{self.endpoint}: {error.strerror or error}")
            self._drop(failure)
            raise failure from error

    def _drop(self, failure: CallError) -> None:
        with self._changed:
            sock, self._socket = self._socket, None
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the caller that reads
                sock.close()
            self._engine.fail_all(failure)
            self._changed.notify_all()

    def _connect(self) -> None:
        self._socket = connected(self.endpoint, self.connect_timeout)

    def _first_retry(self) -> tuple[float, float]:
        raise NotImplementedError

    def _write(self, messages: Iterable[bytes], deadline: float) -> None:
        raise NotImplementedError

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        raise NotImplementedError


class StreamChannel(BlockingChannel):
    """Calls over TCP or a UNIX stream socket, with record marking."""

    max_record = MAX_RECORD

    def _connect(self) -> None:
        super()._connect()
        self._reader = RecordReader(self.max_record)

    def _first_retry(self) -> tuple[float, float]:
        return float("inf"), 0

    def _write(self, messages: Iterable[bytes], deadline: float) -> None:
        left = memoryview(b"".join(map(frame, messages)))
        while left:
            sock = self._socket
            if sock is None:
                raise OSError("the connection is gone")
            try:
                left = left[sock.send(left) :]
            except BlockingIOError:
                if not _ready(sock, select.POLLOUT, deadline):
                    # Half a record is out: nothing can follow it on this connection.
                    raise OSError("the server reads nothing") from None

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        try:
            data = sock.recv(_READ_SIZE)
        except BlockingIOError:
            return ()
        if not data:
            raise OSError("the server closed the connection")
        return self._reader.feed(data)


class DatagramChannel(BlockingChannel):
    """Calls over UDP or UNIX datagrams, sent again after 0.5, 1, 2 ... seconds until answered.

    A procedure may so run more than once. Only the address that was asked is listened to.
    """

    def exchange(self, calls: Sequence[PendingCall], deadline: float) -> None:
        try:
            for start in range(0, len(calls), _WINDOW):
                super().exchange(calls[start : start + _WINDOW], deadline)
        finally:
            with self._changed:
                for pending in calls:
                    self._engine.forget(pending)

    def _first_retry(self) -> tuple[float, float]:
        return time.monotonic() + FIRST_RETRY, FIRST_RETRY

    def _write(self, messages: Iterable[bytes], deadline: float) -> None:
        sock = self._socket
        if sock is None:
            raise OSError("the channel was closed")
        for message in messages:
            with suppress(BlockingIOError):  # as good as lost on the way
                sock.send(message)

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        try:
            return (sock.recv(_DATAGRAM_SIZE),)
        except BlockingIOError:
            return ()


def open_channel(
    endpoint: Endpoint,
    *,
    flavor: ClientFlavor | None = None,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
) -> BlockingChannel:
    """A channel to ``endpoint``; a generated client class is called with it.

    ``flavor``: see ``rpcserver.auth``, by default AUTH_NONE. ``timeout`` (for a call) and
    ``connect_timeout`` are seconds. Raises ``NotReached``.
    """
    channel = StreamChannel if endpoint.stream else DatagramChannel
    if connect_timeout is None:
        connect_timeout = min(CONNECT_TIMEOUT, timeout)
    return channel(endpoint, flavor or client_flavor(None), timeout, connect_timeout)


def connected(endpoint: Endpoint, timeout: float) -> socket.socket:
    """A connected socket that does not block. A name's addresses are tried one after the other."""
    kind = socket.SOCK_STREAM if endpoint.stream else socket.SOCK_DGRAM
    places: list[tuple[int, Any]]
    try:
        if endpoint.internet:
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=kind)
            places = [(family, address) for family, _, _, _, address in found]
        elif endpoint.transport == "vsock":
            places = [(getattr(socket, "AF_VSOCK"), (int(endpoint.host), endpoint.port))]  # noqa: B009
        else:
            places = [(getattr(socket, "AF_UNIX"), endpoint.path)]  # noqa: B009  not everywhere
    except (OSError, AttributeError, UnicodeError) as error:
        raise NotReached(f"{endpoint}: {error}") from error
    failure: OSError | None = None
    for family, address in places:
        try:
            sock = socket.socket(family, kind)
        except OSError as error:  # not in this kernel
            failure = error
            continue
        try:
            sock.settimeout(timeout)
            if endpoint.transport == "unixgram":
                sock.bind("")  # a name of the kernel's own: without one none could answer
            sock.connect(address)
            if endpoint.transport == "tcp":
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            return sock
        except OSError as error:
            failure = error
            sock.close()
    reason = failure and (failure.strerror or failure)
    raise NotReached(f"{endpoint}: {reason}") from failure


def _ready(sock: socket.socket, event: int, until: float) -> bool:
    """Whether the socket is ready before ``until``. Raises ``OSError`` if it was closed."""
    poll = select.poll()
    try:
        poll.register(sock, event)
    except ValueError:
        raise OSError("the connection is closed") from None
    return bool(poll.poll(max(until - time.monotonic(), 0) * 1000))
