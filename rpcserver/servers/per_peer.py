"""How many connections a server of streams has, in all and of each peer address."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from typing import Any

_ALL_OF_ONE_HOST = 8
"""Bytes of an IPv6 address that name the network: a host can have every address in it."""

_MANY_HOSTS = (bytes(8), b"\xfe\x80" + bytes(6))
"""What begins IPv4 addresses (::ffff:0:0/96) and ``::1``, and those of a link (fe80::/64)."""


def origin(address: Any) -> Any:
    """What stands for the host that a connection came from: an IPv4 address, the /64 of an IPv6
    one, the CID of a virtual machine; ``None`` for UNIX sockets, which have none."""
    if not isinstance(address, tuple):
        return None
    host = address[0]
    if not isinstance(host, str) or ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    network = packed[:_ALL_OF_ONE_HOST]
    return packed if network in _MANY_HOSTS else network


class PerPeer:
    """The open connections of ``server``, those that its children have included."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._open: dict[int, Any] = {}  # id of a connection -> whose it is
        self._counts: Counter[Any] = Counter()  # of those
        self._children: dict[int, Any] = {}  # a child's pid -> whose connection it has

    def take(self, connection: socket.socket, address: Any) -> None:
        """One more. Raises ``ConnectionAbortedError``, and closes it, if it is one too many."""
        server, whose = self._server, origin(address)
        if server.open_requests() >= server.max_connections:
            limit, text = "max_connections", f"{server.max_connections} connections are open"
        elif whose is not None and self.count(whose) >= server.max_connections_per_peer:
            limit = "max_connections_per_peer"
            text = f"{server.max_connections_per_peer} connections of this address are open"
        else:
            with self._lock:
                self._open[id(connection)] = whose
                self._counts[whose] += 1
            return
        server.turned_away(limit, address, f"turned away: {text}")
        connection.close()
        raise ConnectionAbortedError(text)

    def count(self, whose: Any) -> int:
        """How many are that host's."""
        with self._lock:
            if self._children:
                self._look_after(self._server.child_pids())
            return self._counts[whose] + list(self._children.values()).count(whose)

    def closed(self, connection: Any) -> None:
        """It is closed here; if a child was forked for it, that one goes on with it."""
        with self._lock:
            if id(connection) not in self._open:
                return
            whose = self._open.pop(id(connection))
            self._counts[whose] -= 1
            if not self._counts[whose]:
                del self._counts[whose]
            pids = self._server.child_pids()
            if pids:
                self._look_after(pids)
                self._children.update(dict.fromkeys(pids - self._children.keys(), whose))

    def _look_after(self, pids: set[int]) -> None:
        """Forget the children that have ended."""
        self._children = {pid: whose for pid, whose in self._children.items() if pid in pids}
