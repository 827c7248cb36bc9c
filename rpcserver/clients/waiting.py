"""Waiting for a socket."""

from __future__ import annotations

import select
import socket
import time


def ready(sock: socket.socket, event: int, until: float) -> int:
    """What the socket is ready for before ``until``, 0 for nothing. Raises ``OSError`` if it was
    closed."""
    poll = select.poll()
    try:
        poll.register(sock, event)
    except ValueError:
        raise OSError("the connection is closed") from None
    seconds = seconds_left(until)
    found = poll.poll(None if seconds is None else seconds * 1000)
    return found[0][1] if found else 0


def seconds_left(until: float) -> float | None:
    """The seconds until then, ``None`` if it is never."""
    return None if until == float("inf") else max(until - time.monotonic(), 0)
