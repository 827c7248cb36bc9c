"""The event loop of the multiplexed servers: one thread, ``selectors``.

Its methods have the names and the arguments of asyncio's loops, so that one of those can take
its place.
"""

from __future__ import annotations

import logging
import selectors
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Protocol

logger = logging.getLogger("rpcserver")

POLL = 0.5
"""Seconds between calls of ``service_actions`` when nothing happens, as in socketserver."""

TURN = 0.02
"""Seconds that one connection's calls, or one listener's datagrams, may take before all others
have their turn; a call that is running is not interrupted."""

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


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


def _call(callback: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        callback(*args)
    except Exception:  # one connection's trouble is not everybody's
        logger.exception("a callback of the loop failed")


class Loop:
    """An ``EventLoop``."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._awake = False
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self.add_reader(self._wake, self._woken)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """As ``EventLoop`` has it; so are the others."""
        self._change(fd, _READ, (callback, args))

    def remove_reader(self, fd: Any) -> None:
        self._change(fd, _READ, None)

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        self._change(fd, _WRITE, (callback, args))

    def remove_writer(self, fd: Any) -> None:
        self._change(fd, _WRITE, None)

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        self._soon.append((callback, args))
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
        """Serve until ``until()`` is true; ``turn()`` is called each time round."""
        while not until():
            for key, events in self._selector.select(poll):
                reader, writer = key.data
                if events & _READ and reader is not None:
                    _call(*reader)
                    _, writer = key.data
                if events & _WRITE and writer is not None:
                    _call(*writer)
            for _ in range(len(self._soon)):
                _call(*self._soon.popleft())
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
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _woken(self) -> None:
        try:
            self._wake.recv(4096)
        except BlockingIOError:
            pass
        self._awake = False

    def _change(self, fd: Any, event: int, call: Any) -> None:
        try:
            key = self._selector.get_key(fd)
        except (KeyError, ValueError):  # not there, or closed
            if call is not None:
                calls = [call, None] if event == _READ else [None, call]
                self._selector.register(fd, event, calls)
            return
        key.data[0 if event == _READ else 1] = call
        events = (_READ if key.data[0] else 0) | (_WRITE if key.data[1] else 0)
        if not events:
            self._selector.unregister(fd)
            key.data[:] = None, None
        elif events != key.events:
            self._selector.modify(fd, events, key.data)
