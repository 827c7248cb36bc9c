"""What the servers ask of sockets, and what differs between systems."""

from __future__ import annotations

import math
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from rpcserver.rpc.call import Peer

AF_UNIX = getattr(socket, "AF_UNIX", -1)
MSG_TRUNC: int = getattr(socket, "MSG_TRUNC", 0)
_DONTWAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
_SO_PEERGROUPS = 59 if sys.platform == "linux" else None
_MOST_AT_ONCE = 1024  # bytes that Python's getsockopt asks for
_IP_PKTINFO = 8 if sys.platform == "linux" else None  # the socket module has no name for it
_UCRED = struct.Struct("3i")
_IN_PKTINFO = struct.Struct("=I4s4s")
_IN6_PKTINFO = struct.Struct("=16sI")
_ANCILLARY_SPACE = 64
_MAX_PARTS = 64  # IOV_MAX is 16 at least, and 1024 on the systems that matter

Ancillary = list[tuple[int, int, bytes]]


def family(host: str) -> socket.AddressFamily:
    """The address family of a host as it is written."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_own_address(host: str) -> bool:
    """Whether an address is one of this host: a socket can be bound to it."""
    try:
        with socket.socket(family(host), socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    """Whether a socket that is bound to ``host`` takes what is sent to any address."""
    return host in ("", "0.0.0.0", "::")


def shut(connection: socket.socket, how: int) -> None:
    """``shutdown`` for a connection that may be gone."""
    with suppress(OSError):
        connection.shutdown(how)


def peer_of(connection: socket.socket, transport: str, address: Any) -> Peer:
    """Who is at the other end of an accepted connection."""
    local = connection.getsockname()
    if connection.family != AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return Peer(transport, address, local)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, gid = _UCRED.unpack(credentials)
    groups = None
    if _SO_PEERGROUPS is not None:
        with suppress(OSError):  # a kernel that has it not, or a user with hundreds of them
            packed = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_AT_ONCE)
            groups = tuple(each for (each,) in struct.iter_unpack("I", packed))
    return Peer(transport, address, local, uid, gid, groups)


def send_parts(connection: Any, parts: Sequence[memoryview]) -> int:
    """Send ``parts``, or the beginning of them: how many bytes it was. Raises
    ``BlockingIOError`` if the kernel takes nothing now."""
    if len(parts) == 1 or not hasattr(connection, "sendmsg"):
        return int(connection.send(parts[0]))
    return int(connection.sendmsg(list(islice(parts, _MAX_PARTS))))


class Waiter:
    """Waits for a non-blocking connection: ``select``, or ``poll`` where there is one."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._poll = select.poll() if hasattr(select, "poll") else None

    def readable(self, seconds: float) -> tuple[bool, bool]:
        """Whether there is something to read, and whether an urgent byte is there."""
        if getattr(self._connection, "pending", False):  # TLS has it already
            return True, False
        if self._poll is None:
            one = [self._connection]
            ready, _, exceptional = select.select(one, [], one, seconds)
            return bool(ready), bool(exceptional)
        self._poll.register(self._connection, select.POLLIN | select.POLLPRI)
        for _, events in self._poll.poll(math.ceil(seconds * 1000)):
            urgent = bool(events & select.POLLPRI)
            return bool(events & ~select.POLLPRI), urgent
        return False, False

    def send_all(self, data: bytes, seconds: float) -> bool:
        """Send ``data``; whether that could be done in time."""
        deadline = time.monotonic() + seconds
        view = memoryview(data)
        while True:
            try:
                view = view[self._connection.send(view) :]
            except BlockingIOError:
                pass
            if not view:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._writable(left)

    def _writable(self, seconds: float) -> None:
        if self._poll is None:
            select.select([], [self._connection], [], seconds)
        else:
            self._poll.register(self._connection, select.POLLOUT)
            self._poll.poll(math.ceil(seconds * 1000))


