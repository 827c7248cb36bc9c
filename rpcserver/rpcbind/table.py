"""What is registered with an rpcbind, and the rules for changing it (RFC 1833 section 2.2.1).

Where the RFC is silent the rules are those of the rpcbind that Linux and the BSDs share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from rpcserver.rpcbind.netid import parse_uaddr, uaddr

SUPERUSER = "superuser"
"""The owner that may remove what others registered: root, or who may use a reserved port."""

UNKNOWN = "unknown"
"""The owner of what came over the network, where nothing says who sent it."""

MAX_REGISTRATIONS = 4096
"""Any local user may register. A busy NFS server has about sixty entries; the limit keeps a loop
from filling the memory."""

MAX_TEXT = 255
"""Bytes of a netid or an address. The longest real one is a UNIX path, of 107."""

_INTERNET = {"tcp": 4, "udp": 4, "tcp6": 6, "udp6": 6}


@dataclass(frozen=True, slots=True)
class Registration:
    """Version ``vers`` of program ``prog`` is served at a universal address on a transport."""

    prog: int
    vers: int
    netid: str
    address: str
    owner: str = ""

    @property
    def port(self) -> int:
        """The port, 0 where the address has none."""
        try:
            return parse_uaddr(self.address)[1]
        except ValueError:
            return 0

    def reached_at(self, host: str | None) -> str:
        """The address to answer a caller who came to our address ``host``.

        It is the registered one, but with ``host`` in the place of a wildcard, and in the place
        of a loopback address that would send the caller from another host to itself.
        """
        if host is None:
            return self.address
        try:
            registered, port = parse_uaddr(self.address)
        except ValueError:
            return self.address
        own, asked = ip_address(registered), ip_address(host)
        misleading = own.is_unspecified or (own.is_loopback and not asked.is_loopback)
        return uaddr(host, port) if misleading and own.version == asked.version else self.address


class Table:
    """The registrations, at most ``limit`` of them, in the order in which they came.

    ``on_change()`` is called after each change.

    Several threads may use it. Nothing is ever registered twice for one (prog, vers, netid).
    """

    def __init__(self, limit: int = MAX_REGISTRATIONS) -> None:
        self.limit = limit
        self.on_change: Callable[[], object] = lambda: None
        self._entries: dict[tuple[int, int, str], Registration] = {}
        self._lock = threading.Lock()

    def set(self, entry: Registration) -> bool:
        """Register. ``False`` if that (prog, vers, netid) has another address, if the address is
        none of its transport, or if the table is full. The same again changes nothing."""
        if not _sound(entry):
            return False
        key = entry.prog, entry.vers, entry.netid
        with self._lock:
            if key not in self._entries and len(self._entries) >= self.limit:
                return False
            there = self._entries.setdefault(key, entry)
        if there is entry:
            self.on_change()
        return there.address == entry.address

    def unset(self, prog: int, vers: int, netid: str, owner: str) -> bool:
        """Remove the registration on ``netid``, with an empty one those on all transports.

        ``False`` at the first that belongs to another than ``owner``; what came before it is
        gone. What is not there counts as removed.
        """
        removed = 0
        with self._lock:
            refused = False
            for key, entry in list(self._entries.items()):
                if key[:2] == (prog, vers) and netid in ("", entry.netid):
                    refused = owner not in (entry.owner, SUPERUSER)
                    if refused:
                        break
                    del self._entries[key]
                    removed += 1
        if removed:
            self.on_change()
        return not refused

    def find(self, prog: int, vers: int, netid: str, exact: bool = False) -> Registration | None:
        """The registration of that version, or unless ``exact`` that of the version of ``prog``
        that came last: a caller who asks there is told which versions there are."""
        entries = self.dump()
        found = [entry for entry in entries if (entry.prog, entry.netid) == (prog, netid)]
        for entry in found:
            if entry.vers == vers:
                return entry
        return found[-1] if found and not exact else None

    def dump(self) -> list[Registration]:
        """Everything that is registered."""
        with self._lock:
            return list(self._entries.values())


def _sound(entry: Registration) -> bool:
    """Whether the address can be one: what a server could not be reached at is not registered."""
    if not 0 < len(entry.netid) <= MAX_TEXT or not 0 < len(entry.address) <= MAX_TEXT:
        return False
    family = _INTERNET.get(entry.netid)
    if family is None:
        return True
    try:
        host, port = parse_uaddr(entry.address)
        return port > 0 and ip_address(host).version == family
    except ValueError:
        return False
