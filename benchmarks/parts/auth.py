"""Authentication: the same calls with each flavor, and libtirpc's where it has the flavor."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks import servers
from benchmarks.measure import Row, Settings, rows
from benchmarks.parts.tcp import ONE_CPU, TWO_CPUS
from benchmarks.processes import FIRST, SECOND


class Flavor(NamedTuple):
    """What rpcload is told, and whose servers take part."""

    name: str
    options: str
    peers: tuple[str, ...]


BOTH = (servers.LIBTIRPC, servers.OURS, servers.PYTHON_CODEC)

FLAVORS = (
    Flavor("AUTH_NONE", "", BOTH),
    Flavor("AUTH_SYS", "-a sys", BOTH),
    Flavor("AUTH_SYS", "-a sys", (servers.SQUASHING,)),
)
"""Each is measured beside the others; one more is a line here"""

CASES = (
    ("NULL, 1 x 1", "-c 1 -d 1 -n 0", True),
    ("NULL, 64 x 16", "-c 64 -d 16 -n 0", False),
    ("echo 128 B, 64 x 16", "-c 64 -d 16 -n 1 -s 128 -V", False),
    ("echo 64 KiB, 1 x 1", f"-c 1 -d 1 -n 1 -s {64 << 10} -V", True),
    ("UDP echo 128 B, 64 x 16", "-u -c 64 -d 16 -n 1 -s 128 -V", False),
)
"""Name, how rpcload makes it, and whether server and load share a CPU. Datagrams have no
connection over which a credential could be known from before."""


def run(settings: Settings) -> list[Row]:
    """All of them."""
    found = []
    for name, options, one_cpu in CASES:
        udp = name.startswith("UDP")
        measures = {
            f"{peer}, {flavor.name}": servers.measured(
                peer,
                f"{options} -w 0.2 {flavor.options}",
                server_cpu=FIRST,
                load_cpu=FIRST if one_cpu else SECOND,
                seconds=settings.seconds,
            )
            for flavor in FLAVORS
            for peer in flavor.peers
        }
        found += rows(
            f"auth: {name}",
            measures,
            settings,
            metric="calls/CPU s" if udp else "calls/s",
            figure="calls_per_server_cpu_s" if udp else "calls_s",
            plot="authentication",
            panel=name,
            pinned=ONE_CPU if one_cpu else TWO_CPUS,
        )
    return found
