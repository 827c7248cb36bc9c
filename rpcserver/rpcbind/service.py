"""rpcbind as a service: program 100000 in the versions 2, 3 and 4 (RFC 1833).

``services(table)`` are to be served on TCP and UDP port 111 and on ``/run/rpcbind.sock``;
``register_self`` puts those listeners into the table. Only processes of this host may register.
With a ``Forwarder`` calls are passed on to other programs (CALLIT, BCAST, INDIRECT).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from rpcserver.errors import AuthError, NoReply, ProcUnavail
from rpcserver.protocols import pmap_prot, rpcb_prot
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcb_prot import Rpcb
from rpcserver.rpc.call import Call, Peer, blocking, idempotent
from rpcserver.rpc.version import Service
from rpcserver.rpcbind import taddr
from rpcserver.rpcbind.forwarding import MARGIN, Forwarder
from rpcserver.rpcbind.netid import Endpoint, uaddr
from rpcserver.rpcbind.statistics import Statistics
from rpcserver.rpcbind.table import SUPERUSER, UNKNOWN, Registration, Table

RESERVED_PORTS = 1024
"""Only root may send from a port below."""

NETID_OF_PROT = {pmap_prot.IPPROTO_TCP: "tcp", pmap_prot.IPPROTO_UDP: "udp"}
PROT_OF_NETID = {netid: prot for prot, netid in NETID_OF_PROT.items()}

# netid -> r_nc_semantics, r_nc_protofmly, r_nc_proto
_NETCONFIG = {
    "tcp": (rpcb_prot.NC_TPI_COTS_ORD, "inet", "tcp"),
    "udp": (rpcb_prot.NC_TPI_CLTS, "inet", "udp"),
    "tcp6": (rpcb_prot.NC_TPI_COTS_ORD, "inet6", "tcp"),
    "udp6": (rpcb_prot.NC_TPI_CLTS, "inet6", "udp"),
    "local": (rpcb_prot.NC_TPI_COTS_ORD, "loopback", "-"),
}


class Caller(NamedTuple):
    """Where a call came from, in rpcbind's words."""

    netid: str
    host: str | None
    """the address of ours that the caller came to"""
    owner: str | None
    """who owns what the caller registers; ``None``: another host, which may not register"""


def caller(peer: Peer) -> Caller:
    """What the transport says about a caller; what the caller says about itself is not asked."""
    if peer.transport not in ("tcp", "udp"):
        owner = UNKNOWN if peer.uid is None else str(peer.uid)
        return Caller("local", None, SUPERUSER if peer.uid == 0 else owner)
    host, port = _plain(peer.address[0]), peer.address[1]
    own = _plain(peer.local[0]) if peer.local else None
    netid = peer.transport + ("6" if ":" in host else "")
    if not ip_address(host).is_loopback:
        return Caller(netid, own, None)
    return Caller(netid, own, SUPERUSER if port < RESERVED_PORTS else UNKNOWN)


