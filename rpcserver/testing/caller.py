"""One connection that keeps calls outstanding, without waiting for anything."""

from __future__ import annotations

import secrets
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rpcserver.errors import AuthError, BadReply, CallError, RecordError
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.flavor import ClientFlavor
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
        otherwise it is to be asked again. Raises ``OSError``."""
        while self.sock is not None:
            self._make()
            if not self._unsent and not self._datagrams:
                return True
            try:
                if self._stream:
                    del self._unsent[: self.sock.send(self._unsent)]
                else:
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
                if isinstance(error, AuthError):
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
        ahead = 0
        while len(self.waiting) < self._depth and len(self._unsent) < _AHEAD and ahead < _AHEAD:
            pending = self._engine.begin(*self._call)
            self.waiting[pending.xid] = time.monotonic(), pending
            if self._stream:
                self._unsent += frame(pending.message)
            else:
                self._datagrams.append(pending.message)
                ahead += len(pending.message)

    def _read(self) -> Iterable[bytes]:
        if self.sock is None:
            return ()
        try:
            data = self.sock.recv(_READ_SIZE if self._stream else _DATAGRAM_SIZE)
        except BlockingIOError:
            return ()
        if not self._stream:
            return (data,)
        if not data:
            raise ConnectionError("the server closed the connection")
        return self._reader.feed(data)