def urgent(connection: socket.socket) -> Iterator[bytes]:
    """The urgent byte of a connection, if there is one: TCP holds one at a time."""
    with suppress(OSError):  # none is there, or none can be
        if data := connection.recv(1, socket.MSG_OOB):
            yield data


class UrgentWatch:
    """Has ``loop`` see urgent bytes. Its own selectors do not report a lone one; ``epoll`` does."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._streams: dict[int, Any] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll, self._report)

    def add(self, stream: Any) -> None:
        """Have ``server.handle_out_of_band`` called for this one, too."""
        if self._epoll is not None:
            number = stream.request.fileno()
            self._streams[number] = stream
            self._epoll.register(number, select.EPOLLPRI | select.EPOLLET)

    def remove(self, stream: Any) -> None:
        """No more of that; its socket is still open."""
        if self._epoll is not None:
            number = stream.request.fileno()
            del self._streams[number]
            self._epoll.unregister(number)

    def close(self) -> None:
        """Give back what it holds."""
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll)
            self._epoll.close()
            self._epoll = None

    def _report(self) -> None:
        assert self._epoll is not None
        for number, _ in self._epoll.poll(0):
            if (stream := self._streams.get(number)) is not None:
                for data in urgent(stream.request):
                    stream.server.handle_out_of_band(stream.request, stream.client_address, data)


def report_destination(sock: socket.socket) -> None:
    """Have the kernel say to which address each datagram was sent."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    elif _IP_PKTINFO is not None:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def report_sender(sock: socket.socket) -> None:
    """Have the kernel say which user sent each UNIX datagram."""
    if hasattr(socket, "SO_PASSCRED"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def sender(ancillary: Ancillary) -> tuple[int | None, int | None]:
    """The user and group who sent a datagram, if the kernel said so."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, getattr(socket, "SCM_CREDENTIALS", None)):
            _, uid, gid = _UCRED.unpack(data)
            return uid, gid
    return None, None


def receive(sock: socket.socket, size: int) -> tuple[bytes, Ancillary, int, Any]:
    """The datagram that is there: data, ancillary data, flags, address. Never waits for one."""
    if hasattr(sock, "recvmsg"):
        return sock.recvmsg(size, _ANCILLARY_SPACE, _DONTWAIT)
    data, address = sock.recvfrom(size)
    return data, [], 0, address


def destination(ancillary: Ancillary, bound: Any) -> Any:
    """The address that a datagram was sent to; ``bound`` if the kernel did not say."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return (socket.inet_ntop(socket.AF_INET, _IN_PKTINFO.unpack(data)[1]), bound[1])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return (socket.inet_ntop(socket.AF_INET6, _IN6_PKTINFO.unpack(data)[0]), bound[1])
    return bound


def send_from(sock: socket.socket, data: bytes, ancillary: Ancillary, address: Any) -> None:
    """Send a datagram from the address that ``ancillary`` says a call came to."""
    if not ancillary:
        sock.sendto(data, address)
        return
    source = []
    for level, kind, info in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, _ = _IN_PKTINFO.unpack(info)
            # Interface 0: the route decides, as it would for any other datagram.
            source.append((level, kind, _IN_PKTINFO.pack(0, local, bytes(4))))
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            source.append((level, kind, info))
    sock.sendmsg([data], source, 0, address)


def identity(path: str) -> tuple[int, int] | None:
    """What tells one file at ``path`` from a later one."""
    with suppress(OSError):
        status = os.stat(path)
        return status.st_dev, status.st_ino
    return None


def remove_dead(path: str, kind: int) -> None:
    """Remove a socket file of a ``kind`` (SOCK_STREAM, ...) that nobody listens on."""
    with suppress(OSError), socket.socket(AF_UNIX, kind) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def remove_own(path: str, bound: tuple[int, int] | None) -> None:
    """Remove a socket file if it is still the one that was bound."""
    if bound is not None and identity(path) == bound:
        with suppress(OSError):
            os.unlink(path)
