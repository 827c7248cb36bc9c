"""Blocking channels, whatever they go over: calls made, sent, sent again, and waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from rpcserver.clients.batch import Batch
from rpcserver.clients.negotiating import Negotiating
from rpcserver.clients.opening import Opener
from rpcserver.clients.resending import FIRST_BACK_OFF, LAST_BACK_OFF, pauses, went_nowhere
from rpcserver.errors import AuthError, NotReached, TimedOut
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.version import Procedure, Version

CONNECT_TIMEOUT = 10.0
"""Seconds that opening a connection may take."""


class BlockingChannel(Negotiating):
    """What stream and datagram channels share. ``open_channel`` makes one.

    It may be used by many threads. ``timeout`` (seconds for a call) and ``connect_timeout`` may be
    changed at any time. The connection is opened again by the next call when it has been lost.
    """

    def __init__(
        self, opener: Opener, flavor: ClientFlavor, timeout: float, connect_timeout: float
    ) -> None:
        super().__init__(opener, flavor)
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._open(time.monotonic() + timeout)

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
        pending = self.make(version, procedure, arguments, resend, lenient, oneway)
        self.exchange((pending,), deadline, connect_timeout)
        if pending.error is not None and (again := self.renewed(pending)):
            self.exchange((again,), deadline, connect_timeout)
            return again.result()
        return pending.result()

    def batch(self, timeout: float | None = None) -> Batch:
        """Calls that are sent together when ``with`` is left, which waits for all replies.

        ``timeout``: seconds for all of them, by default the channel's::

            with client.channel.batch() as batch:
                both = [batch.call(client.add, n, 1) for n in (1, 2)]
            print([each.result() for each in both])
        """
        return Batch(self, self.timeout if timeout is None else timeout)

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
        begun = time.monotonic()
        try:
            self._try(calls, deadline, connect_timeout)
            for pending in calls:
                if pending.error is not None:
                    self._try_again(calls, begun, deadline, connect_timeout)
                    break
        finally:
            if not self._engine.idle:
                with self._lock:
                    for pending in calls:
                        self._engine.forget(pending)

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
        with self._lock:
            return self._engine.make(version, procedure, arguments, resend, lenient, oneway)

    def renewed(self, pending: PendingCall) -> PendingCall | None:
        """A call whose credential was refused, made anew if there is a better one."""
        with self._lock:
            return self._engine.renewed(pending)

    def _try(
        self, calls: Sequence[PendingCall], deadline: float, connect_timeout: float | None
    ) -> None:
        """Send calls over a connection, a new one if need be; those are done that it fails."""
        try:
            alone = len(calls) == 1 and self._engine.session is None
            if alone and self._sent_alone(calls[0], deadline):
                self._collect(calls, deadline)
                return
            with self._lock:
                usable = self._usable()
            if not usable:
                self._open(deadline, connect_timeout)
            self._attempt(calls, deadline)
        except (NotReached, AuthError) as error:
            for pending in calls:
                if not pending.done:
                    pending.fail(type(error)(*error.args))

    def _try_again(
        self,
        calls: Sequence[PendingCall],
        begun: float,
        deadline: float,
        connect_timeout: float | None,
    ) -> None:
        """Send those once more, and again, that were lost and may be; ``begun``: when they were
        sent first."""
        waits = pauses(FIRST_BACK_OFF, LAST_BACK_OFF)
        for tried in count():
            moved = tried == 0 and self._opener.may_move
            calls = [
                each
                for each in calls
                if each.lost and (each.resend or (moved and went_nowhere(each, begun)))
            ]
            if not calls or self._closed:
                return
            end = time.monotonic() + next(waits)
            if end >= deadline:
                return
            with self._lock:
                while not self._closed and (left := end - time.monotonic()) > 0:
                    self._sleep(left)
            self._try(calls, deadline, connect_timeout)

    def _attempt(self, calls: Sequence[PendingCall], deadline: float) -> None:
        """Send calls over the connection that is open, and wait until all are done."""
        with self._lock:
            self._engine.wait(calls)
            sock = self._socket  # what is sealed for one connection goes over no other
        self._send(sock, self._sealed(calls), deadline)
        self._collect(calls, deadline)

    def _collect(self, calls: Sequence[PendingCall], deadline: float) -> None:
        """Until calls that were sent are done: read, or sleep while another caller does."""
        with self._lock:
            for pending in calls:
                if pending.oneway:
                    pending.sent()
                while not pending.done:
                    if time.monotonic() >= deadline:
                        raise self._late(pending)
                    self._read_for_all(deadline)

    def _late(self, pending: PendingCall) -> TimedOut:
        return TimedOut(f"{self.endpoint}: no answer to {pending.procedure.name or 'NULL'} in time")
