"""What the benchmarks start: our kinds of servers, libtirpc's, and the load generator."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
C = HERE / "c"
PROG = "0x20000099"
TICK = os.sysconf("SC_CLK_TCK")


def build() -> None:
    """Compile the C programs (gcc, rpcgen, libtirpc)."""
    subprocess.run(["make", "--silent", "-C", C], check=True)


def command(name: str, port: int) -> list[str]:
    """The command line of a server: a kind of ours, perhaps with workers, or ``libtirpc``."""
    if name == "libtirpc":
        return [str(C / "tirpc_server"), str(port)]
    kind, _, workers = name.partition(" x ")
    words = [sys.executable, "-m", "rpcserver", "serve", "benchmarks.echo:Echo", "--no-register"]
    words += ["--kind", kind, *(["--workers", workers] if workers else [])]
    return [*words, "--listen", f"tcp://127.0.0.1:{port}", "--listen", f"udp://127.0.0.1:{port}"]


@contextmanager
def running(name: str, cpu: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """The server, ready: its port, and its processes. It is ended after the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    server = subprocess.Popen(
        [*pin, *command(name, port)],
        cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while not _accepts(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start")
            time.sleep(0.02)
        yield port, [server.pid, *children(server.pid)]
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def load(port: int, words: str, pids: list[int], cpu: int | None = None) -> dict[str, Any]:
    """One run of rpcload, and what it printed."""
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    argv = [*pin, str(C / "rpcload"), "-p", str(port), "-P", PROG, *words.split()]
    for pid in pids:
        argv += ["-S", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def memory(pids: list[int]) -> int:
    """Bytes that the processes have for themselves and nobody else has."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
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
