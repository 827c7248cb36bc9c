"""Registering a server with rpcbind so that nothing is stolen and nothing stays behind.

SET first. Where something else is registered, ask it with a NULL call, and take the place of the
dead only. At the end, UNSET one netid after the other, and only what is still ours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import ip_address

from rpcserver.errors import (
    AuthError,
    CallError,
    UsageError,
)
from rpcserver.rpcbind.lookup import Rpcbind
from rpcserver.rpcbind.netid import Endpoint, endpoint
from rpcserver.rpcbind.probing import Ping, sign_of_life
from rpcserver.rpcbind.table import Registration

logger = logging.getLogger("rpcserver")


class Registrations:
    """What one server has registered.

    ``ping`` asks whether somebody lives at an address. With ``replace`` nobody is asked: whatever
    is registered makes way. The ``Rpcbind`` is handed to each method, so that no connection to it
    is held in between.
    """

    def __init__(self, ping: Ping, replace: bool = False) -> None:
        self._ping = ping
        self._replace = replace
        self._ours: list[Registration] = []

    def register(
        self,
        rpcbind: Rpcbind,
        versions: Iterable[tuple[int, int]],
        endpoints: Iterable[Endpoint],
    ) -> None:
        """Register each (prog, vers) at the first endpoint of each netid, all or none.

        An endpoint that has no netid is left out. Raises ``UsageError`` if a living server is
        registered already or rpcbind refuses, and ``CallError`` if it fails.
        """
        chosen: dict[str, Endpoint] = {}
        for each in endpoints:
            if each.netid and chosen.setdefault(each.netid, each) is not each:
                logger.warning("%s is not registered: rpcbind has one address for a netid", each)
        try:
            for prog, vers in versions:
                for each in chosen.values():
                    self._register_one(rpcbind, prog, vers, each)
        except BaseException as error:
            self.unregister(rpcbind)
            if isinstance(error, AuthError):
                raise UsageError(f"{rpcbind.endpoint} does not let us register: {error}") from error
            raise

    @property
    def empty(self) -> bool:
        """Whether nothing is registered."""
        return not self._ours

    def renew(self, rpcbind: Rpcbind) -> None:
        """Register again what is not there any more, because rpcbind was restarted. What another
        server has taken is left to it. Raises ``CallError``."""
        there = {(each.prog, each.vers, each.netid) for each in rpcbind.dump()}
        for each in self._ours:
            if (each.prog, each.vers, each.netid) in there:
                continue
            place = endpoint(each.netid, each.address)
            if rpcbind.set(each.prog, each.vers, place):
                logger.info("%s: registered again", _name(each))

    def unregister(self, rpcbind: Rpcbind) -> None:
        """Remove what is registered and still ours. What fails is logged, and left to the next
        server, which will find nobody there."""
        ours, self._ours = self._ours, []
        if not ours:
            return
        try:
            there = {(each.prog, each.vers, each.netid, each.address) for each in rpcbind.dump()}
            for each in ours:
                if (each.prog, each.vers, each.netid, each.address) not in there:
                    logger.info("%s was replaced by another server", _name(each))
                elif not rpcbind.unset(each.prog, each.vers, each.netid):
                    logger.warning("%s: rpcbind does not let us remove it", _name(each))
        except CallError as error:
            logger.warning("cannot unregister: %s", error)

    def _register_one(self, rpcbind: Rpcbind, prog: int, vers: int, own: Endpoint) -> None:
        entry = Registration(prog, vers, own.netid, own.uaddr)
        if not rpcbind.set(prog, vers, own):
            self._make_room(rpcbind, entry, own)
            if not rpcbind.set(prog, vers, own):
                raise UsageError(f"{_name(entry)}: {rpcbind.endpoint} does not register {own}")
        self._ours.append(entry)

    def _make_room(self, rpcbind: Rpcbind, entry: Registration, own: Endpoint) -> None:
        """Remove what stands where ``entry`` is to go, if it is dead."""
        wanted = entry.prog, entry.vers, entry.netid
        for found in rpcbind.dump():
            if (found.prog, found.vers, found.netid) != wanted:
                continue
            if not self._replace:
                self._must_be_dead(found, own)
            if not rpcbind.unset(*wanted):
                raise UsageError(
                    f"{_name(entry)} is registered at {found.address!r:.80} by {found.owner!r:.80},"
                    " and only that user or root may remove it"
                )
            logger.info("%s: took the place of %.80r", _name(entry), found.address)

    def _must_be_dead(self, found: Registration, own: Endpoint) -> None:
        """Raise ``UsageError`` unless it is certain that nobody serves ``found`` any more."""
        try:
            there = endpoint(found.netid, found.address)
        except ValueError:
            return
        same_port = there.internet and there.port == own.port
        if same_port and (there.host == own.host or _any(there) or _any(own)):
            return  # we hold it ourselves
        if how := sign_of_life(self._ping, there, found.prog, found.vers):
            raise UsageError(
                f"{_name(found)} {how}: stop that server, or have it replaced (--replace,"
                " replace=True)"
            )


def _any(place: Endpoint) -> bool:
    return ip_address(place.host).is_unspecified


def _name(entry: Registration) -> str:
    return f"program {entry.prog} version {entry.vers} ({entry.netid})"
