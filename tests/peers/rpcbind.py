"""An rpcbind in a namespace of the test's own, the system's or ours, and rpcinfo to ask it."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import Process, until

RPCSERVER = [sys.executable, "-m", "rpcserver"]

_START = 'mkdir -p /run/rpcbind && chown _rpc /run/rpcbind && exec rpcbind -f "$@"'


@dataclass(frozen=True)
class Entry:
    """A line of `rpcinfo`: one registration."""

    program: int
    version: int
    netid: str
    address: str
    owner: str


def rpcinfo(namespace: Namespace, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run rpcinfo in a namespace, whoever serves port 111 there."""
    need("rpcbind", "rpcinfo")
    return namespace.run("rpcinfo", *args)


def entries(namespace: Namespace, program: int | None = None) -> list[Entry]:
    """What is registered in a namespace, of one program or of all, sorted; [] without an rpcbind.

    `rpcinfo` alone asks by way of /run/rpcbind.sock and falls back to port 111.
    """
    found = []
    for line in rpcinfo(namespace).stdout.splitlines()[1:]:
        number, version, netid, address, *_, owner = line.split()
        found.append(Entry(int(number), int(version), netid, address, owner))
    found.sort(key=lambda e: (e.program, e.version, e.netid))
    return [e for e in found if program in (None, e.program)]


class Rpcbind:
    """A running rpcbind (v2, v3, v4; /run/rpcbind.sock and port 111), as a context manager.

    With `-r` among the arguments it also forwards calls (CALLIT, BCAST, INDIRECT).
    """

    def __init__(self, namespace: Namespace, *args: str) -> None:
        need("rpcbind", "rpcbind", "rpcinfo")
        self.namespace = namespace
        self._args = args

    def __enter__(self) -> Self:
        self.process = self.namespace.popen("sh", "-c", _START, "sh", *self._args)
        until("rpcbind", self._is_ready)
        return self

    def _is_ready(self) -> bool:
        if self.process.returncode is not None:
            raise RuntimeError(f"rpcbind ended: {self.process.stderr()}")
        return self.rpcinfo("-p").returncode == 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It notices SIGTERM a second late, and leaves nothing behind but its private /run.
        with self.process:
            self.process.stop(signal.SIGKILL)

    def rpcinfo(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return rpcinfo(self.namespace, *args)

    def entries(self, program: int | None = None) -> list[Entry]:
        return entries(self.namespace, program)


def listen(urls: Iterable[str]) -> list[str]:
    """The options of ``rpcserver`` for these URLs."""
    return [word for url in urls for word in ("--listen", url)]


@contextmanager
def embedded(namespace: Namespace, *options: str) -> Iterator[Process]:
    """Our rpcbind on port 111."""
    need("rpcbind", "rpcinfo")
    urls = ["tcp://0.0.0.0:111", "udp://0.0.0.0:111", "unix:///run/rpcbind.sock"]
    with namespace.popen(*RPCSERVER, "portmap", *listen(urls), *options) as process:
        process.wait_for("^ready$")
        yield process
