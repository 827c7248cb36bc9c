"""How busy this Linux host is: version 3 of idl/rstat.x.

    rpcserver serve examples.rstatd:Rstat

``rup HOST`` prints its time, uptime and load, ``rsysinfo HOST`` all the rest.
"""

import os
import time
from pathlib import Path

from generated.rstat import DK_NDRIVE, FSCALE, RstatTimeval, RstatversTimeService, Statstime
from rpcserver import rpc

INT = 0x7FFFFFFF  # counters that grow beyond 32 bits start again
UNSIGNED = 0xFFFFFFFF


@rpc.idempotent
class Rstat(RstatversTimeService):
    def stats(self, call: rpc.Call, /) -> Statstime:
        stat = table("/proc/stat")
        memory = table("/proc/vmstat")
        cards = [row for name, row in table("/proc/net/dev", headings=2).items() if name != "lo"]

        def paged(name: str) -> int:
            return memory[name][0] & UNSIGNED

        def carried(column: int) -> int:
            return sum(row[column] for row in cards) & INT

        return Statstime(
            cp_time=[ticks & INT for ticks in stat["cpu"][:4]],
            dk_xfer=[*transfers(), 0, 0, 0, 0][:DK_NDRIVE],
            v_pgpgin=paged("pgpgin"),
            v_pgpgout=paged("pgpgout"),
            v_pswpin=paged("pswpin"),
            v_pswpout=paged("pswpout"),
            v_intr=stat["intr"][0] & UNSIGNED,
            if_ipackets=carried(1),
            if_ierrors=carried(2),
            if_oerrors=carried(10),
            if_collisions=carried(13),
            v_swtch=stat["ctxt"][0] & UNSIGNED,
            avenrun=[round(load * FSCALE) for load in os.getloadavg()],
            boottime=RstatTimeval(stat["btime"][0], 0),
            # No microseconds: rup takes both numbers for one of 64 bits.
            curtime=RstatTimeval(int(time.time()), 0),
            if_opackets=carried(9),
        )

    def havedisk(self, call: rpc.Call, /) -> int:
        return int(bool(transfers()))


def table(path: str, headings: int = 0) -> dict[str, list[int]]:
    """A file in /proc whose lines are a name and numbers."""
    rows = (line.split() for line in Path(path).read_text().splitlines()[headings:])
    return {name.rstrip(":"): [int(number) for number in numbers] for name, *numbers in rows}


def transfers() -> list[int]:
    """How often each disk was read from and written to, of those that were."""
    rows = [path.read_text().split() for path in sorted(Path("/sys/block").glob("*/stat"))]
    return [(int(row[0]) + int(row[4])) & INT for row in rows if row[0] != "0"]
