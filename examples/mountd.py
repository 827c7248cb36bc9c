"""Directories for NFS clients to mount: version 3 of idl/mount.x.

    rpcserver serve examples.mountd:Mount

``showmount -e HOST`` prints what can be mounted, ``showmount -a HOST`` who has mounted what.
"""

import threading
from hashlib import sha256
from ipaddress import ip_address, ip_network

from generated import mount
from generated.mount import Mountstat3
from rpcserver import rpc
from rpcserver.protocols.rpc_msg import AuthFlavor

# Each directory, and the networks that may mount it; none: everybody.
EXPORTS = {
    "/srv/public": [],
    "/srv/lab": ["127.0.0.0/8", "192.0.2.0/24"],
    "/srv/office": ["198.51.100.0/24"],
}


class Mount(mount.MountV3Service):
    """Who has mounted what is kept in memory. Callers may come in several threads."""

    def __init__(self) -> None:
        self._mounts: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def mnt(self, call: rpc.Call, /, arg: str) -> mount.Mountres3:
        host = call.peer.address[0]
        if arg not in EXPORTS:
            return mount.Mountres3Default(Mountstat3.MNT3ERR_NOENT)
        networks = map(ip_network, EXPORTS[arg])
        if EXPORTS[arg] and not any(ip_address(host) in network for network in networks):
            return mount.Mountres3Default(Mountstat3.MNT3ERR_ACCES)
        with self._lock:
            self._mounts.add((host, arg))
        root = mount.Mountres3Ok(sha256(arg.encode()).digest(), [AuthFlavor.AUTH_SYS])
        return mount.Mountres3Mnt3Ok(root)

    @rpc.idempotent
    def dump(self, call: rpc.Call, /) -> list[mount.Mountbody]:
        with self._lock:
            return [mount.Mountbody(host, directory) for host, directory in sorted(self._mounts)]

    def umnt(self, call: rpc.Call, /, arg: str) -> None:
        with self._lock:
            self._mounts.discard((call.peer.address[0], arg))

    def umntall(self, call: rpc.Call, /) -> None:
        with self._lock:
            mine = call.peer.address[0]
            self._mounts = {noted for noted in self._mounts if noted[0] != mine}

    @rpc.idempotent
    def export(self, call: rpc.Call, /) -> list[mount.Exportnode]:
        return [
            mount.Exportnode(path, [mount.Groupnode(n) for n in nets])
            for path, nets in EXPORTS.items()
        ]
