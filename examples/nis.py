"""A small NIS server, with its maps in a Python dict: YPPROG of idl/yp.x.

    rpcserver serve examples.nis:Nis

``ypcat -k -d lab -h HOST hosts.byname`` prints a map; ``yppoll -d lab -h HOST hosts.byname`` when
and where it was made.
"""

import socket
import time

from generated import yp
from generated.yp import YprespKeyVal, Ypstat
from rpcserver import rpc
from rpcserver.errors import NoReply

DOMAINS: dict[str, dict[str, dict[bytes, bytes]]] = {
    "lab": {
        "hosts.byname": {b"lab7": b"192.0.2.7 lab7", b"lab8": b"192.0.2.8 lab8"},
        "passwd.byname": {b"alice": b"alice:*:1000:100:Alice:/home/alice:/bin/sh"},
        "netgroup": {},
    }
}
MADE = int(time.time())


def find(wanted: yp.YpreqKey | yp.YpreqNokey) -> tuple[Ypstat, dict[bytes, bytes]]:
    """A map, or why there is none."""
    if wanted.domain not in DOMAINS:
        return Ypstat.YP_NODOM, {}
    if wanted.map not in DOMAINS[wanted.domain]:
        return Ypstat.YP_NOMAP, {}
    return Ypstat.YP_TRUE, DOMAINS[wanted.domain][wanted.map]


def rows(wanted: yp.YpreqKey | yp.YpreqNokey) -> list[YprespKeyVal]:
    """The entries of a map, and one more that says why they end."""
    stat, entries = find(wanted)
    end = Ypstat.YP_NOMORE if stat == Ypstat.YP_TRUE else stat
    found = [YprespKeyVal(stat, value, key) for key, value in entries.items()]
    return [*found, YprespKeyVal(end, b"", b"")]


@rpc.idempotent
class Nis(yp.YpversService):
    def domain(self, call: rpc.Call, /, arg: str) -> bool:
        return arg in DOMAINS

    def domain_nonack(self, call: rpc.Call, /, arg: str) -> bool:
        if arg not in DOMAINS:
            raise NoReply  # who asks everybody wants to hear from those that have it
        return True

    def match(self, call: rpc.Call, /, arg: yp.YpreqKey) -> yp.YprespVal:
        stat, entries = find(arg)
        if stat == Ypstat.YP_TRUE and arg.key not in entries:
            stat = Ypstat.YP_NOKEY
        return yp.YprespVal(stat, entries.get(arg.key, b""))

    def first(self, call: rpc.Call, /, arg: yp.YpreqNokey) -> YprespKeyVal:
        return rows(arg)[0]

    def next(self, call: rpc.Call, /, arg: yp.YpreqKey) -> YprespKeyVal:
        keys = list(find(arg)[1])
        if arg.key in keys:
            return rows(arg)[keys.index(arg.key) + 1]
        return YprespKeyVal(self.match(call, arg).stat, b"", b"")

    def all(self, call: rpc.Call, /, arg: yp.YpreqNokey) -> list[yp.YpallEntry]:
        return [yp.YpallEntry(row) for row in rows(arg)]

    def master(self, call: rpc.Call, /, arg: yp.YpreqNokey) -> yp.YprespMaster:
        return yp.YprespMaster(find(arg)[0], socket.gethostname()[: yp.YPMAXPEER])

    def order(self, call: rpc.Call, /, arg: yp.YpreqNokey) -> yp.YprespOrder:
        return yp.YprespOrder(find(arg)[0], MADE)

    def maplist(self, call: rpc.Call, /, arg: str) -> yp.YprespMaplist:
        stat = Ypstat.YP_TRUE if arg in DOMAINS else Ypstat.YP_NODOM
        return yp.YprespMaplist(stat, [yp.Ypmaplist(name) for name in DOMAINS.get(arg, ())])
