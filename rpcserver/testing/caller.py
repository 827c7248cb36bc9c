"""One connection that keeps calls outstanding, without waiting for anything."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rpcserver.clients.negotiating import advance, repairable
from rpcserver.clients.receiving import milliseconds_left, ready
from rpcserver.errors import AuthError, BadReply, CallError, RecordError, TimedOut
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.flavor import ClientFlavor, Exchange
from rpcserver.rpc.message import is_call
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.record import RecordReader, frame
from rpcserver.rpc.version import Procedure, Version

if TYPE_CHECKING:
    from rpcserver.clients.tls_socket import TlsSocket

_READ_SIZE = 64 << 10
_DATAGRAM_SIZE = 256 << 10
_AHEAD = 64 << 10  # bytes of calls that are made before the socket takes them


class Caller:
    """Calls one procedure with the same arguments, ``depth`` calls at a time."""

    def __init__(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        flavor: ClientFlavor,
        depth: int,
    ) -> None:
        self.sock: socket.socket | TlsSocket | None = None
        self.waiting: dict[int, tuple[float, PendingCall]] = {}
        """xid -> when it was made, and the call; the oldest first"""
        self._engine = ClientEngine(flavor, secrets.randbits(32))
        self._call = version, procedure, arguments
        self._depth = depth
        self._stream = True
        self._reader = RecordReader()
        self._unsent = bytearray()
        self._datagrams: deque[bytes] = deque()
        self._engine.forget(self._engine.begin(*self._call))  # raises XdrError here and now

    def connected(self, sock: socket.socket | TlsSocket, stream: bool) -> None:
        """There is a new connection, which does not block."""
        self.sock = sock
        self._stream = stream
        self._reader = RecordReader()
        self._engine.moved(getattr(sock, "channel_bindings", None))

    def negotiate(self, until: float) -> None:
        """Have a session, if the flavor has such: here and now, until a time of
        ``time.monotonic``. Raises ``OSError`` and ``CallError``."""
        session = self._engine.session
        if session is None or session.ready:
            return
        steps = session.negotiate()
        step = advance(steps)
        while step is not None:
            pending = self._own(step)
            while not pending.done:
                wanted = select.POLLIN if self._flush() else select.POLLIN | select.POLLOUT
                assert self.sock is not None
                if not ready(self.sock, wanted, milliseconds_left(until)):
                    raise TimedOut("no session in time")
                for record in self._read():
                    self._engine.receive(record)
            error = pending.error if isinstance(pending.error, CallError) else None
            step = advance(steps, pending.value, error)

    def farewell(self) -> None:
        """Tell the server that the session is over, if that goes at once."""
        session = self._engine.session
        if session is not None and self.sock is not None and (step := session.farewell()):
            self._own(step)
            with suppress(OSError):
                self._flush()

    def _own(self, step: Exchange) -> PendingCall:
        pending = self._engine.own(step)
        self._engine.again(pending)
        self._queue(pending)
        return pending

    def close(self) -> None:
        """There is none any more; what was outstanding is forgotten."""
        if self.sock is not None:
            self.sock.close()
        self.sock = None
        for _, pending in self.waiting.values():
            self._engine.forget(pending)
        self.waiting.clear()
        self._unsent.clear()
        self._datagrams.clear()

    def send(self) -> bool:
        """Make calls until as many as wanted are outstanding. Whether the socket took them all;
        otherwise it is to be asked again. Raises ``OSError``, and ``AuthError`` if there is no
        session any more to make them in."""
        while self.sock is not None:
            self._make()
            if not self._unsent and not self._datagrams:
                return True
            if not self._flush():
                return False
        return True

    def _flush(self) -> bool:
        try:
            while self.sock is not None and self._unsent:
                del self._unsent[: self.sock.send(self._unsent)]
            while self.sock is not None and self._datagrams:
                self.sock.send(self._datagrams[0])
                self._datagrams.popleft()
        except BlockingIOError:
            return False
        return True

    def receive(self) -> Iterator[tuple[float, CallError | None]]:
        """What has come: for each answer the seconds that it took, and ``None`` or the error.
        Raises ``OSError`` if the connection is gone, ``BadReply`` if it is of no use any more."""
        try:
            for record in self._read():
                # A call that the server makes is not what this is for.
                pending = None if is_call(record) else self._engine.receive(record)
                if pending is None:
                    continue
                begun, _ = self.waiting.pop(pending.xid)
                took = time.monotonic() - begun
                error = pending.error
                if isinstance(error, AuthError) and not repairable([pending]):
                    self._engine.refused(error.stat)
                if error is not None and not isinstance(error, CallError):
                    raise error
                yield took, error
        except RecordError as error:
            raise BadReply(str(error)) from error

    def give_up(self, before: float) -> int:
        """Forget the calls that were made before that time (``time.monotonic``). How many."""
        count = 0
        while self.waiting:
            xid, (begun, pending) = next(iter(self.waiting.items()))
            if begun > before:
                break
            del self.waiting[xid]
            self._engine.forget(pending)
            count += 1
        return count

    def _make(self) -> None:
        ahead, session, depth = 0, self._engine.session, self._depth
        if session is not None:
            if not session.ready:
                raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "the session is over")
            depth = min(depth, session.window)
        while len(self.waiting) < depth and len(self._unsent) < _AHEAD and ahead < _AHEAD:
            pending = self._engine.begin(*self._call)
            if session is not None:
                self._engine.seal((pending,))
            self.waiting[pending.xid] = time.monotonic(), pending
            ahead += self._queue(pending)

    def _queue(self, pending: PendingCall) -> int:
        """How many bytes it is, if that is a datagram's."""
        if self._stream:
            self._unsent += frame(pending.message)
            return 0
        self._datagrams.append(pending.message)
        return len(pending.message)

    def _read(self) -> Iterator[bytes]:
        while self.sock is not None:
            try:
                data = self.sock.recv(_READ_SIZE if self._stream else _DATAGRAM_SIZE)
            except BlockingIOError:
                return
            if not self._stream:
                yield data
                return
            if not data:
                raise ConnectionError("the server closed the connection")
            yield from self._reader.feed(data)
            # Of what is decrypted already, or can be, no poll will tell.
            if not getattr(self.sock, "pending", False):
                return
