"""What is attacked: servers as child processes, and what can be seen of them from outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Failed, Missing
from benchmarks.processes import ROOT, C, cpu_seconds, free_port
from tests.peers import wire

OURS = "rpcserver"
OUR_RPCBIND = "rpcserver portmap"
LIBTIRPC = "libtirpc (C)"
RPCBIND = "rpcbind"
PLAIN = "socketserver by hand"

SURVIVE = 0x200000A9
ECHO, NUMBERS, CHAIN, TREE, COUNT, FILL = range(1, 7)
"""The procedures of c/survive.x"""
PORTMAP = 100000
ELSEWHERE = "198.51.100.1"
"""An address of the namespace that is not loopback: where strangers come from"""

PATIENCE = 5.0
"""Seconds that a client waits for an answer before it says that it is not served"""


class Target(NamedTuple):
    """A server. ``types``: it serves all of c/survive.x, else only what echo.x has."""

    name: str
    command: Callable[[int], Sequence[str]]
    types: bool = False
    portmap: bool = False

    @property
    def program(self) -> tuple[int, int]:
        """A program and a version that it serves."""
        return (PORTMAP, 2) if self.portmap else (SURVIVE, 1)

    @property
    def port(self) -> int:
        """Where it will listen."""
        return 111 if self.portmap else free_port()

    def call(self, proc: int, arguments: bytes = b"", **options: int | bytes) -> bytes:
        """A call message for it."""
        return wire.call(*self.program, proc, arguments, **options)  # type: ignore[arg-type]


def _serve(port: int) -> list[str]:
    words = [sys.executable, "-m", "rpcserver", "serve", "benchmarks.survival.service:Survivor"]
    return [*words, "--no-register", *_listen(port, "127.0.0.1")]


def _portmap(port: int) -> list[str]:
    return [sys.executable, "-m", "rpcserver", "portmap", *_listen(port, "0.0.0.0")]


def _listen(port: int, host: str) -> list[str]:
    urls = (f"{transport}://{host}:{port}" for transport in ("tcp", "udp"))
    return [word for url in urls for word in ("--listen", url)]


TARGETS = (
    Target(OURS, _serve, types=True),
    Target(LIBTIRPC, lambda port: [str(C / "survivor"), str(port)], types=True),
    Target(PLAIN, lambda port: [sys.executable, "-m", "benchmarks.peers.plain", str(port)]),
    Target(OUR_RPCBIND, _portmap, portmap=True),
    Target(RPCBIND, lambda port: ["rpcbind", "-f"], portmap=True),
)

_OWN_WORLD = f"""
ip link set lo up && ip addr add {ELSEWHERE}/32 dev lo && mount -t tmpfs -o mode=755 tmpfs /run &&
mkdir -p /run/rpcbind && {{ chown _rpc /run/rpcbind || true; }} && exec "$@"
"""


def own_world(command: Sequence[str]) -> list[str]:
    """The command, with port 111 and /run for itself. Raises ``Missing``."""
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        raise Missing("port 111 of one's own takes root, util-linux and iproute2")
    unshare = ["unshare", "--net", "--mount", "--propagation", "private"]
    return [*unshare, "sh", "-c", _OWN_WORLD, "sh", *command]


class Running:
    """A target that runs."""

    def __init__(self, target: Target, port: int, process: subprocess.Popen[bytes]) -> None:
        self.target = target
        self.port = port
        self.address = "127.0.0.1", port
        self._process = process
        self._peak = 0
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _watch(self) -> None:
        # What has ended says no more how much it had.
        while not self._over.wait(0.02):
            self.peak  # noqa: B018

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self._watching.join()
        self._process.kill()
        self._process.wait()

    @property
    def ended(self) -> str:
        """How it ended; empty while it runs."""
        status = self._process.poll()
        if status is None:
            return ""
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def ends(self, seconds: float) -> bool:
        """Whether it ends within so many seconds: what has crashed takes a moment."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return bool(self.ended)

    @property
    def peak(self) -> int:
        """The most bytes of memory that it has had: VmHWM."""
        try:
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._peak = int(line.split()[1]) * 1024
        except OSError:
            pass  # it has ended
        return self._peak

    def busy(self, seconds: float = 0.5) -> float:
        """Which part of a processor it uses."""
        if self.ended:
            return 0.0
        before = cpu_seconds([self._process.pid])
        time.sleep(seconds)
        return (cpu_seconds([self._process.pid]) - before) / seconds

    def connect(self, source: str = "127.0.0.1") -> wire.Stream:
        """A new connection."""
        stream = wire.Stream.__new__(wire.Stream)
        stream.socket = socket.create_connection(self.address, PATIENCE, (source, 0))
        return stream

    def datagrams(self, host: str = "127.0.0.1") -> socket.socket:
        """A socket to send it datagrams, from and to that address."""
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        sock.bind((host, 0))
        sock.connect((host, self.port))
        return sock

    def serves(self, source: str = "127.0.0.2", patience: float = PATIENCE) -> float | None:
        """Seconds until a new client has its answer, over TCP and over UDP; ``None``: never."""
        begun, null = time.monotonic(), self.target.call(0)
        try:
            with self.connect(source) as stream:
                stream.socket.settimeout(patience)
                stream.send(wire.frame(null))
                stream.read_record()
            with self.datagrams() as sock:
                for _ in range(3):  # one may find the queue full
                    sock.settimeout(patience / 3)
                    sock.send(null)
                    try:
                        sock.recv(100)
                        break
                    except TimeoutError:
                        continue
                else:
                    return None
        except (OSError, EOFError):
            return None
        return time.monotonic() - begun


@contextmanager
def running(target: Target, files: int | None = None) -> Iterator[Running]:
    """A fresh one that answers; ``files``: how many descriptors it may have. Raises ``Failed``."""
    port = target.port
    argv = list(target.command(port))
    if shutil.which(argv[0]) is None:
        raise Missing(f"{argv[0]} is not there")
    if files is not None:
        argv = ["sh", "-c", 'ulimit -n "$0"; exec "$@"', str(files), *argv]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
        it = Running(target, port, process)
        try:
            deadline = time.monotonic() + 20
            while it.serves(patience=1) is None:
                if it.ended or time.monotonic() > deadline:
                    said.seek(0)
                    last = said.read().decode(errors="replace").strip().splitlines()[-1:]
                    raise Failed(f"{target.name} does not start: {it.ended} {last}")
                time.sleep(0.02)
            yield it
        finally:
            it.stop()
