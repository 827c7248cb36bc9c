"""Waiting for what a socket brings, and reading it; the native codec has the same in one step."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

from rpcserver.xdr.codec import NATIVE

FOREVER = float("inf")


def seconds_left(until: float) -> float | None:
    """Seconds until a time (``time.monotonic``), 0 at least; ``None`` for ever."""
    return None if until == FOREVER else max(until - time.monotonic(), 0)


def milliseconds_left(until: float) -> int:
    """The same as whole milliseconds, not less than there are; -1 for ever."""
    return -1 if until == FOREVER else int(max(until - time.monotonic(), 0) * 1000) + 1


def python_receive(sock: socket.socket, room: memoryview, milliseconds: int) -> int | None:
    """Wait until the socket has something, and read it into ``room``: how many bytes, 0 at the end
    of a stream, ``None`` if nothing came in time. -1 milliseconds are without end.

    Nobody may close the socket meanwhile: another file may get its number. Raises ``OSError``.
    """
    if not ready(sock, select.POLLIN, milliseconds):
        return None
    try:
        return sock.recv_into(room)
    except BlockingIOError:
        return None


receive = python_receive
if NATIVE and not TYPE_CHECKING:
    from rpcserver.xdr._native import receive  # noqa: F401


def ready(sock: socket.socket, event: int, milliseconds: int) -> int:
    """What the socket is ready for in that time, 0 for nothing. Raises ``OSError`` if it was
    closed."""
    poll = select.poll()
    try:
        poll.register(sock, event)
    except ValueError:
        raise OSError("the connection is closed") from None
    found = poll.poll(milliseconds)
    return found[0][1] if found else 0
