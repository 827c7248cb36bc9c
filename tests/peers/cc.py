"""The C client and server of examples/c, made by rpcgen and libtirpc."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.need import need_c
from tests.peers.netns import Namespace
from tests.peers.process import Process

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "c"


@dataclass(frozen=True)
class CalcServer:
    """A running calc_server: both versions of CALC_PROG on both ports of 127.0.0.1."""

    process: Process
    tcp: int
    udp: int

    def port(self, transport: str) -> int:
        return {"tcp": self.tcp, "udp": self.udp}[transport]


@dataclass(frozen=True)
class CalcC:
    """The directory that holds calc_client and calc_server."""

    directory: Path

    @property
    def client(self) -> Path:
        return self.directory / "calc_client"

    @property
    def server(self) -> Path:
        return self.directory / "calc_server"

    def call(
        self,
        port: int,
        transport: str = "tcp",
        auth: str = "none",
        version: str = "all",
        check: str = "all",
        *,
        host: str = "127.0.0.1",
        namespace: Namespace | None = None,
        timeout: float = 120,
    ) -> "subprocess.CompletedProcess[str]":
        """Run calc_client; exit status 0 means that every answer was the right one.

        transport: tcp, udp, tcp6, udp6, local (then host is the path); auth: none, sys;
        version: 1, 2, all; check: a group or all.
        """
        argv = [str(self.client), host, str(port), transport, auth, version, check]
        return subprocess.run(
            namespace.command(*argv) if namespace else argv,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )

    @contextmanager
    def serving(
        self, *, register: bool = False, namespace: Namespace | None = None
    ) -> Iterator[CalcServer]:
        """Start calc_server on free ports; `register` with the rpcbind it finds."""
        argv = [str(self.server), *(["--register"] if register else [])]
        with Process(namespace.command(*argv) if namespace else argv) as process:
            process.wait_for("^ready$")
            tcp = process.wait_for(r"^listening tcp://127\.0\.0\.1:(\d+)$")
            udp = process.wait_for(r"^listening udp://127\.0\.0\.1:(\d+)$")
            yield CalcServer(process, int(tcp[1]), int(udp[1]))


def build_calc(directory: Path) -> CalcC:
    """Build client and server into a directory; skips (fails in CI) without rpcgen and libtirpc.

    Raises AssertionError, with make's output, when they do not build.
    """
    need_c()
    make = ["make", "-s", "-C", str(EXAMPLE), f"BUILD={directory}"]
    done = subprocess.run(make, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return CalcC(directory)
