"""TLS over a connected socket, with the methods of a socket that does not block."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from rpcserver.auth.tls_session import Session
from rpcserver.errors import TlsError

_READ_SIZE = 48 << 10
"""What is read at once, with what is left of a record before, fits into readers' buffers when it
is decrypted, so that nothing stays here unseen."""

_WRITE_SIZE = 256 << 10  # of content that is encrypted at once


class CutOffError(ConnectionResetError):
    """The connection was closed, and TLS had not said so; ``early``: in the handshake."""

    def __init__(self, text: str, early: bool = False) -> None:
        super().__init__(text)
        self.early = early


class TlsSocket:
    """``recv``, ``recv_into`` and ``send`` are those of ``sock``, which does not block, with TLS
    between: they raise ``BlockingIOError`` when nothing can be done now, and ``TlsError``.

    When ``send`` has raised ``BlockingIOError``, it must next be given the same data. After a
    ``recv``, ``pending`` says whether there is more that no ``poll`` will tell of. Several threads
    may use it.
    """

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.sock = sock
        self.session = session
        self._lock = threading.Lock()
        self._sealed = memoryview(b"")  # what the kernel has not taken
        self._accepted = 0  # bytes of content in it, that ``send`` has not yet told of
        self._peeked = b""

    @property
    def pending(self) -> bool:
        """Whether ``recv`` may have something without the kernel's having it."""
        return bool(self._peeked) or self.session.pending

    @property
    def channel_bindings(self) -> bytes | None:
        """Those of the TLS, once the handshake is complete."""
        return None if self.session.info is None else self.session.info.channel_bindings

    @property
    def unsent(self) -> bool:
        """Whether the kernel has not taken all that is to be sent."""
        return bool(self._sealed)

    def fileno(self) -> int:
        """The socket's."""
        return self.sock.fileno()

    def handshake(self) -> bool:
        """Go on with the handshake, as far as it goes now; whether it is complete.

        Raises ``CutOffError`` if the other side closes.
        """
        with self._lock:
            self._flush()
            while True:
                try:
                    done = self.session.handshake()
                except TlsError:
                    self._tell_why()
                    raise
                self._flush()
                if done:
                    return not self._sealed
                try:
                    data = self.sock.recv(_READ_SIZE)
                except BlockingIOError:
                    return False
                if not data:
                    raise CutOffError("the connection was closed in the TLS handshake", True)
                self.session.feed(data)

    def handshake_until(self, deadline: float) -> None:
        """All of it, by ``deadline`` (``time.monotonic``). Raises ``TimeoutError``, too."""
        while not self.handshake():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the TLS handshake was not complete in time")
            poll = select.poll()
            poll.register(self.sock, select.POLLIN | (select.POLLOUT if self._sealed else 0))
            poll.poll(left * 1000)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As a socket has it; of the flags there is MSG_PEEK."""
        with self._lock:
            data = self._peeked
            peek = bool(flags & socket.MSG_PEEK)
            if peek and not data and not self.session.pending:
                self.sock.recv(1, flags)  # mostly there is nothing, which costs less to see here
            if not data:
                room = memoryview(bytearray(max(size, 64 << 10)))
                data = bytes(room[: self._read(room)])
            self._peeked = data if peek else data[size:]
            return data[:size]

    def recv_into(self, room: Any, size: int = 0, flags: int = 0) -> int:
        """As a socket has it that fills ``room``; there are no flags."""
        view = memoryview(room)
        with self._lock:
            if not self._peeked:
                return self._read(view)
            count = min(len(view), len(self._peeked))
            view[:count] = self._peeked[:count]
            self._peeked = self._peeked[count:]
            return count

    def _read(self, room: memoryview) -> int:
        session, filled, full = self.session, 0, True
        while True:
            try:
                filled += session.read_into(room[filled:])
            except TlsError:
                self._tell_why()
                raise
            self._flush()  # answers of TLS's own
            if session.ended or filled == len(room) or (filled and not full):
                return filled
            try:
                data = self.sock.recv(_READ_SIZE)
            except BlockingIOError:
                if filled:
                    return filled
                raise
            if not data:
                if filled:
                    return filled  # and the next time there is nothing again
                raise CutOffError("the connection was closed without an end of TLS")
            full = len(data) == _READ_SIZE
            session.feed(data)

    def sendmsg(self, parts: Sequence[Any], ancillary: Any = (), flags: int = 0) -> int:
        """The same for the first of ``parts``."""
        return self.send(parts[0])

    def send(self, data: Any, flags: int = 0) -> int:
        """As a socket has it, but for what is said above; there are no flags."""
        with self._lock:
            try:
                return self._send(data)
            except BlockingIOError:
                raise
            except OSError:
                self.look_why()
                raise

    def _send(self, data: Any) -> int:
        if self.session.info is None:
            raise BlockingIOError  # there is a handshake before
        if not self._accepted:
            view = memoryview(data)[:_WRITE_SIZE]
            self.session.write(view)
            self._accepted = len(view)
        self._flush()
        if self._sealed:
            raise BlockingIOError
        accepted, self._accepted = self._accepted, 0
        return accepted

    def look_why(self) -> None:
        """The connection is broken: the other side may have said why. Raises ``TlsError`` if it
        has, and perhaps ``OSError``."""
        with suppress(BlockingIOError):
            while data := self.sock.recv(_READ_SIZE):
                self.session.feed(data)
                self.session.read()

    def _flush(self) -> None:
        """Send what is there, as far as it is taken."""
        if more := self.session.outgoing():
            self._sealed = memoryview(bytes(self._sealed) + more if self._sealed else more)
        try:
            while self._sealed:
                self._sealed = self._sealed[self.sock.send(self._sealed) :]
        except BlockingIOError:
            pass

    def _tell_why(self) -> None:
        with suppress(OSError):
            self._flush()

    def goodbye(self) -> None:
        """Say that nothing more comes, if the kernel takes that now."""
        with self._lock:
            self.session.goodbye()
            with suppress(OSError):
                self._flush()

    def shutdown(self, how: int) -> None:
        """As a socket has it, and before that the end of TLS."""
        self.goodbye()
        self.sock.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
