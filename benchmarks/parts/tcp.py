"""TCP: four payloads in four shapes (connections x calls outstanding on each)."""

from __future__ import annotations

from benchmarks import servers
from benchmarks.measure import Row, Settings, rows
from benchmarks.processes import FIRST, SECOND

PAYLOADS = {
    "NULL": "-n 0",
    "echo 128 B": "-n 1 -s 128 -V",
    "echo 64 KiB": f"-n 1 -s {64 << 10} -V",
    "echo 1 MiB": f"-n 1 -s {1 << 20} -V",
}
SHAPES = ((1, 1), (1, 32), (64, 1), (64, 16))

PEERS = (
    servers.LIBTIRPC,
    servers.OURS,
    servers.PYTHON_CODEC,
    "rpcserver, asyncio",
    "rpcserver, threads",
    servers.PLAIN,
    servers.FLOOR,
)

ONE_CPU = "server and load on one CPU"
TWO_CPUS = "server on one CPU, load on the other"


def run(settings: Settings) -> list[Row]:
    """All of them."""
    found = []
    for payload, options in PAYLOADS.items():
        for connections, depth in SHAPES:
            # Across CPUs the wake-up of a halted one would hide the server.
            one = connections == 1
            # The first replies of a gibibyte in flight take a while.
            warm = 1.0 if payload == "echo 1 MiB" and connections * depth > 100 else 0.2
            measures = {
                peer: servers.measured(
                    peer,
                    f"-c {connections} -d {depth} {options} -w {warm}",
                    server_cpu=FIRST,
                    load_cpu=FIRST if one else SECOND,
                    seconds=settings.seconds,
                )
                for peer in PEERS
            }
            found += rows(
                f"{payload}, {connections} x {depth}",
                measures,
                settings,
                metric="calls/s",
                figure="calls_s",
                plot=f"TCP {payload}",
                panel=f"{connections} x {depth}",
                pinned=ONE_CPU if one else TWO_CPUS,
            )
    return found
