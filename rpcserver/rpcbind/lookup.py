"""An rpcbind as its callers see it, in the newest version that it speaks (RFC 1833).

``Rpcbind`` works through any blocking channel. ``clients.connect`` opens one.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Self, TypeAlias, TypeVar

from rpcserver.errors import (
    AuthError,
    BadReply,
    CallError,
    NotReached,
    ProcUnavail,
    ProgMismatch,
    ProgUnavail,
    TimedOut,
    UsageError,
)
from rpcserver.protocols.pmap_prot import IPPROTO_TCP, IPPROTO_UDP, Mapping, PmapVersClient
from rpcserver.protocols.rpcb_prot import Rpcb, Rpcbvers4Client, RpcbversClient
from rpcserver.rpc.version import Channel
from rpcserver.rpcbind.netid import Endpoint, endpoint, uaddr
from rpcserver.rpcbind.table import Registration

T = TypeVar("T")
_RpcbClient: TypeAlias = Rpcbvers4Client | RpcbversClient

PROTS = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP}
"""netid -> protocol number: what version 2 knows"""

_NETIDS = {prot: netid for netid, prot in PROTS.items()}
_ANYWHERE = "0.0.0.0"  # version 2 tells ports, not hosts


class Rpcbind:
    """The rpcbind at ``endpoint``, asked through ``channel``; ``with`` closes the channel.

    ``timeout``: seconds for an answer, half of them for one in the versions 4 and 3.

    Every method raises ``CallError``: ``NotReached`` where no rpcbind answers, ``BadReply`` for
    an answer that makes no sense.
    """

    def __init__(self, channel: Channel, endpoint: Endpoint, timeout: float | None = None) -> None:
        self.endpoint = endpoint
        self._channel = channel
        # So that there is time for version 2 if there is no answer to the others.
        options = {} if timeout is None else {"timeout": timeout / 2}
        self._newer: list[_RpcbClient] = [
            Rpcbvers4Client(channel, **options),
            RpcbversClient(channel, **options),
        ]
        self._pmap = PmapVersClient(channel, **options)
        self._answered = False  # it said anything

    def find(self, prog: int, vers: int, netid: str) -> Endpoint | None:
        """Where that version of a program is served over ``netid``, or if it is not, another one
        (which will answer PROG_MISMATCH); ``None`` if the program is not registered.

        The host may be a wildcard: the one that was asked is meant.
        """

        def getport(pmap: PmapVersClient) -> str:
            return _anywhere(pmap.getport(Mapping(prog, vers, PROTS.get(netid, 0), 0)))

        if netid == self.endpoint.netid:
            wanted = Rpcb(prog, vers, netid, "", "")
            address = self._ask(lambda rpcb: rpcb.getaddr(wanted), getport)
        else:
            # GETADDR answers for the transport that it is asked over, and for no other.
            try:
                address = self._ask(lambda rpcb: _listed(rpcb, prog, vers, netid), getport)
            except AuthError:
                # Who may be somebody else gets no list over UDP, but a port.
                if netid not in PROTS:
                    raise
                address = getport(self._pmap)
        return self._checked(netid, address) if address else None

    def dump(self) -> list[Registration]:
        """Everything that is registered there; from a version 2 without owners."""
        return self._ask(
            lambda rpcb: [_registration(each.rpcb_map) for each in rpcb.dump()],
            lambda pmap: [_mapped(each.map) for each in pmap.dump()],
        )

    def set(self, prog: int, vers: int, endpoint: Endpoint) -> bool:
        """Register ``endpoint``; ``False`` if it was refused, as when there is another.

        Raises ``UsageError`` if only version 2 is spoken there and cannot say this address.
        """
        entry = Rpcb(prog, vers, endpoint.netid, endpoint.uaddr, "")
        return self._ask(
            lambda rpcb: rpcb.set(entry),
            lambda pmap: pmap.set(self._mapping(prog, vers, endpoint)),
        )

    def unset(self, prog: int, vers: int, netid: str) -> bool:
        """Remove the registration for ``netid`` alone; ``False`` if it belongs to another."""
        return self._ask(
            lambda rpcb: rpcb.unset(Rpcb(prog, vers, netid, "", "")),
            lambda pmap: self._unset_one(pmap, prog, vers, netid),
        )

    def _ask(
        self, by_rpcb: Callable[[_RpcbClient], T], by_pmap: Callable[[PmapVersClient], T]
    ) -> T:
        """What the newest version spoken there answers; one that is not is not tried again.

        Instruments and old portmappers may be silent, or hang up, where they should refuse.
        """
        silence: CallError | None = None
        while self._newer:
            try:
                result = by_rpcb(self._newer[0])
            except (ProgUnavail, ProgMismatch, ProcUnavail):
                del self._newer[0]
                self._answered = True
            except (NotReached, TimedOut) as error:
                if self._answered:
                    raise
                silence = error
                break
            else:
                self._answered = True
                return result
        try:
            result = by_pmap(self._pmap)
            self._newer.clear()
            return result
        except (NotReached, TimedOut) as error:
            raise (silence or error) from None
        except (ProgUnavail, ProgMismatch, ProcUnavail) as error:
            raise NotReached(f"{self.endpoint}: what answers is no rpcbind: {error}") from error

    def _checked(self, netid: str, address: str) -> Endpoint:
        """The endpoint that an rpcbind told us. It may tell anything."""
        try:
            found = endpoint(netid, address)
            if found.netid != netid or (found.internet and not found.port):
                raise ValueError(address)
            if not found.internet and (not found.path.startswith("/") or "\0" in found.path):
                raise ValueError(address)
        except ValueError:
            raise BadReply(
                f"{self.endpoint}: rpcbind answered {address!r:.80}, no address for {netid}"
            ) from None
        return found

    def _mapping(self, prog: int, vers: int, endpoint: Endpoint) -> Mapping:
        if endpoint.netid not in PROTS or not ip_address(endpoint.host).is_unspecified:
            raise UsageError(
                f"{self.endpoint} speaks version 2 only, which can register nothing but a port on"
                f" every interface: not {endpoint}"
            )
        return Mapping(prog, vers, PROTS[endpoint.netid], endpoint.port)

    def _unset_one(self, pmap: PmapVersClient, prog: int, vers: int, netid: str) -> bool:
        """UNSET of version 2 takes tcp and udp away together: put the other one back."""
        others = [
            each.map
            for each in pmap.dump()
            if (each.map.prog, each.map.vers) == (prog, vers)
            and _NETIDS.get(each.map.prot) != netid
        ]
        done = pmap.unset(Mapping(prog, vers, 0, 0))
        for other in others:
            pmap.set(other)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()


def _listed(rpcb: _RpcbClient, prog: int, vers: int, netid: str) -> str:
    """The address over ``netid`` among all that is registered; empty for none."""
    entries = [each.rpcb_map for each in rpcb.dump()]
    found = [each for each in entries if (each.r_prog, each.r_netid) == (prog, netid)]
    found.sort(key=lambda each: each.r_vers == vers)
    return found[-1].r_addr if found else ""


def _anywhere(port: int) -> str:
    return uaddr(_ANYWHERE, port) if port else ""


def _registration(entry: Rpcb) -> Registration:
    return Registration(entry.r_prog, entry.r_vers, entry.r_netid, entry.r_addr, entry.r_owner)


def _mapped(entry: Mapping) -> Registration:
    netid = _NETIDS.get(entry.prot, str(entry.prot))
    return Registration(entry.prog, entry.vers, netid, _anywhere(entry.port))
