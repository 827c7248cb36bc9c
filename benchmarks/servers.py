"""The servers of c/echo.x that take part: names, command lines, environments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.measure import Failed, Figures
from benchmarks.processes import PROG, C, output, running

OURS = "rpcserver"
PYTHON_CODEC = "rpcserver, codec in Python"
LIBTIRPC = "libtirpc (C)"
FLOOR = "floor (C)"
PLAIN = "socketserver by hand"

SQUASHING = "rpcserver, all users squashed"

REFERENCE = {"RPCSERVER_CODEC": "reference"}
"""The environment in which the native codec is not used"""


class Server(NamedTuple):
    """A server: its command line for a port, and what is special in its environment."""

    command: Callable[[int], Sequence[str]]
    env: dict[str, str]


def _ours(*options: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        words = [sys.executable, "-m", "rpcserver", "serve", "benchmarks.echo:Echo"]
        words += ["--no-register", *options]
        for transport in ("tcp", "udp"):
            words += ["--listen", f"{transport}://127.0.0.1:{port}"]
        return words

    return command


SERVERS = {
    LIBTIRPC: Server(lambda port: [str(C / "tirpc_server"), str(port)], {}),
    OURS: Server(_ours(), {}),
    PYTHON_CODEC: Server(_ours(), REFERENCE),
    SQUASHING: Server(_ours("--squash", "all"), {}),
    "rpcserver, asyncio": Server(_ours("--kind", "asyncio"), {}),
    "rpcserver, threads": Server(_ours("--kind", "threads"), {}),
    PLAIN: Server(lambda port: [sys.executable, "-m", "benchmarks.peers.plain", str(port)], {}),
    FLOOR: Server(lambda port: [str(C / "floor"), str(port)], {}),
}


def measured(
    name: str, words: str, *, server_cpu: int, load_cpu: int, seconds: float
) -> Callable[[], Figures]:
    """A measurement of the server by rpcload with these options (the top of c/rpcload.c)."""
    server = SERVERS[name]
    udp = "-u" in words.split()

    def measure() -> Figures:
        with running(server.command, server_cpu, env=server.env, udp=udp) as (port, pids):
            return load(port, f"{words} -t {seconds}", pids, load_cpu)

    return measure


def load(port: int, words: str, pids: list[int], cpu: int | None) -> Figures:
    """One run of rpcload, and what it printed."""
    argv = [str(C / "rpcload"), "-p", str(port), "-P", PROG, *words.split()]
    for pid in pids:
        argv += ["-S", str(pid)]
    figures: Figures = output(argv, cpu)
    if not figures["calls"]:
        raise Failed("no call was answered")
    return figures
