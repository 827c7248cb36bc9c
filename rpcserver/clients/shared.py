"""One connection that many threads use: each sends its calls at once, and whichever caller waits
reads the replies for all of them."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from rpcserver.clients.calls_back import MAX_CALLS_BACK, refuse_call
from rpcserver.clients.opening import Opener, Wire
from rpcserver.clients.receiving import FOREVER, NOW, seconds_left
from rpcserver.clients.resending import not_reached
from rpcserver.errors import BadReply, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, random_word
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpcbind.netid import Endpoint


class SharedConnection:
    """What is below ``BlockingChannel``: the connection, who reads, and the calls that the server
    makes over it.

    ``_lock`` is held for all that is not said to be done without it. It is not held while
    somebody waits for the socket; ``_reading`` says that somebody does, and then nobody else
    touches what is read with. Who sleeps on ``_changed`` does so in ``_sleep``.
    """

    timeout: float
    connect_timeout: float

    def __init__(self, opener: Opener, flavor: ClientFlavor) -> None:
        self._opener = opener
        self._engine = ClientEngine(flavor, random_word())
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._asleep = 0
        self._opening = threading.Lock()
        self._sending = threading.Lock()
        self._reading = False
        self._closed = False
        self._socket: Wire | None = None
        self._arrivals = select.poll()  # of that socket
        self._ended: Wire | None = None  # another one, from which somebody still reads
        self._calls_back: deque[bytes] = deque()
        self._answer: Callable[[bytes], bytes | None] = refuse_call
        self._answering: threading.Thread | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where the service is, as far as is known."""
        return self._opener.endpoint

    def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        self._closed = True
        with self._lock:
            self._drop(NotReached(f"{self.endpoint}: the channel was closed"), self._socket)

    def answer_calls(self, answer: Callable[[bytes], bytes | None]) -> None:
        """Have a thread of the channel's own answer the calls that the server makes over this
        connection: ``answer(record)`` gives the reply, or ``None`` for silence. Until then they
        are refused. ``rpcserver.serve_on`` makes ``answer`` from services."""
        self._answer = answer
        with self._lock:
            self._start_answering()

    # --- the connection -----------------------------------------------------------------------

    def _open(self, deadline: float, connect_timeout: float | None = None) -> None:
        """Have a connection, where there is none that is usable; without the lock. Raises
        ``NotReached`` and ``TimedOut``."""
        if not self._opening.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimedOut(f"{self.endpoint}: no connection in time")
        try:
            with self._lock:
                if self._socket is not None:
                    return
                self._check_open()
            limit = self.connect_timeout if connect_timeout is None else connect_timeout
            sock = self._opener.open(max(min(limit, deadline - time.monotonic()), 0.001))
            with self._lock:
                try:
                    self._check_open()
                except NotReached:
                    sock.close()
                    raise
                self._arrivals = select.poll()
                self._arrivals.register(sock, select.POLLIN)
                self._socket = sock
                self._engine.moved(getattr(sock, "channel_bindings", None))
                self._opened(sock)
                self._wake()
        finally:
            self._opening.release()

    def _check_open(self) -> None:
        if self._closed:
            raise NotReached(f"{self.endpoint}: the channel is closed")

    def _usable(self) -> bool:
        """Whether there is a connection. One that the server has ended while nobody looked is
        none: a call would be lost in it."""
        sock = self._socket
        if sock is None:
            return False
        if self._reading or not self._engine.idle or not self._arrivals.poll(0):
            return True
        try:
            if sock.recv(1, socket.MSG_PEEK | NOW):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self._drop(NotReached(f"{self.endpoint}: the server closed the connection"), sock)
        return False

    def _drop(self, failure: CallError, sock: Wire | None) -> None:
        """``sock`` is of no use any more. Nothing happens if another one has taken its place."""
        with self._lock:
            if sock is not self._socket:
                return
            self._socket = None
            if sock is not None:
                self._opener.lost()
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the caller that reads
                if self._reading and self._ended is None:
                    self._ended = sock  # its number is in use: the caller closes it
                else:
                    sock.close()
            self._calls_back.clear()
            self._engine.fail_all(failure)
            self._wake()

    def _sleep(self, seconds: float | None) -> None:
        self._asleep += 1
        try:
            self._changed.wait(seconds)
        finally:
            self._asleep -= 1

    def _wake(self) -> None:
        if self._asleep:
            self._changed.notify_all()

    def _read_for_all(self, until: float) -> None:
        """Wait for the socket without the lock, and sort what it brings; or sleep while another
        caller does so."""
        if self._reading:
            self._sleep(seconds_left(until))
            return
        self._reading = True
        sock = self._socket
        self._lock.release()
        arrived: Any = None
        failure: CallError | None = None
        try:
            if sock is None:
                failure = NotReached(f"{self.endpoint}: the connection is gone")
            else:
                arrived = self._read(sock, until)
        except OSError as error:
            failure = not_reached(self.endpoint, error)
        finally:
            self._lock.acquire()
            self._read_by_nobody()
        try:
            if arrived is not None:
                self._take(arrived)
            if self._engine.lenient:
                self._taken()
        except RecordError as error:
            failure = BadReply(f"{self.endpoint}: {error}")
        if failure is not None:
            self._drop(failure, sock)

    def _read_by_nobody(self) -> None:
        self._reading = False
        if self._ended is not None:
            self._ended.close()
            self._ended = None
        if self._asleep:
            self._changed.notify_all()  # they go on when the lock is free

    def _send(self, sock: Wire | None, parts: Sequence[bytes], deadline: float) -> None:
        """Send what belongs together, as it goes over ``sock``; without the lock."""
        if not (
            self._sending.acquire(False)
            or self._sending.acquire(timeout=max(deadline - time.monotonic(), 0))
        ):
            raise TimedOut(f"{self.endpoint}: other calls could not be sent in time")
        self._finish_sending(sock, parts, deadline)

    def _finish_sending(
        self, sock: Wire | None, parts: Sequence[bytes | memoryview], deadline: float
    ) -> None:
        """The same when ``_sending`` is held already, until they are sent."""
        try:
            if sock is None:
                raise OSError("the connection is gone")
            self._write(sock, parts, deadline)
        except OSError as error:
            failure = not_reached(self.endpoint, error)
            self._drop(failure, sock)
            raise failure from error
        finally:
            self._sending.release()

    # --- calls that the server makes ----------------------------------------------------------

    def _called(self, record: bytes) -> None:
        if len(self._calls_back) >= MAX_CALLS_BACK:
            raise RecordError(f"the server made more than {MAX_CALLS_BACK} calls", "MAX_CALLS_BACK")
        self._calls_back.append(record)
        self._start_answering()

    def _start_answering(self) -> None:
        if self._answering is None:
            self._answering = threading.Thread(
                target=self._answer_all, name="rpcserver calls back", daemon=True
            )
            self._answering.start()

    def _answer_all(self) -> None:
        while (record := self._next_call()) is not None:
            reply = self._answer(record)
            if reply is not None:
                with suppress(CallError):  # whoever called is gone
                    until = time.monotonic() + self.timeout
                    self._send(self._socket, [self._framed(reply)], until)

    def _next_call(self) -> bytes | None:
        with self._lock:
            while not self._closed:
                if self._calls_back:
                    return self._calls_back.popleft()
                if self._socket is None:
                    self._sleep(None)
                else:
                    self._read_for_all(FOREVER)
        return None

    # --- what differs -------------------------------------------------------------------------

    def _parts(self, calls: Sequence[PendingCall]) -> list[bytes]:
        """Calls as they go over the socket."""
        raise NotImplementedError

    def _opened(self, sock: Wire) -> None:
        """There is a new connection."""
        raise NotImplementedError

    def _framed(self, message: bytes) -> bytes:
        """A message as it goes over the socket."""
        raise NotImplementedError

    def _sent_alone(self, pending: PendingCall, deadline: float) -> bool:
        """Send a call in one step, and wait for its reply; ``False`` if that cannot be done now,
        for instance because others call, too."""
        raise NotImplementedError

    def _write(self, sock: Wire, parts: Sequence[bytes | memoryview], deadline: float) -> None:
        raise NotImplementedError

    def _read(self, sock: Wire, until: float) -> Any:
        """What comes before ``until``, for ``_take``; without the lock. ``None``: nothing."""
        raise NotImplementedError

    def _take(self, arrived: Any) -> None:
        """Give replies to their calls. Raises ``RecordError``."""
        raise NotImplementedError

    def _taken(self) -> None:
        """Nothing more is there for now, and lenient calls may be waiting. Raises
        ``RecordError``."""
