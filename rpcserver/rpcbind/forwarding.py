"""Calls that an rpcbind passes on to programs of its host: CALLIT, BCAST and INDIRECT (RFC 1833).

The called program sees this host as its caller, so this is off unless it is asked for; programs
that trust their own host are never called, and nobody is told about failures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace as changed
from ipaddress import ip_address

from rpcserver.errors import CallError, NoReply
from rpcserver.protocols.rpcb_prot import RPCBPROG
from rpcserver.rpcbind.netid import Endpoint, endpoint
from rpcserver.rpcbind.table import Registration, Table

Forward = Callable[[Endpoint, int, int, int, bytes], bytes]
"""Calls (prog, vers, proc) at an endpoint with encoded arguments. Raises ``CallError``."""

RATE = 50
"""Calls that are passed on in a second, and how many may come at once."""

IN_FLIGHT = 8
"""Calls that wait for their program."""

MARGIN = 128
"""Bytes by which a result may be larger than its question, when a datagram from another host
asked: its sender may be made up, and the answer hit somebody else."""

PROTECTED = frozenset({100003, 100004, 100005, 100009, 100021, 100024, 100069, 100227, RPCBPROG})
"""NFS, NIS, MOUNT, NIS passwords, NLM, NSM, NIS transfers, NFS ACLs, and rpcbind itself."""


class Forwarder:
    """Passes calls on to what ``table`` has for UDP, by way of ``forward``, where ``is_local`` says
    that the address is one of this host: anybody here may register any."""

    def __init__(self, table: Table, forward: Forward, is_local: Callable[[str], bool]) -> None:
        self._table = table
        self._forward = forward
        self._is_local = is_local
        self._lock = threading.Lock()
        self._in_flight = 0
        self._allowed = float(RATE)
        self._since = time.monotonic()

    def pass_on(
        self, prog: int, vers: int, proc: int, arguments: bytes, limit: int | None
    ) -> tuple[Registration, bytes]:
        """The program that was called, and its encoded results, of at most ``limit`` bytes.

        Raises ``NoReply`` for whatever goes wrong.
        """
        found = self._table.find(prog, vers, "udp", exact=True)
        if found is None or (prog in PROTECTED and proc != 0) or prog == RPCBPROG:
            raise NoReply(f"program {prog} is not called for others")
        place = _from_here(found)
        if not self._is_local(place.host):
            raise NoReply(f"{place} is no address of this host")
        if not self._begin():
            raise NoReply("too many calls to be passed on")
        try:
            results = self._forward(place, prog, vers, proc, arguments)
        except CallError as error:
            raise NoReply(str(error)) from error
        finally:
            with self._lock:
                self._in_flight -= 1
        if limit is not None and len(results) > limit:
            raise NoReply(f"{len(results)} bytes are too many for who may be somebody else")
        return found, results

    def _begin(self) -> bool:
        with self._lock:
            now = time.monotonic()
            self._allowed = min(RATE, self._allowed + (now - self._since) * RATE)
            self._since = now
            if self._allowed < 1 or self._in_flight >= IN_FLIGHT:
                return False
            self._allowed -= 1
            self._in_flight += 1
            return True


def _from_here(found: Registration) -> Endpoint:
    place = endpoint(found.netid, found.address)
    with suppress(ValueError):
        if ip_address(place.host).is_unspecified:
            return changed(place, host="::1" if ":" in place.host else "127.0.0.1")
    return place
