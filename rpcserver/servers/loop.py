"""The event loop of the multiplexed servers: one thread, ``epoll``, or ``poll`` without it.

Its methods have the names and the arguments of asyncio's loops, so that one of those can take
its place.
"""

from __future__ import annotations

import logging
import math
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

logger = logging.getLogger("rpcserver")

POLL = 0.5
"""Seconds between calls of ``service_actions`` when nothing happens, as in socketserver."""

BUSY_POLL = 0.05
"""The same when something always happens: it is not for each time round."""

TURN = 0.02
"""Seconds that one connection's calls, or one listener's datagrams, may take before all others
have their turn; a call that is running is not interrupted."""

_READ, _WRITE = select.POLLIN, select.POLLOUT  # epoll's are the same numbers


class EventLoop(Protocol):
    """What a multiplexed server needs of a loop: of ours, or of asyncio's."""

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """Call it whenever the file has something to read; it replaces an earlier one."""

    def remove_reader(self, fd: Any) -> object:
        """No more of that; nothing happens if there was none."""

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """Call it whenever the file takes something."""

    def remove_writer(self, fd: Any) -> object:
        """No more of that."""

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> object:
        """Have it called in the loop's thread; from any thread, or a signal handler."""

    def create_task(self, coroutine: Coroutine[Any, Any, Any], /) -> Any:
        """Have it run; what comes out has ``add_done_callback`` and ``result``."""


Callback = Callable[[], object]


class Loop:
    """An ``EventLoop``."""

    def __init__(self) -> None:
        self._poller, self._wait = _poller()
        self._files: dict[int, list[Callback | None]] = {}  # number -> reader, writer
        self._soon: deque[Callback] = deque()
        self._awake = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self.add_reader(self._wake, self._woken)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """As ``EventLoop`` has it; so are the others."""
        self._change(fd, 0, partial(callback, *args) if args else callback)

    def remove_reader(self, fd: Any) -> None:
        self._change(fd, 0, None)

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        self._change(fd, 1, partial(callback, *args) if args else callback)

    def remove_writer(self, fd: Any) -> None:
        self._change(fd, 1, None)

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        self._soon.append(partial(callback, *args) if args else callback)
        if not self._awake:
            self._awake = True
            try:
                self._waker.send(b"\0")
            except OSError:
                pass  # full, or closed: it wakes, or has woken

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        from rpcserver.servers import background

        return background.submit(coroutine)

    def run(
        self,
        until: Callable[[], bool],
        turn: Callable[[], object] = lambda: None,
        poll: float = POLL,
    ) -> None:
        """Serve until ``until()`` is true; ``turn()`` is called each ``poll`` seconds or more
        often."""
        files, soon, wait, clock = self._files, self._soon, self._wait, time.monotonic
        next_turn = 0.0
        while not until():
            for number, events in wait(poll):
                file = files.get(number)
                # What is no event to write is one to read, an error and an end too.
                if file is not None and events & ~_WRITE and (call := file[0]) is not None:
                    try:
                        call()
                    except Exception:  # one connection's trouble is not everybody's
                        logger.exception("a callback of the loop failed")
                if file is not None and events & ~_READ and (call := file[1]) is not None:
                    try:
                        call()
                    except Exception:
                        logger.exception("a callback of the loop failed")
            for _ in range(len(soon)):
                try:
                    soon.popleft()()
                except Exception:
                    logger.exception("a callback of the loop failed")
            if (now := clock()) >= next_turn:
                next_turn = now + min(poll, BUSY_POLL)
                turn()

    def wake(self) -> None:
        """Have ``until`` asked soon; from any thread, or a signal handler."""
        self.call_soon_threadsafe(lambda: None)

    @property
    def events(self) -> EventLoop:
        """What servers are attached to: itself."""
        return self

    def close(self) -> None:
        """Give back what it holds; the files are the owners'."""
        if hasattr(self._poller, "close"):
            self._poller.close()
        self._wake.close()
        self._waker.close()

    def _woken(self) -> None:
        try:
            self._wake.recv(4096)
        except BlockingIOError:
            pass
        self._awake = False

    def _change(self, fd: Any, which: int, call: Callback | None) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        file = self._files.get(number)
        if file is None:
            if call is not None:
                self._files[number] = [call, None] if which == 0 else [None, call]
                self._poller.register(number, _WRITE if which else _READ)
            return
        before = _wanted(file)
        file[which] = call
        wanted = _wanted(file)
        if not wanted:
            del self._files[number]
            self._poller.unregister(number)
        elif wanted != before:
            self._poller.modify(number, wanted)


def _poller() -> tuple[Any, Callable[[float], list[tuple[int, int]]]]:
    """What knows the files, and what waits for them so many seconds."""
    if hasattr(select, "epoll"):
        epoll = select.epoll()
        return epoll, epoll.poll
    poll = select.poll()
    return poll, lambda seconds: poll.poll(math.ceil(seconds * 1000))


def _wanted(file: list[Callback | None]) -> int:
    return (_READ if file[0] else 0) | (_WRITE if file[1] else 0)
