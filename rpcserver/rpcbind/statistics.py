"""What an rpcbind counts about itself, for RPCBPROC_GETSTAT and ``rpcinfo -m`` (RFC 1833)."""

from __future__ import annotations

import threading

from rpcserver.protocols.rpcb_prot import (
    RPCBSTAT_HIGHPROC,
    RPCBVERS_STAT,
    RpcbsAddrlist,
    RpcbsRmtcalllist,
    RpcbStat,
)
from rpcserver.rpc.call import Call

MAX_PROGRAMS = 256
"""Programs whose lookups are counted one by one: anybody may ask for any."""

_TOP = 2**31 - 1


class Statistics:
    """The counts, one ``RpcbStat`` for each of the versions 2, 3 and 4."""

    def __init__(self) -> None:
        self.by_version = [
            RpcbStat([0] * RPCBSTAT_HIGHPROC, 0, 0, [], []) for _ in range(RPCBVERS_STAT)
        ]
        self._lock = threading.Lock()

    def called(self, call: Call) -> None:
        """A procedure was called."""
        with self._lock:
            info = _counts(self, call).info
            info[call.procedure.number] = _more(info[call.procedure.number])

    def set(self, call: Call) -> None:
        """A SET succeeded."""
        with self._lock:
            counts = _counts(self, call)
            counts.setinfo = _more(counts.setinfo)

    def unset(self, call: Call) -> None:
        """An UNSET succeeded."""
        with self._lock:
            counts = _counts(self, call)
            counts.unsetinfo = _more(counts.unsetinfo)

    def looked_up(self, call: Call, prog: int, vers: int, netid: str, found: bool) -> None:
        """Somebody asked for a program's address."""
        with self._lock:
            listed = _counts(self, call).addrinfo
            for entry in listed:
                if (entry.prog, entry.vers, entry.netid) == (prog, vers, netid):
                    break
            else:
                if len(listed) >= MAX_PROGRAMS:
                    return
                entry = RpcbsAddrlist(prog, vers, 0, 0, netid)
                listed.append(entry)
            if found:
                entry.success = _more(entry.success)
            else:
                entry.failure = _more(entry.failure)

    def passed_on(
        self, call: Call, prog: int, vers: int, proc: int, done: bool, indirect: bool
    ) -> None:
        """A call was to be passed on to another program."""
        with self._lock:
            listed = _counts(self, call).rmtinfo
            for entry in listed:
                if (entry.prog, entry.vers, entry.proc) == (prog, vers, proc):
                    break
            else:
                if len(listed) >= MAX_PROGRAMS:
                    return
                entry = RpcbsRmtcalllist(prog, vers, proc, 0, 0, 0, "udp")
                listed.append(entry)
            if done:
                entry.success = _more(entry.success)
            else:
                entry.failure = _more(entry.failure)
            if indirect:
                entry.indirect = _more(entry.indirect)


def _counts(statistics: Statistics, call: Call) -> RpcbStat:
    return statistics.by_version[call.version._vers - 2]


def _more(count: int) -> int:
    return min(count + 1, _TOP)  # XDR's int
