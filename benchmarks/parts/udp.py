"""UDP: one call at a time, and many, for which only the server's processor time is fair."""

from __future__ import annotations

from benchmarks import servers
from benchmarks.measure import Row, Settings, rows
from benchmarks.parts.tcp import ONE_CPU, TWO_CPUS
from benchmarks.processes import FIRST, SECOND

PEERS = (
    servers.LIBTIRPC,
    servers.OURS,
    servers.PYTHON_CODEC,
    servers.PLAIN,
    servers.FLOOR,
)


def run(settings: Settings) -> list[Row]:
    """NULL 1 x 1 by time, echo 128 B 64 x 16 by the server's processor time."""
    found = []
    for case, options, load_cpu, metric, figure, pinned in (
        ("NULL, 1 x 1", "-c 1 -d 1 -n 0", FIRST, "calls/s", "calls_s", ONE_CPU),
        (
            "echo 128 B, 64 x 16",
            "-c 64 -d 16 -n 1 -s 128 -V",
            SECOND,
            "calls/CPU s",
            "calls_per_server_cpu_s",
            TWO_CPUS,
        ),
    ):
        measures = {
            peer: servers.measured(
                peer,
                f"-u {options}",
                server_cpu=FIRST,
                load_cpu=load_cpu,
                seconds=settings.seconds,
            )
            for peer in PEERS
        }
        found += rows(
            f"UDP {case}",
            measures,
            settings,
            metric=metric,
            figure=figure,
            plot="UDP",
            panel=f"{case}, {metric}",
            pinned=pinned,
        )
    return found
