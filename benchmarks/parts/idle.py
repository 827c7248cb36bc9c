"""1,000 idle TCP connections: what they cost in memory, and a busy one beside them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.measure import Figures, Row, Settings, alternate, say
from benchmarks.parts.tcp import ONE_CPU
from benchmarks.processes import FIRST, PING, cpu_seconds, resident, running

CONNECTIONS = 1000
QUIET = 1.0
"""Seconds in which nothing happens"""

PEERS = (
    servers.LIBTIRPC,
    servers.OURS,
    servers.PYTHON_CODEC,
    "rpcserver, asyncio",
    "rpcserver, threads",
    servers.FLOOR,
)

BUSY = "NULL 1 x 1 beside 1,000 idle connections"
ALONE = "NULL 1 x 1 before them"
MEMORY = "memory of an idle connection"
SILENCE = "processor time while all is quiet"

_MARK = (0x8000_0000 | len(PING)).to_bytes(4)
_FIGURES = {
    BUSY: ("calls/s", False),
    ALONE: ("calls/s", False),
    MEMORY: ("KiB", True),
    SILENCE: ("ms/s", True),
}


def run(settings: Settings) -> list[Row]:
    """Calls per second, memory, and processor time."""
    measures = {peer: _measured(peer, settings.seconds) for peer in PEERS}
    found, problems = alternate("idle connections", measures, settings)
    made = []
    for case, (metric, less) in _FIGURES.items():
        for peer, samples in found.items():
            row = Row(
                case,
                peer,
                metric,
                [each[case] for each in samples],
                less=less,
                plot="idle connections",
                panel=case,
                pinned=ONE_CPU,
                problems=problems[peer],
            )
            made.append(row)
            say(f"{case}: {peer}: {row.median:,.1f} {metric}", end="\n")
    return made


def _measured(peer: str, seconds: float) -> Callable[[], Figures]:
    server = servers.SERVERS[peer]
    words = f"-c 1 -d 1 -n 0 -t {seconds}"

    def measure() -> Figures:
        with (
            running(server.command, FIRST, env=server.env) as (port, pids),
            ExitStack() as stack,
        ):
            alone = servers.load(port, words, pids, FIRST)
            before = resident(pids)
            idle = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                for _ in range(CONNECTIONS)
            ]
            for sock in idle:  # each has made a call
                sock.sendall(_MARK + PING)
            for sock in idle:
                sock.recv(100)
            used = (resident(pids) - before) / CONNECTIONS
            quiet = cpu_seconds(pids)
            time.sleep(QUIET)
            quiet = (cpu_seconds(pids) - quiet) / QUIET
            busy = servers.load(port, words, pids, FIRST)
            return {
                ALONE: alone["calls_s"],
                BUSY: busy["calls_s"],
                MEMORY: used / 1024,
                SILENCE: 1000 * quiet,
            }

    return measure
