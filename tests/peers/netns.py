"""A network and mount namespace of a test's own: port 111 and /run are free in it."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.need import PATH, need_namespaces
from tests.peers.process import Process

# `cat` holds the namespaces and ends with the pipe: nothing stays behind if pytest is killed.
_HOLD = """
ip link set lo up && mount -t tmpfs -o mode=755 tmpfs /run && echo ready && exec cat
"""

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Namespace:
    """A private network (`lo` is up) and a private, empty /run, as a context manager.

    Skips the test (fails in CI) where that cannot be had.
    """

    def __init__(self) -> None:
        need_namespaces()

    def __enter__(self) -> Self:
        # unshare and sh exec, so the pid stays the one that holds the namespaces.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"cannot set up a namespace: status {self._holder.wait()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._holder.pid

    def command(self, *argv: str | Path) -> list[str]:
        """The command line that runs `argv` inside, in the current directory."""
        enter = ["nsenter", "-t", str(self.pid), "-n", "-m", f"--wdns={Path.cwd()}"]
        return [*enter, *map(str, argv)]

    def run(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        timeout: float = 60,
        check: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program inside to its end; `env` is added to the environment."""
        return subprocess.run(
            self.command(*argv),
            env={**os.environ, "PATH": PATH, **(env or {})},
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def join(self, other: "Namespace", here: str, there: str) -> None:
        """Lay a cable to another one; the addresses, such as 198.51.100.1/24, are those of its
        two ends, both called `cable`. Their network can be broadcast to."""
        cable = ("type", "veth", "peer", "name", "cable", "netns", str(other.pid))
        self.run("ip", "link", "add", "cable", *cable, check=True)
        for namespace, address in ((self, here), (other, there)):
            namespace.run("ip", "addr", "add", address, "brd", "+", "dev", "cable", check=True)
            namespace.run("ip", "link", "set", "cable", "up", check=True)

    def python(self, source: str, *args: str) -> str:
        """Run some Python inside and return what it printed."""
        return self.run(sys.executable, "-c", source, *args, check=True).stdout

    def popen(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> Process:
        """Start a program inside; nsenter execs, so its pid is the program's."""
        return Process(self.command(*argv), env=env)

    def thread(self) -> ThreadPoolExecutor:
        """A thread of this process whose network is the one inside; its files are those outside.

        What it starts in threads of its own is inside too.
        """
        return ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self) -> None:
        with Path(f"/proc/{self.pid}/ns/net").open() as network:
            if _LIBC.setns(network.fileno(), _CLONE_NEWNET) != 0:  # os.setns is Python 3.12's
                raise OSError(ctypes.get_errno(), "setns")
