"""An rpcbind without sockets: its engine, called through channels that say who calls."""

from typing import Any

from rpcserver import testing
from rpcserver.auth import NoneClient, server_flavors
from rpcserver.rpc.call import Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.version import Procedure, Service, Version
from rpcserver.rpcbind import service
from rpcserver.rpcbind.lookup import Rpcbind
from rpcserver.rpcbind.netid import Endpoint
from rpcserver.rpcbind.table import Table

ROOT = Peer("unix", "", "/run/rpcbind.sock", uid=0)
ALICE = Peer("unix", "", "/run/rpcbind.sock", uid=1000)
TCP = Peer("tcp", ("127.0.0.1", 40000), ("127.0.0.1", 111))
UDP = Peer("udp", ("127.0.0.1", 40000), ("127.0.0.1", 111))
TCP6 = Peer("tcp", ("::1", 40000, 0, 0), ("::1", 111, 0, 0))
STRANGER = Peer("tcp", ("198.51.100.1", 40000), ("198.51.100.2", 111))
FAR_UDP = Peer("udp", ("198.51.100.1", 40000), ("198.51.100.2", 111))


class MemoryChannel(testing.MemoryChannel):
    """It remembers what was called."""

    def __init__(self, engine: ServerEngine, peer: Peer) -> None:
        super().__init__(engine, NoneClient(), peer)
        self.called: list[str] = []

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        **options: Any,
    ) -> Any:
        self.called.append(f"{version._vers} {procedure.method}")
        return super().call(version, procedure, arguments, **options)


class MemoryRpcbind:
    """The service over a table of its own, in all versions or in those of `versions`."""

    def __init__(self, *versions: int, table: Table | None = None) -> None:
        self.table = table or Table()
        chosen: list[Service] = [
            each
            for each in service.services(self.table)
            if not versions or each._version._vers in versions
        ]
        self.engine = ServerEngine(chosen, server_flavors())

    def channel(self, peer: Peer = ROOT) -> MemoryChannel:
        return MemoryChannel(self.engine, peer)

    def client(self, peer: Peer = ROOT) -> Rpcbind:
        """The lookup side, as `peer`."""
        if peer.transport == "unix":
            place = Endpoint("unix", path=peer.local)
        else:
            place = Endpoint(peer.transport, *peer.local[:2])
        return Rpcbind(self.channel(peer), place)

    def lines(self) -> list[str]:
        """What is in the table, a line each."""
        return [
            f"{each.prog} {each.vers} {each.netid} {each.address} {each.owner}"
            for each in self.table.dump()
        ]
