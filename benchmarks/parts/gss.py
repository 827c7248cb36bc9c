"""RPCSEC_GSS: what Kerberos costs, next to no authentication and to libtirpc."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import servers
from benchmarks.measure import Figures, Missing, Row, Settings, rows
from benchmarks.parts.tcp import ONE_CPU
from benchmarks.processes import FIRST, C, output, running

WORDS = ("none", "krb5", "krb5i", "krb5p")
SIZES = {"echo 128 B": (128, "calls/s", "calls_s"), "echo 64 KiB": (64 << 10, "MB/s", "MB_s")}


def _ours(port: int) -> list[str]:
    words = [sys.executable, "-m", "rpcserver", "serve", "benchmarks.echo:Echo", "--no-register"]
    return [*words, "--gss", "nfs@localhost", "--listen", f"tcp://127.0.0.1:{port}"]


SERVERS: dict[str, Callable[[int], Sequence[str]]] = {
    servers.LIBTIRPC: lambda port: [str(C / "gss_server"), str(port), str(256 << 10)],
    servers.OURS: _ours,
}


def run(settings: Settings) -> list[Row]:
    """One connection and one call at a time, each flavor against each server."""
    found = []
    for case, (size, metric, figure) in SIZES.items():
        measures = {
            f"{peer}, {word}": _measured(command, word, size, settings.seconds)
            for word in WORDS
            for peer, command in SERVERS.items()
            if settings.wants(peer)
        }
        found += rows(
            f"Kerberos, {case}",
            measures,
            Settings(settings.rounds, settings.seconds, settings.results),
            metric=metric,
            figure=figure,
            plot="Kerberos",
            panel=f"{case}, {metric}",
            pinned=ONE_CPU,
        )
    return found


def _measured(
    command: Callable[[int], Sequence[str]], word: str, size: int, seconds: float
) -> Callable[[], Figures]:
    def measure() -> Figures:
        if find_spec("gssapi") is None or find_spec("pytest") is None:
            raise Missing("gssapi and pytest: pip install --group gss --group test")
        from tests.peers.realm import missing, realm

        if absent := missing():
            raise Missing(absent)
        subprocess.run(["make", "--silent", "-C", C, "gss"], check=True)
        with tempfile.TemporaryDirectory() as directory, realm(Path(directory)):
            with running(command, FIRST) as (port, pids):
                words = [str(C / "gss_load"), str(port), word, str(size), str(seconds)]
                figures: Figures = output([*words, *map(str, pids)], FIRST)
                return figures

    return measure
