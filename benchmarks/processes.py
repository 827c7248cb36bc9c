"""Processes that are measured: started on a CPU of their own, looked at, ended."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.measure import Failed, Missing

ROOT = Path(__file__).parents[1]
C = Path(__file__).with_name("c")
TICK = os.sysconf("SC_CLK_TCK")
OPEN_FILES = 16384

MISSING = 77
"""The exit status of a contestant whose package is not installed"""

_CPUS = sorted(os.sched_getaffinity(0))
FIRST, SECOND = _CPUS[0], _CPUS[1 % len(_CPUS)]

PROG = "0x20000099"
PING = bytes.fromhex("000000010000000000000002200000990000000100000000") + bytes(16)
"""A call of procedure 0 of c/echo.x"""


def build() -> None:
    """Compile the C programs (gcc, make, pkg-config, rpcgen, libtirpc)."""
    subprocess.run(["make", "--silent", "-C", C], check=True)


def pinned(command: Sequence[str], cpu: int | None) -> list[str]:
    """The command, on that CPU only."""
    return list(command) if cpu is None else ["taskset", "-c", str(cpu), *command]


def free_port() -> int:
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])


@contextmanager
def running(
    command: Callable[[int], Sequence[str]],
    cpu: int | None,
    *,
    env: Mapping[str, str] | None = None,
    udp: bool = False,
) -> Iterator[tuple[int, list[int]]]:
    """A fresh server that answers: its port, and its processes. It is ended after the block.

    ``command`` is its command line for a port.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))
    port = free_port()
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115  a pipe would be full one day
    server = subprocess.Popen(
        pinned(command(port), cpu),
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=said,
    )
    try:
        deadline = time.monotonic() + 20
        while not (_answers(port) if udp else _accepts(port)):
            if server.poll() is not None or time.monotonic() > deadline:
                said.seek(0)
                raise _failure(server.poll(), said.read() or "the server does not start")
            time.sleep(0.02)
        yield port, [server.pid, *children(server.pid)]
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        said.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def output(
    command: Sequence[str],
    cpu: int | None,
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> Any:
    """The JSON that a program prints. Raises ``Failed``."""
    done = subprocess.run(
        pinned(command, cpu),
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    try:
        if not done.returncode:
            return json.loads(done.stdout)
    except ValueError:
        pass
    raise _failure(done.returncode, done.stderr or done.stdout)


def _failure(status: int | None, said: str) -> Exception:
    last = (said.strip() or "nothing said").splitlines()[-1]
    if status == MISSING:
        return Missing(last)
    return Failed(f"exit status {status}: {last:.200}")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def resident(pids: list[int]) -> int:
    """Bytes of memory that the processes have: VmRSS."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: list[int]) -> float:
    """Processor time that they have used."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.05)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(PING)
            sock.recv(100)
        except OSError:
            return False
    return True