def _plain(host: str) -> str:
    """A host as IPv4 if it is one that reached us through an IPv6 socket."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or host)


class _OverTable:
    """What all versions share."""

    def __init__(self, table: Table, statistics: Statistics, forwarder: Forwarder | None) -> None:
        self._table = table
        self._forwarder = forwarder
        self._statistics = statistics

    def _set(self, call: Call, prog: int, vers: int, netid: str, address: str) -> bool:
        self._statistics.called(call)
        done = self._table.set(Registration(prog, vers, netid, address, _owner(call)))
        if done:
            self._statistics.set(call)
        return done

    def _unset(self, call: Call, prog: int, vers: int, netids: Iterable[str]) -> bool:
        """Remove the registrations on all ``netids``; whether one of them could be."""
        self._statistics.called(call)
        owner = _owner(call)
        outcomes = [self._table.unset(prog, vers, netid, owner) for netid in netids]
        if any(outcomes):
            self._statistics.unset(call)
        return any(outcomes)

    def _find(
        self, call: Call, prog: int, vers: int, netid: str, exact: bool = False
    ) -> Registration | None:
        self._statistics.called(call)
        found = self._table.find(prog, vers, netid, exact)
        self._statistics.looked_up(call, prog, vers, netid, found is not None)
        return found

    def _list(self, call: Call) -> list[Registration]:
        """What is registered, for who asked for more than fits into a question."""
        self._statistics.called(call)
        _must_be_near(call)
        return self._table.dump()

    def _pass_on(
        self,
        call: Call,
        arg: pmap_prot.CallArgs | rpcb_prot.RpcbRmtcallargs,
        indirect: bool = False,
    ) -> tuple[Registration, bytes]:
        """Have another program called; whatever goes wrong is answered by silence."""
        self._statistics.called(call)
        if self._forwarder is None:
            raise ProcUnavail
        asked = arg.prog, arg.vers, arg.proc
        limit = None if _is_near(call) else len(arg.args) + MARGIN
        try:
            found = self._forwarder.pass_on(*asked, arg.args, limit)
        except NoReply:
            self._statistics.passed_on(call, *asked, False, indirect)
            raise
        self._statistics.passed_on(call, *asked, True, indirect)
        return found


def _is_near(call: Call) -> bool:
    """Whether the caller is who it seems to be: of this host, or at the end of a connection."""
    return call.transport != "udp" or ip_address(_plain(call.peer.address[0])).is_loopback


def _must_be_near(call: Call) -> None:
    if not _is_near(call):
        # Its sender may be made up, and a long answer hit somebody else.
        raise AuthError(AuthStat.AUTH_TOOWEAK, "lists are not sent to other hosts over UDP")


def _owner(call: Call) -> str:
    owner = caller(call.peer).owner
    if owner is None:
        raise AuthError(AuthStat.AUTH_TOOWEAK, "only this host's processes may register")
    return owner


class PmapV2(_OverTable, pmap_prot.PmapVersService):
    """The port mapper. It knows ports only, and only of ``tcp`` and ``udp``."""

    def set(self, call: Call, /, arg: pmap_prot.Mapping) -> bool:
        """PMAPPROC_SET: the port on every interface, which is all that this version can say."""
        netid = NETID_OF_PROT.get(arg.prot, "")
        address = uaddr("0.0.0.0", arg.port)
        return self._set(call, arg.prog, arg.vers, netid, address)

    def unset(self, call: Call, /, arg: pmap_prot.Mapping) -> bool:
        """PMAPPROC_UNSET: both protocols, whatever ``arg`` says. ``True`` if one of them is not
        registered any more, though the other may belong to another user and stay."""
        return self._unset(call, arg.prog, arg.vers, PROT_OF_NETID)

    @idempotent
    def getport(self, call: Call, /, arg: pmap_prot.Mapping) -> int:
        """PMAPPROC_GETPORT; the port of another version if that one is not there."""
        found = self._find(call, arg.prog, arg.vers, NETID_OF_PROT.get(arg.prot, ""))
        return found.port if found else 0

    @idempotent
    def dump(self, call: Call, /) -> pmap_prot.PmaplistPtr:
        """PMAPPROC_DUMP, with what was registered through the other versions."""
        return [
            pmap_prot.Pmaplist(
                pmap_prot.Mapping(entry.prog, entry.vers, PROT_OF_NETID[entry.netid], entry.port)
            )
            for entry in self._list(call)
            if entry.netid in PROT_OF_NETID
        ]

    @blocking
    def callit(self, call: Call, /, arg: pmap_prot.CallArgs) -> pmap_prot.CallResult:
        """PMAPPROC_CALLIT."""
        found, results = self._pass_on(call, arg)
        return pmap_prot.CallResult(found.port, results)


class _Rpcb(_OverTable):
    """What the versions 3 and 4 share."""

    def set(self, call: Call, /, arg: Rpcb) -> bool:
        """RPCBPROC_SET. The owner that ``arg`` names is not believed."""
        return self._set(call, arg.r_prog, arg.r_vers, arg.r_netid, arg.r_addr)

    def unset(self, call: Call, /, arg: Rpcb) -> bool:
        """RPCBPROC_UNSET."""
        return self._unset(call, arg.r_prog, arg.r_vers, [arg.r_netid])

    @idempotent
    def getaddr(self, call: Call, /, arg: Rpcb) -> str:
        """RPCBPROC_GETADDR, on the transport of the call: the netid in ``arg`` does not matter."""
        return self._address(call, arg, exact=False)

    def _address(self, call: Call, arg: Rpcb, exact: bool) -> str:
        who = caller(call.peer)
        found = self._find(call, arg.r_prog, arg.r_vers, who.netid, exact)
        return found.reached_at(who.host) if found else ""

    @idempotent
    def dump(self, call: Call, /) -> rpcb_prot.RpcblistPtr:
        """RPCBPROC_DUMP."""
        return [
            rpcb_prot.RpList(Rpcb(entry.prog, entry.vers, entry.netid, entry.address, entry.owner))
            for entry in self._list(call)
        ]

    def _passed_on(
        self, call: Call, arg: rpcb_prot.RpcbRmtcallargs, indirect: bool = False
    ) -> rpcb_prot.RpcbRmtcallres:
        found, results = self._pass_on(call, arg, indirect)
        return rpcb_prot.RpcbRmtcallres(found.reached_at(caller(call.peer).host), results)

    @idempotent
    def gettime(self, call: Call, /) -> int:
        """RPCBPROC_GETTIME."""
        self._statistics.called(call)
        return int(time.time()) & 0xFFFF_FFFF

    @idempotent
    def uaddr2taddr(self, call: Call, /, arg: str) -> rpcb_prot.Netbuf:
        """RPCBPROC_UADDR2TADDR."""
        self._statistics.called(call)
        return taddr.netbuf(caller(call.peer).netid, arg)

    @idempotent
    def taddr2uaddr(self, call: Call, /, arg: rpcb_prot.Netbuf) -> str:
        """RPCBPROC_TADDR2UADDR."""
        self._statistics.called(call)
        return taddr.address(caller(call.peer).netid, arg.buf)


class RpcbV3(_Rpcb, rpcb_prot.RpcbversService):
    """rpcbind, version 3."""

    @blocking
    def callit(self, call: Call, /, arg: rpcb_prot.RpcbRmtcallargs) -> rpcb_prot.RpcbRmtcallres:
        """RPCBPROC_CALLIT."""
        return self._passed_on(call, arg)


class RpcbV4(_Rpcb, rpcb_prot.Rpcbvers4Service):
    """rpcbind, version 4."""

    @blocking
    def bcast(self, call: Call, /, arg: rpcb_prot.RpcbRmtcallargs) -> rpcb_prot.RpcbRmtcallres:
        """RPCBPROC_BCAST."""
        return self._passed_on(call, arg)

    @blocking
    def indirect(self, call: Call, /, arg: rpcb_prot.RpcbRmtcallargs) -> rpcb_prot.RpcbRmtcallres:
        """RPCBPROC_INDIRECT, silent about failures, too."""
        return self._passed_on(call, arg, indirect=True)

    @idempotent
    def getversaddr(self, call: Call, /, arg: Rpcb) -> str:
        """RPCBPROC_GETVERSADDR: exactly that version."""
        return self._address(call, arg, exact=True)

    @idempotent
    def getaddrlist(self, call: Call, /, arg: Rpcb) -> rpcb_prot.RpcbEntryListPtr:
        """RPCBPROC_GETADDRLIST: all transports of the protocol family of the call."""
        who = caller(call.peer)
        family = _NETCONFIG[who.netid][1]
        return [
            rpcb_prot.RpcbEntryList(
                rpcb_prot.RpcbEntry(
                    entry.reached_at(who.host), entry.netid, *_NETCONFIG[entry.netid]
                )
            )
            for entry in self._list(call)
            if (entry.prog, entry.vers) == (arg.r_prog, arg.r_vers)
            and _NETCONFIG.get(entry.netid, ("", ""))[1] == family
        ]

    @idempotent
    def getstat(self, call: Call, /) -> rpcb_prot.RpcbStatByvers:
        """RPCBPROC_GETSTAT."""
        self._statistics.called(call)
        _must_be_near(call)
        return self._statistics.by_version


def services(table: Table, forwarder: Forwarder | None = None) -> list[Service]:
    """The three versions over one table. Without a ``forwarder`` no calls are passed on."""
    statistics = Statistics()
    return [each(table, statistics, forwarder) for each in (PmapV2, RpcbV3, RpcbV4)]


def register_self(table: Table, endpoints: Iterable[Endpoint]) -> None:
    """Put rpcbind itself, which listens on ``endpoints``, into its table."""
    for endpoint in endpoints:
        versions = (4, 3, 2) if endpoint.netid in PROT_OF_NETID else (4, 3)
        for vers in versions:
            table.set(
                Registration(rpcb_prot.RPCBPROG, vers, endpoint.netid, endpoint.uaddr, SUPERUSER)
            )
