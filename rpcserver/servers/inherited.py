"""Sockets that somebody else has opened for us: systemd (LISTEN_FDS), inetd (descriptor 0)."""

from __future__ import annotations

import os
import socket
from typing import Any

from rpcserver.errors import UsageError

_FIRST = 3  # sd_listen_fds(3)

_TRANSPORTS = {
    ("inet", socket.SOCK_STREAM): "tcp",
    ("inet", socket.SOCK_DGRAM): "udp",
    ("unix", socket.SOCK_STREAM): "unix",
    ("unix", socket.SOCK_DGRAM): "unixgram",
}


def from_systemd() -> list[socket.socket]:
    """The sockets that systemd has passed to this process; none if it has not.

    What says so is taken out of the environment: it is not meant for our children.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    return [_opened(number) for number in range(_FIRST, _FIRST + int(count))]


def from_inetd() -> socket.socket:
    """The socket that inetd has passed as standard input, output and error, which become
    /dev/null: a word printed there would go to the client.

    Raises ``UsageError`` if standard input is no socket.
    """
    inherited = _opened(0)
    own = inherited.dup()
    inherited.detach()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    stream = own.type == socket.SOCK_STREAM
    if stream and not own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return OneConnection(fileno=own.detach())
    return own


class OneConnection(socket.socket):
    """A connection that inetd has accepted ("nowait"), as a server's only one."""

    def accept(self) -> tuple[socket.socket, Any]:
        return socket.socket(fileno=os.dup(self.fileno())), self.getpeername()


def transport_of(sock: socket.socket) -> str:
    """``tcp``, ``udp``, ``unix`` or ``unixgram``. Raises ``UsageError`` for any other socket."""
    family = "inet" if sock.family in (socket.AF_INET, socket.AF_INET6) else "unix"
    if family == "unix" and sock.family != getattr(socket, "AF_UNIX", None):
        raise UsageError(f"an inherited socket of a family we do not serve: {sock!r}")
    transport = _TRANSPORTS.get((family, sock.type))
    if transport is None:
        raise UsageError(f"an inherited socket of a type we do not serve: {sock!r}")
    return transport


def _opened(number: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise UsageError(f"descriptor {number} is no socket: {error.strerror}") from None
    sock.set_inheritable(False)
    return sock
