"""Daemons that register with the rpcbind of a namespace."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.peers.netns import Namespace
from tests.peers.process import until
from tests.peers.rpcbind import entries


class Registered(NamedTuple):
    """What a daemon registers last."""

    program: int
    version: int
    netid: str

    def is_in(self, namespace: Namespace) -> bool:
        found = entries(namespace, self.program)
        return any((e.version, e.netid) == (self.version, self.netid) for e in found)


@contextmanager
def foreground(namespace: Namespace, ready: Registered, *argv: str | Path) -> Iterator[None]:
    """A daemon that stays in the foreground."""
    with namespace.popen(*argv) as process:

        def look() -> bool:
            if process.returncode is not None:
                raise RuntimeError(f"{argv[0]} ended: {process.stdout()}{process.stderr()}")
            return ready.is_in(namespace)

        until(str(argv[0]), look)
        yield


@contextmanager
def background(namespace: Namespace, ready: Registered, name: str) -> Iterator[None]:
    """A daemon that goes into the background."""
    try:
        with namespace.popen(name) as parent:
            assert parent.wait() == 0, parent.stderr()
        until(name, lambda: ready.is_in(namespace))
        yield
    finally:
        for pid in running(namespace, name):
            os.kill(pid, signal.SIGTERM)
        until(f"the end of {name}", lambda: not running(namespace, name))


def running(namespace: Namespace, name: str) -> list[int]:
    """The processes of that name in a namespace."""
    found = []
    inside = os.readlink(f"/proc/{namespace.pid}/ns/net")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = os.readlink(process / "ns" / "net") == inside
            if here and (process / "comm").read_text().strip() == name[:15]:
                found.append(int(process.name))
        except OSError:
            continue  # it has ended
    return found
