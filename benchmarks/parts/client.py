"""The client's side: Python clients, each against its own kind's server."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import servers
from benchmarks.measure import Figures, Row, Settings, rows
from benchmarks.parts.tcp import ONE_CPU, TWO_CPUS
from benchmarks.processes import FIRST, SECOND, output, running

THRIFT = "thriftpy2"
GRPC = "grpcio"

MODULES = {
    servers.OURS: ("onc", {}),
    servers.PYTHON_CODEC: ("onc", servers.REFERENCE),
    THRIFT: ("thrift_echo", {}),
    GRPC: ("grpc_echo", {}),
}
PAYLOADS = {"NULL": 0, "echo 128 B": 128}
SHAPES = {"one call at a time": 1, "32 outstanding": 32}


def run(settings: Settings) -> list[Row]:
    """One connection each, one call at a time and 32 outstanding."""
    found = []
    for payload, size in PAYLOADS.items():
        for shape, outstanding in SHAPES.items():
            one = outstanding == 1
            measures = {
                peer: _measured(module, env, size, outstanding, settings.seconds)
                for peer, (module, env) in MODULES.items()
                if one or peer != THRIFT  # which has one call outstanding, never more
            }
            found += rows(
                f"client, {payload}, {shape}",
                measures,
                settings,
                metric="calls/s",
                figure="calls_s",
                plot=f"client {payload}",
                panel=shape,
                pinned=ONE_CPU if one else TWO_CPUS,
            )
    return found


def _measured(
    module: str, env: dict[str, str], size: int, outstanding: int, seconds: float
) -> Callable[[], Figures]:
    program = [sys.executable, "-m", f"benchmarks.peers.{module}"]

    def measure() -> Figures:
        with running(lambda port: [*program, "server", str(port)], FIRST, env=env) as (port, _):
            words = ["client", str(port), str(outstanding), str(size), str(seconds)]
            cpu = FIRST if outstanding == 1 else SECOND
            figures: Figures = output([*program, *words], cpu, env=env)
            return figures

    return measure
