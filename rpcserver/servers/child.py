"""Work that a method leaves to a child process, as socketserver's documentation describes it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any


class InChild:
    """The rest of a call's work: what it returns is the call's result."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments

    def run(self) -> Any:
        """Do it here."""
        return self._function(*self._arguments)


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returned by a method that wants the rest of its work done while others are served.

    ``return in_child(self._search, pattern)``: a synchronous server forks, and its child calls
    ``function(*arguments)``, sends the reply and, over TCP, goes on with the connection. Changes
    that it makes stay in the child. A multiplexed server calls ``function`` in its executor;
    all others call it where they are, since they serve others in any case.
    """
    return InChild(function, arguments)


class Children:
    """The processes that a server's handlers have forked."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def __len__(self) -> int:
        return len(self.pids)

    def fork(self) -> bool:
        """Go on in two processes: ``True`` in the child."""
        pid = os.fork()
        if pid == 0:
            self.pids.clear()
            return True
        self.pids.add(pid)
        return False

    def collect(self) -> None:
        """Take note of those that have ended."""
        for pid in list(self.pids):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid  # somebody else waited for it
            if ended:
                self.pids.discard(pid)

    def adopt(self, pids: Iterable[int]) -> None:
        """Look after these, too."""
        self.pids.update(pids)

    def end(self, deadline: float) -> None:
        """Have them finish what they do, by ``deadline`` (``time.monotonic``), and wait for it."""
        self._kill(signal.SIGTERM)
        while self.pids and time.monotonic() < deadline:
            self.collect()
            time.sleep(0.005)
        if self.pids:
            self._kill(signal.SIGKILL)
            while self.pids:
                self.collect()
                time.sleep(0.005)

    def _kill(self, number: int) -> None:
        self.collect()
        for pid in self.pids:
            os.kill(pid, number)
