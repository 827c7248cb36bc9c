"""Sessions of blocking channels whose flavor has them: made before the first call, made anew when
the server does not know them any more, and ended with the channel."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from typing import Any

from rpcserver.clients.opening import Opener, check_size
from rpcserver.clients.shared import SharedConnection
from rpcserver.errors import AuthError, CallError, TimedOut
from rpcserver.rpc.flavor import ClientFlavor, Exchange, SessionFlavor
from rpcserver.rpc.pending import PendingCall, ProtectedCall

MAX_SESSIONS = 8
"""Sessions for a call, if the server knows none of them, over each new connection, or for datagrams
while its processes come and go: it may be another one that answers."""

FAREWELL_TIMEOUT = 1.0
"""Seconds for telling the server that a session is over."""


def advance(
    steps: Generator[Exchange, Any, None], result: Any = None, error: CallError | None = None
) -> Exchange | None:
    """The next call of a negotiation, after the last one's ``result`` or ``error``; ``None`` at
    its end. It may take time."""
    try:
        return steps.send(result) if error is None else steps.throw(error)
    except StopIteration:
        return None


def repairable(calls: Iterable[PendingCall]) -> list[PendingCall]:
    """Those that were refused, and for which another session may do better."""
    return [
        each
        for each in calls
        if isinstance(each, ProtectedCall)
        and isinstance(each.error, AuthError)
        and each.refused(each.error.stat)
    ]


class Negotiating(SharedConnection):
    """What ``BlockingChannel`` has for that."""

    def __init__(self, opener: Opener, flavor: ClientFlavor) -> None:
        super().__init__(opener, flavor)
        self._negotiating = threading.Lock()

    def close(self) -> None:
        """Close the connection. Calls in flight end with ``NotReached``, later ones too."""
        self._say_farewell()
        super().close()

    def _exchange_in(
        self,
        session: SessionFlavor,
        calls: Sequence[PendingCall],
        deadline: float,
        connect_timeout: float | None,
    ) -> None:
        left = calls
        for tried in range(MAX_SESSIONS):
            # One that the server does not know any more is made anew: over one connection, once.
            if tried > 1 and self.endpoint.stream:
                left = [each for each in left if each.resend]
            if not left:
                return
            try:
                resend = any(each.resend for each in left)
                self._negotiate(session, deadline, connect_timeout, resend)
            except CallError as error:
                for pending in left:
                    pending.fail(error)
                return
            for start in range(0, len(left), session.window):
                several = left[start : start + session.window]
                self._exchange(several, deadline, connect_timeout)
            left = repairable(left)

    def _negotiate(
        self,
        session: SessionFlavor,
        deadline: float,
        connect_timeout: float | None,
        resend: bool,
    ) -> None:
        """Have a session; ``resend``: over another connection, if one is lost. Raises
        ``CallError``."""
        if session.ready:
            return
        if not self._negotiating.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise TimedOut(f"{self.endpoint}: no session in time")
        try:
            if session.ready:
                return
            self._open(deadline, connect_timeout)
            steps = session.negotiate()
            step = advance(steps)
            while step is not None:
                pending = self._own(step, resend)
                self._exchange([pending], deadline, connect_timeout)
                try:
                    result = pending.result()
                except CallError as error:
                    step = advance(steps, error=error)
                else:
                    step = advance(steps, result)
        finally:
            self._negotiating.release()

    def _own(self, step: Exchange, resend: bool = False) -> PendingCall:
        with self._lock:
            return self._engine.own(step, resend)

    def _sealed(self, calls: Sequence[PendingCall]) -> list[bytes]:
        """Calls as they go over the socket now. Raises ``AuthError`` if they cannot be protected,
        and ``UsageError`` for one that is then too long."""
        if self._engine.session is not None:
            with self._lock:
                self._engine.seal(calls)
            for pending in calls:
                check_size(self.endpoint, pending.message)
        return self._parts(calls)

    def _say_farewell(self) -> None:
        session = self._engine.session
        if session is None or self._closed or self._socket is None:
            return
        step = session.farewell()
        if step is not None:
            with suppress(CallError):  # then the server will forget it by itself
                until = time.monotonic() + FAREWELL_TIMEOUT
                self._send(self._socket, self._sealed([self._own(step)]), until)

    def _exchange(
        self, calls: Sequence[PendingCall], deadline: float, connect_timeout: float | None
    ) -> None:
        raise NotImplementedError
