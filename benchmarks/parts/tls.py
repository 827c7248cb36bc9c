"""TLS next to the clear: the default server, and ``rpcserver bench`` as the load of both."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Failed, Figures, Row, Settings, rows
from benchmarks.parts.tcp import TWO_CPUS
from benchmarks.processes import FIRST, SECOND, C, output, running

CLEAR, TLS = "in the clear", "TLS 1.3"
CASES = {
    "NULL": ("PING", 0),
    "echo 128 B": ("ECHO", 128),
    "echo 64 KiB": ("ECHO", 64 << 10),
    "echo 1 MiB": ("ECHO", 1 << 20),
}
SHAPES = ((1, 1), (1, 16), (16, 4))
LARGE = ((1, 1), (1, 4))  # what is outstanding must be answered in a measurement's time


def run(settings: Settings) -> list[Row]:
    """Calls per second, and beside them MB/s (each way)."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        cert = _certificate(Path(directory))
        for payload, (procedure, size) in CASES.items():
            for connections, depth in SHAPES if size < 1 << 20 else LARGE:
                words = ["-c", str(connections), "-d", str(depth)]
                words += ["-s", str(size)] if size else []
                measures = {
                    peer: _measured([procedure, *words], size, settings.seconds, given)
                    for peer, given in ((CLEAR, None), (TLS, cert))
                }
                found += rows(
                    f"TLS, {payload}, {connections} x {depth}",
                    measures,
                    settings,
                    metric="calls/s",
                    figure="calls_s",
                    plot=f"TLS {payload}",
                    panel=f"{connections} x {depth}",
                    pinned=TWO_CPUS,
                )
    return found


def _certificate(directory: Path) -> str:
    """A file with a certificate that vouches for itself, and its key."""
    path = directory / "server.pem"
    words = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {path}"
    )
    words += f" -out {path}.cert -days 2 -subj /CN=server -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(words.split(), check=True, capture_output=True)
    with path.open("a") as file:
        file.write(Path(f"{path}.cert").read_text())
    return str(path)


def _measured(
    words: Sequence[str], size: int, seconds: float, cert: str | None
) -> Callable[[], Figures]:
    program = [sys.executable, "-m", "rpcserver"]

    def command(port: int) -> list[str]:
        listen = ["--no-register", "--listen", f"tcp://127.0.0.1:{port}"]
        tls = ["--tls-cert", cert] if cert else []
        return [*program, "serve", "benchmarks.echo:Echo", *listen, *tls]

    def measure() -> Figures:
        with running(command, FIRST) as (port, _):
            load = [*program, "bench", f"tcp://127.0.0.1:{port}", str(C / "echo.x"), *words]
            tls = ["--tls-ca", cert] if cert else []
            said = output([*load, "-t", str(seconds), "--json", *tls], SECOND)
        if not said["calls"]:
            raise Failed("no call was answered")
        rate = said["calls_per_second"]
        return {"calls_s": rate, "MB/s": rate * size / 1e6}

    return measure
