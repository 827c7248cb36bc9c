"""Sockets that somebody else has opened for us: systemd (LISTEN_FDS), inetd (descriptor 0)."""

from __future__ import annotations

import os
import socket
from typing import Any

from rpcserver.errors import UsageError

_FIRST = 3  # sd_listen_fds(3)

_TRANSPORTS = {
    ("AF_INET", "SOCK_STREAM"): "tcp",
    ("AF_INET6", "SOCK_STREAM"): "tcp",
    ("AF_INET", "SOCK_DGRAM"): "udp",
    ("AF_INET6", "SOCK_DGRAM"): "udp",
    ("AF_UNIX", "SOCK_STREAM"): "unix",
    ("AF_UNIX", "SOCK_DGRAM"): "unixgram",
    ("AF_VSOCK", "SOCK_STREAM"): "vsock",
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
    """The transport of a socket. Raises ``UsageError`` for one that we do not serve."""
    family, kind = (str(getattr(each, "name", each)) for each in (sock.family, sock.type))
    transport = _TRANSPORTS.get((family, kind))
    if transport is None:
        raise UsageError(f"an inherited socket that we do not serve: {family}, {kind}")
    return transport


def _opened(number: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise UsageError(f"descriptor {number} is no socket: {error.strerror}") from None
    sock.set_inheritable(False)
    return sock
