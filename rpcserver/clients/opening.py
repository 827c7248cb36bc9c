"""From an endpoint to a connected socket."""

from __future__ import annotations

import errno
import random
import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rpcserver.clients import KEEP_ALIVE
from rpcserver.errors import CallError, NotReached, TlsError, UsageError
from rpcserver.rpcbind.netid import Endpoint

if TYPE_CHECKING:
    from rpcserver.clients.tls import Starter
    from rpcserver.clients.tls_socket import TlsSocket

Wire: TypeAlias = "socket.socket | TlsSocket"
"""What a channel reads and writes"""

_PROBES = 6  # that many times without an answer, ten seconds apart
_PROBE_INTERVAL = 10
PRIVILEGED_PORTS = range(600, 1024)
"""Those below belong to services that are known (bindresvport(3) begins there, too)."""

MAX_UDP = 65_507
"""Bytes that fit into a datagram (of IPv4; IPv6 would have room for 20 more)."""

_TAKEN = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)


def check_size(endpoint: Endpoint, message: bytes) -> None:
    """Raises ``UsageError`` for a call that no datagram has room for."""
    if endpoint.transport == "udp" and len(message) > MAX_UDP:
        raise UsageError(
            f"{endpoint}: a call of {len(message)} bytes does not fit into a datagram, which has"
            f" room for {MAX_UDP}: call it over TCP"
        )


class Find(Protocol):
    """Says where a service is now. Raises ``CallError``."""

    def __call__(self, *, timeout: float) -> Endpoint:
        """``timeout``: seconds."""
        ...


class Opener:
    """Opens connections to ``endpoint``.

    ``privileged_port``: from a port below 1024, which proves to old servers that root is asking.
    ``keep_alive``: seconds of silence before a TCP peer is probed, ``None``: never. ``find``:
    what to ask for the endpoint when it may be another one now. ``tls``: what starts TLS, on
    connections that are streams.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        privileged_port: bool = False,
        keep_alive: float | None = KEEP_ALIVE,
        find: Find | None = None,
        tls: Starter | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.privileged_port = privileged_port
        self.keep_alive = keep_alive
        self._find = find
        self._tls = tls
        self._lost = False

    @property
    def may_move(self) -> bool:
        """Whether the service may be somewhere else the next time."""
        return self._find is not None

    def lost(self) -> None:
        """A connection went away: the service may be somewhere else the next time."""
        self._lost = True

    def open(self, timeout: float) -> Wire:
        """A connected socket that does not block, or TLS over it. A name's addresses are tried
        one after the other, in ``timeout`` seconds together. Raises ``NotReached`` and
        ``TlsError``."""
        deadline = time.monotonic() + timeout
        sock = self._found(timeout)
        if self._tls is None or not self.endpoint.stream:
            return sock
        return self._secured(self._tls, sock, deadline)

    def _secured(self, tls: Starter, sock: socket.socket, deadline: float) -> Wire:
        """TLS over ``sock``; or what is to be used where the server has none."""
        from rpcserver.clients.tls import NoTlsError

        try:
            return tls.start(sock, self.endpoint, max(deadline - time.monotonic(), 0.001))
        except NoTlsError as error:
            if tls.settings.required:
                sock.close()
                raise TlsError(f"{self.endpoint}: no TLS there: {error}") from error
            if error.usable:
                return sock
            sock.close()
            return self._found(max(deadline - time.monotonic(), 0.001))
        except BaseException:
            sock.close()
            raise

    def _found(self, timeout: float) -> socket.socket:
        deadline = time.monotonic() + timeout
        if self._find is None:
            return self._connected(timeout)
        if not self._lost:
            try:
                return self._connected(timeout)
            except NotReached:
                pass  # what was said before does not hold any more
        found = None
        try:
            found = self._find(timeout=max(deadline - time.monotonic(), 0.001))
        except CallError as error:
            if not self._lost:
                raise NotReached(f"{self.endpoint}: nobody is there, and {error}") from error
        self.endpoint = found or self.endpoint
        self._lost = False
        return self._connected(max(deadline - time.monotonic(), 0.001))

    def _connected(self, timeout: float) -> socket.socket:
        places = self._places()
        deadline = time.monotonic() + timeout
        failure: OSError | None = None
        for tried, (family, address) in enumerate(places):
            left = max(deadline - time.monotonic(), 0.001) / (len(places) - tried)
            try:
                return self._opened(family, address, left)
            except OSError as error:
                failure = error
        reason = failure and (failure.strerror or failure)
        raise NotReached(f"{self.endpoint}: {reason}") from failure

    def _places(self) -> list[tuple[int, Any]]:
        endpoint = self.endpoint
        try:
            if endpoint.internet:
                kind = socket.SOCK_STREAM if endpoint.stream else socket.SOCK_DGRAM
                found = socket.getaddrinfo(endpoint.host, endpoint.port, type=kind)
                return [(family, address) for family, _, _, _, address in found]
            if endpoint.transport == "vsock":
                return [(getattr(socket, "AF_VSOCK"), (int(endpoint.host), endpoint.port))]  # noqa: B009
            return [(getattr(socket, "AF_UNIX"), endpoint.path)]  # noqa: B009  not everywhere
        except (OSError, AttributeError, UnicodeError) as error:
            raise NotReached(f"{endpoint}: {error}") from error

    def _opened(self, family: int, address: Any, timeout: float) -> socket.socket:
        kind = socket.SOCK_STREAM if self.endpoint.stream else socket.SOCK_DGRAM
        deadline = time.monotonic() + timeout
        failure: OSError = PermissionError("no privileged port is free")
        for port in self._own_ports():
            sock = socket.socket(family, kind)
            try:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                if port is not None:
                    sock.bind(("", port))
                elif self.endpoint.transport == "unixgram":
                    sock.bind("")  # a name of the kernel's own: without one none could answer
                sock.connect(address)
                if self.endpoint.transport == "tcp":
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._keep_alive(sock)
                sock.setblocking(False)
                return sock
            except OSError as error:
                sock.close()
                failure = error
                if port is None or error.errno not in _TAKEN:
                    break
            except BaseException:
                sock.close()
                raise
        if isinstance(failure, PermissionError):
            raise OSError(errno.EACCES, f"no privileged port to call from: {failure}")
        raise failure

    def _own_ports(self) -> Iterable[int | None]:
        if not (self.privileged_port and self.endpoint.internet):
            return (None,)
        # In any order, so that a port that has just been used is not asked for again.
        return random.sample(PRIVILEGED_PORTS, len(PRIVILEGED_PORTS))

    def _keep_alive(self, sock: socket.socket) -> None:
        if self.keep_alive is None:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        idle = max(1, round(self.keep_alive))
        for name, value in (
            ("TCP_KEEPIDLE", idle),
            ("TCP_KEEPINTVL", _PROBE_INTERVAL),
            ("TCP_KEEPCNT", _PROBES),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
