"""Waiting for what a socket brings, and reading it; the native codec has the same in one step."""

from __future__ import annotations

import os
import select
import socket
import time
from typing import TYPE_CHECKING

from rpcserver.xdr.codec import NATIVE

if TYPE_CHECKING:
    from rpcserver.clients.opening import Wire

FOREVER = float("inf")
NOW = getattr(socket, "MSG_DONTWAIT", 0)
"""The flag of what does not wait, whatever the socket does."""


def seconds_left(until: float) -> float | None:
    """Seconds until a time (``time.monotonic``), 0 at least; ``None`` for ever."""
    return None if until == FOREVER else max(until - time.monotonic(), 0)


def milliseconds_left(until: float) -> int:
    """The same as whole milliseconds, not less than there are; -1 for ever."""
    if until == FOREVER:
        return -1
    left = until - time.monotonic()
    return int(left * 1000) + 1 if left > 0 else 0


def python_receive(sock: Wire, room: memoryview, milliseconds: int) -> int | None:
    """Wait until the socket has something, and read it into ``room``: how many bytes, 0 at the end
    of a stream, ``None`` if nothing came in time. -1 milliseconds are without end.

    Nobody may close the socket meanwhile: another file may get its number. Raises ``OSError``.
    """
    if not ready(sock, select.POLLIN, milliseconds):
        return None
    try:
        return sock.recv_into(room, 0, NOW)
    except BlockingIOError:
        return None


receive = python_receive
if NATIVE:
    from rpcserver.xdr._native import offer, receive_blocking, set_patience

    if not TYPE_CHECKING:
        from rpcserver.xdr._native import receive


def ready(sock: Wire, event: int, milliseconds: int) -> int:
    """What the socket is ready for in that time, 0 for nothing. Raises ``OSError`` if it was
    closed."""
    if event & select.POLLIN and getattr(sock, "pending", False):  # TLS has it already
        return select.POLLIN
    poll = select.poll()
    try:
        poll.register(sock, event)
    except ValueError:
        raise OSError("the connection is closed") from None
    found = poll.poll(milliseconds)
    return found[0][1] if found else 0


class Receiver:
    """What reads from ``sock``, a stream's, which may block from now on: what is not to wait there
    says ``NOW``. One recv() that waits costs much less than a poll() and another that does not.

    TLS waits with a poll(): it has locks, which nobody is to hold who waits.
    """

    def __init__(self, sock: Wire) -> None:
        self.sock = sock
        self._patience: int | None = None
        self._plain = sock if NATIVE and isinstance(sock, socket.socket) else None
        if self._plain is not None:
            os.set_blocking(sock.fileno(), True)

    def offer(self, part: bytes) -> int:
        """Send ``part`` if the connection is quiet: how many bytes it took, now. 0 also if
        something has come that nobody has read, which is then to be looked at."""
        return 0 if self._plain is None else offer(self._plain, part)

    def receive(self, room: memoryview, until: float) -> int | None:
        """As ``receive``."""
        milliseconds = milliseconds_left(until)
        plain = self._plain
        if plain is None:
            return python_receive(self.sock, room, milliseconds)
        if milliseconds == 0:
            return receive(plain, room, milliseconds)
        if milliseconds != self._patience:
            self._patience = None
            set_patience(plain, milliseconds)
            self._patience = milliseconds
        return receive_blocking(plain, room)
