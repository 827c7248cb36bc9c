"""Registrations whose server has gone without a word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace as changed
from ipaddress import ip_address

from rpcserver.errors import BadReply, NotReached, ProgMismatch, ProgUnavail, Refused, TimedOut
from rpcserver.protocols.rpcb_prot import RPCBPROG
from rpcserver.rpcbind.netid import Endpoint, endpoint
from rpcserver.rpcbind.table import SUPERUSER, Registration, Table

logger = logging.getLogger("rpcserver")

Ping = Callable[[Endpoint, int, int], object]
"""Calls procedure 0 of (prog, vers) at an endpoint. Raises ``CallError``."""

STRIKES = 2
"""Times in a row that nobody answers before a registration is dropped."""


def sign_of_life(ping: Ping, there: Endpoint, prog: int, vers: int) -> str:
    """How it is known that the program is served at ``there``; empty: it is certain that nobody
    serves it."""
    if there.internet and ip_address(there.host).is_unspecified:
        there = changed(there, host="::1" if ":" in there.host else "127.0.0.1")
    try:
        ping(there, prog, vers)
    except (NotReached, BadReply, ProgUnavail, ProgMismatch):
        return ""  # nobody, or somebody else who has the port now
    except TimedOut:
        return f"is registered at {there}, which does not answer but is there"
    except Refused:
        pass
    return f"is served at {there}"


class Prober:
    """Asks what is registered at addresses of this host, and drops what nobody answers for.

    ``is_local`` says whether an address is one of this host.
    """

    def __init__(self, table: Table, ping: Ping, is_local: Callable[[str], bool]) -> None:
        self._table = table
        self._ping = ping
        self._is_local = is_local
        self._strikes: dict[Registration, int] = {}

    def look(self) -> None:
        """Ask all of them, once."""
        entries = self._table.dump()
        for gone in self._strikes.keys() - set(entries):
            del self._strikes[gone]
        for entry in entries:
            place = self._place(entry)
            if place is None:
                continue
            if sign_of_life(self._ping, place, entry.prog, entry.vers):
                self._strikes.pop(entry, None)
                continue
            self._strikes[entry] = self._strikes.get(entry, 0) + 1
            if self._strikes[entry] >= STRIKES and entry in self._table.dump():
                logger.info(
                    "program %d version %d (%s): nobody is at %r any more",
                    entry.prog,
                    entry.vers,
                    entry.netid,
                    entry.address,
                )
                self._table.unset(entry.prog, entry.vers, entry.netid, SUPERUSER)

    def _place(self, entry: Registration) -> Endpoint | None:
        """Where to ask; ``None`` for what cannot be judged from here."""
        try:
            place = endpoint(entry.netid, entry.address)
        except ValueError:
            return None
        if entry.prog == RPCBPROG or (place.internet and not self._is_local(place.host)):
            return None
        if not place.internet and (not place.path.startswith("/") or "\0" in place.path):
            return None
        return place
