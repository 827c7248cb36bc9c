"""Who may call: networks, users of this host, privileged ports."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from rpcserver.errors import UsageError
from rpcserver.rpc.call import Peer

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_UNPRIVILEGED = 1024


class Access:
    """A list of who may call.

    ``networks``: as ``ipaddress`` writes them, ``"192.0.2.0/24"``, ``"::1"``; ``None`` is every
    address. ``uids``: users at the other end of a UNIX socket, as the kernel says; ``None`` is
    everybody who can open it. ``privileged_port``: callers over TCP and UDP must have a port
    below 1024, as NFS clients have. Raises ``UsageError`` for what is no network.
    """

    def __init__(
        self,
        networks: Iterable[str | IPv4Network | IPv6Network] | None = None,
        uids: Collection[int] | None = None,
        privileged_port: bool = False,
    ) -> None:
        self.networks = None if networks is None else _parsed(networks)
        self.uids = uids
        self.privileged_port = privileged_port

    def admits(self, peer: Peer) -> bool:
        """Whether ``peer`` is on the list. A transport without addresses or users is not asked."""
        if peer.transport in ("unix", "unixgram"):
            return self.uids is None or peer.uid in self.uids
        if peer.transport not in ("tcp", "udp"):
            return True
        host, port = peer.address[:2]
        if self.privileged_port and port >= _UNPRIVILEGED:
            return False
        if self.networks is None:
            return True
        from ipaddress import IPv6Address, ip_address

        address = ip_address(host)
        if isinstance(address, IPv6Address):
            # An IPv4 caller of a dual-stack socket; the zone of a link-local address is ours.
            address = address.ipv4_mapped or IPv6Address(int(address))
        return any(address in network for network in self.networks)


def _parsed(networks: Iterable[str | IPv4Network | IPv6Network]) -> list[IPv4Network | IPv6Network]:
    from ipaddress import ip_network

    try:
        return [ip_network(each) for each in networks]
    except ValueError as error:
        raise UsageError(f"an access list of networks: {error}") from None
