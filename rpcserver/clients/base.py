"""What blocking channels over streams and datagrams share.

A channel may be used by many threads: each call is sent at once, and whichever caller waits reads
the replies for all of them.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from rpcserver.clients.batch import Batch
from rpcserver.clients.calls_back import MAX_CALLS_BACK, refuse_call
from rpcserver.clients.negotiating import Negotiating
from rpcserver.clients.opening import Opener, check_size
from rpcserver.clients.resending import (
    FIRST_BACK_OFF,
    LAST_BACK_OFF,
    not_reached,
    pauses,
    went_nowhere,
)
from rpcserver.clients.waiting import ready, seconds_left
from rpcserver.errors import AuthError, BadReply, CallError, NotReached, RecordError, TimedOut
from rpcserver.rpc.calls import ClientEngine, PendingCall, random_word
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.message import is_call
from rpcserver.rpc.version import Procedure, Version
from rpcserver.rpcbind.netid import Endpoint

CONNECT_TIMEOUT = 10.0
"""Seconds that opening a connection may take."""


class BlockingChannel(Negotiating):
    """What stream and datagram channels share. ``open_channel`` makes one.

    ``timeout`` (seconds for a call) and ``connect_timeout`` may be changed at any time. The
    connection is opened again by the next call when it has been lost.
    """

    def __init__(
        self, opener: Opener, flavor: ClientFlavor, timeout: float, connect_timeout: float
    ) -> None:
        super().__init__()
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._opener = opener
        self._engine = ClientEngine(flavor, random_word())
        self._changed = threading.Condition()
        self._opening = threading.Lock()
        self._sending = threading.Lock()
        self._reading = False
        self._closed = False
        self._socket: socket.socket | None = None
        self._calls_back: deque[bytes] = deque()
        self._answer: Callable[[bytes], bytes | None] = refuse_call
        self._answering: threading.Thread | None = None
        self._open(time.monotonic() + timeout)

    @property
    def endpoint(self) -> Endpoint:
        """Where the service is, as far as is known."""
        return self._opener.endpoint

    def call(
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
        batch: Batch | None = None,
    ) -> Any:
        """Call the procedure and return its result.

        ``timeout`` and ``connect_timeout``: seconds, by default the channel's. ``oneway``: send
        the call, wait for no reply, and return ``None`` (RFC 5531 section 8). ``resend``: it may
        run twice, so if the connection is lost the call is sent again over another, with the same
        xid, until its time is over. ``lenient``: take replies that break record marking or are
        padded too far, and numbers and labels that the ``.x`` has not.

        Raises ``NotReached``, ``TimedOut``, ``Refused`` or ``BadReply``, ``XdrError`` for
        arguments that the procedure refuses, and ``UsageError`` for those too long for a datagram.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        pending = self._begin(version, procedure, arguments, resend, lenient, oneway)
        if batch is not None:
            return pending
        try:
            self.exchange([pending], deadline, connect_timeout)
            return pending.result()
        except AuthError as error:
            if not self._engine.flavor.refused(error.stat):
                raise
        pending = self._begin(version, procedure, arguments, resend, lenient, oneway)
        self.exchange([pending], deadline, connect_timeout)
        return pending.result()

    def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        self._say_farewell()
        self._closed = True
        with self._changed:
            self._drop(NotReached(f"{self.endpoint}: the channel was closed"), self._socket)

    def batch(self, timeout: float | None = None) -> Batch:
        """Calls that are sent together when ``with`` is left, which waits for all replies.

        ``timeout``: seconds for all of them, by default the channel's::

            with client.channel.batch() as batch:
                both = [batch.call(client.add, n, 1) for n in (1, 2)]
            print([each.result() for each in both])
        """
        return Batch(self, self.timeout if timeout is None else timeout)

    def answer_calls(self, answer: Callable[[bytes], bytes | None]) -> None:
        """Have a thread of the channel's own answer the calls that the server makes over this
        connection: ``answer(record)`` gives the reply, or ``None`` for silence. Until then they
        are refused. ``rpcserver.serve_on`` makes ``answer`` from services."""
        self._answer = answer
        with self._changed:
            self._start_answering()

    def exchange(
        self, calls: Sequence[PendingCall], deadline: float, connect_timeout: float | None = None
    ) -> None:
        """Send calls, and wait until all are done. Raises ``TimedOut``."""
        if self._engine.session is None:
            self._exchange(calls, deadline, connect_timeout)
        else:
            self._exchange_in(self._engine.session, calls, deadline, connect_timeout)

    def _exchange(
        self, calls: Sequence[PendingCall], deadline: float, connect_timeout: float | None
    ) -> None:
        waits = pauses(FIRST_BACK_OFF, LAST_BACK_OFF)
        left = list(calls)
        try:
            for tried in count():
                begun = time.monotonic()
                try:
                    self._open(deadline, connect_timeout)
                    self._attempt(left, deadline)
                except (NotReached, AuthError) as error:
                    for pending in left:
                        if not pending.done:
                            pending.fail(type(error)(*error.args))
                moved = tried == 0 and self._opener.may_move
                left = [
                    each
                    for each in left
                    if each.lost and (each.resend or (moved and went_nowhere(each, begun)))
                ]
                if not left or self._closed:
                    return
                pause = next(waits)
                if time.monotonic() + pause >= deadline:
                    return
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, pause)
        finally:
            with self._changed:
                for pending in calls:
                    self._engine.forget(pending)

    def _begin(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        resend: bool,
        lenient: bool,
        oneway: bool,
    ) -> PendingCall:
        with self._changed:
            pending = self._engine.begin(
                version, procedure, arguments, resend=resend, lenient=lenient
            )
            self._engine.forget(pending)  # until it is sent
        pending.oneway = oneway
        self._asked = version
        check_size(self.endpoint, pending.message)
        return pending

    def _attempt(self, calls: Sequence[PendingCall], deadline: float) -> None:
        """Send calls over the connection that is open, and wait until all are done."""
        with self._changed:
            for pending in calls:
                if not pending.oneway:
                    self._engine.again(pending)
        self._send(calls, deadline)
        for pending in calls:
            if pending.oneway:
                pending.sent()
            else:
                self._wait(pending, deadline)

    def _wait(self, pending: PendingCall, deadline: float) -> None:
        """Until ``pending`` is done: read, or sleep while another caller reads for all."""
        waits = self._retries()
        retry = time.monotonic() + next(waits)
        with self._changed:
            while not pending.done:
                now = time.monotonic()
                if now >= deadline:
                    name = pending.procedure.name or "NULL"
                    raise TimedOut(f"{self.endpoint}: no answer to {name} in time")
                if now >= retry:
                    retry = now + next(waits)
                    with suppress(OSError):
                        self._write(self._sealed([pending]), deadline)
                self._read_for_all(min(deadline, retry))

    # --- the connection -----------------------------------------------------------------------

    def _open(self, deadline: float, connect_timeout: float | None = None) -> None:
        """Have a connection. Raises ``NotReached`` and ``TimedOut``."""
        if self._usable():
            return
        if not self._opening.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimedOut(f"{self.endpoint}: no connection in time")
        try:
            with self._changed:
                if self._socket is not None:
                    return
                self._check_open()
            limit = self.connect_timeout if connect_timeout is None else connect_timeout
            sock = self._opener.open(max(min(limit, deadline - time.monotonic()), 0.001))
            with self._changed:
                try:
                    self._check_open()
                except NotReached:
                    sock.close()
                    raise
                self._socket = sock
                self._opened(sock)
                self._changed.notify_all()
        finally:
            self._opening.release()

    def _check_open(self) -> None:
        if self._closed:
            raise NotReached(f"{self.endpoint}: the channel is closed")

    def _usable(self) -> bool:
        """Whether there is a connection. One that the server has ended while nobody looked is
        none: a call would be lost in it."""
        with self._changed:
            if self._socket is None:
                return False
            if self._reading or not self._engine.idle:
                return True
            try:
                if self._socket.recv(1, socket.MSG_PEEK):
                    return True
            except BlockingIOError:
                return True
            except OSError:
                pass
            failure = NotReached(f"{self.endpoint}: the server closed the connection")
            self._drop(failure, self._socket)
        return False

    def _drop(self, failure: CallError, sock: socket.socket | None) -> None:
        """``sock`` is of no use any more. Nothing happens if another one has taken its place."""
        with self._changed:
            if sock is not self._socket:
                return
            self._socket = None
            if sock is not None:
                self._opener.lost()
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the caller that reads
                sock.close()
            self._calls_back.clear()
            self._engine.fail_all(failure)
            self._changed.notify_all()

    def _read_for_all(self, until: float, event: int = select.POLLIN) -> None:
        """Wait for the socket without the lock, and sort what it brings with it; or sleep while
        another caller does so. ``event`` is what is waited for beside that."""
        if self._reading:
            self._changed.wait(seconds_left(until))
            return
        self._reading = True
        sock = self._socket
        self._changed.release()
        records: Iterable[bytes] = ()
        failure: CallError | None = None
        try:
            if sock is None:
                failure = NotReached(f"{self.endpoint}: the connection is gone")
            elif ready(sock, event | select.POLLIN, until) & ~select.POLLOUT:
                records = self._read(sock)
        except OSError as error:
            failure = not_reached(self.endpoint, error)
        finally:
            self._changed.acquire()
            self._reading = False
        try:
            for record in records:
                self._receive(record)
            self._received_all()
        except RecordError as error:
            failure = BadReply(f"{self.endpoint}: {error}")
        if failure is not None:
            self._drop(failure, sock)
        self._changed.notify_all()

    def _receive(self, record: bytes) -> None:
        if not is_call(record):
            self._engine.receive(record)
            return
        if len(self._calls_back) >= MAX_CALLS_BACK:
            raise RecordError(f"the server made more than {MAX_CALLS_BACK} calls", "MAX_CALLS_BACK")
        self._calls_back.append(record)
        self._start_answering()

    def _send(self, calls: Sequence[PendingCall], deadline: float) -> None:
        with self._changed:
            messages = self._sealed(calls)
        self._put(messages, deadline)

    def _put(self, messages: Sequence[bytes], deadline: float) -> None:
        if not self._sending.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimedOut(f"{self.endpoint}: other calls could not be sent in time")
        sock = self._socket
        try:
            self._write(messages, deadline)
        except OSError as error:
            failure = not_reached(self.endpoint, error)
            self._drop(failure, sock)
            raise failure from error
        finally:
            self._sending.release()

    # --- calls that the server makes ----------------------------------------------------------

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
                    self._put([reply], time.monotonic() + self.timeout)

    def _next_call(self) -> bytes | None:
        with self._changed:
            while not self._closed:
                if self._calls_back:
                    return self._calls_back.popleft()
                if self._socket is None:
                    self._changed.wait()
                else:
                    self._read_for_all(float("inf"))
        return None

    # --- what differs -------------------------------------------------------------------------

    def _opened(self, sock: socket.socket) -> None:
        """There is a new connection."""

    def _received_all(self) -> None:
        """Nothing more is there for now. Raises ``RecordError``."""

    def _retries(self) -> Iterator[float]:
        """Seconds after which a call is sent again, and again."""
        raise NotImplementedError

    def _write(self, messages: Sequence[bytes], deadline: float) -> None:
        raise NotImplementedError

    def _read(self, sock: socket.socket) -> Iterable[bytes]:
        raise NotImplementedError
