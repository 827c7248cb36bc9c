"""A parent that binds, registers once, and keeps worker processes alive.

They share its listening sockets. What the service keeps in memory, each worker has for itself.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rpcserver.servers import methods
from rpcserver.servers.loop import Loop
from rpcserver.servers.regular import Regular
from rpcserver.servers.server import Server

logger = logging.getLogger("rpcserver")

FIRST_DELAY = 0.1
"""Seconds before a worker that died young is replaced; doubled each time."""

LAST_DELAY = 10.0
"""The most of them."""

YOUNG = 1.0
"""Seconds that a worker must have lived to be replaced at once."""

_SIGNALS = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


@dataclass(eq=False)
class Worker:
    """A worker process as its parent knows it."""

    pid: int
    pipe: int  # a byte comes when it is ready
    born: float = field(default_factory=time.monotonic)
    ready: bool = False
    outdated: bool = False  # to be replaced
    retiring: bool = False  # has been
    ending: bool = False


class PreforkServer(Server):
    """``serve(workers=N)`` makes it.

    ``reload()`` replaces the workers one by one: the old one takes no more connections, and ends
    when its own have ended. ``shutdown()`` has all finish what is in flight.
    """

    def __init__(self, *args: Any, workers: int, **options: Any) -> None:
        self._wanted = workers
        self._workers: list[Worker] = []
        self._reload = False
        self._young_deaths = 0
        self._not_before = 0.0
        self._parent: Loop | None = None
        self._lifeline, self._our_end = os.pipe()  # its end tells workers that we are gone
        super().__init__(*args, **options)
        methods.share(self.engine)

    def serve_forever(self) -> None:
        """Keep the workers alive until ``shutdown()``."""
        self._parent = Loop()
        self._parent.run(lambda: self._stop, self._keep)
        self.unregister()
        for worker in self._workers:
            _kill(worker, signal.SIGTERM)
        deadline = time.monotonic() + 2 + max(each.close_timeout for each in self.listeners)
        self._parent.run(
            lambda: not self._workers or time.monotonic() > deadline, self._collect, poll=0.02
        )
        for worker in self._workers:
            logger.error("worker %d does not end: killed", worker.pid)
            _kill(worker, signal.SIGKILL)
        self._parent.run(lambda: not self._workers, self._collect, poll=0.02)

    def shutdown(self) -> None:
        """Have ``serve_forever()`` end the workers and return. Safe in a signal handler."""
        self._stop = True
        if self._parent is not None:
            self._parent.wake()

    def reload(self) -> None:
        """Replace the workers one by one. Safe in a signal handler."""
        self._reload = True
        if self._parent is not None:
            self._parent.wake()

    def every(self, seconds: float, function: Callable[[], object]) -> None:
        """Have ``function()`` called again and again, in the parent: a thread and ``fork`` do not
        go together."""
        self._regular.append(Regular(seconds, function, threaded=False))

    def close(self) -> None:
        """Unregister, end the workers, close everything."""
        super().close()
        if self._parent is not None:
            self._parent.close()
            self._parent = None
        for number in (self._lifeline, self._our_end):
            if number >= 0:
                os.close(number)
        self._lifeline = self._our_end = -1

    def _keep(self) -> None:
        """One step towards the workers that are wanted: all ready, none outdated."""
        self._collect()
        for regular in self._regular:
            regular.look()
        if self._reload:
            self._reload = False
            for worker in self._workers:
                worker.outdated = True
        active = [each for each in self._workers if not each.retiring]
        starting = any(not each.ready for each in active)
        outdated = [each for each in active if each.outdated]
        if outdated and not starting and len(active) > self._wanted:
            outdated[0].retiring = True
            _kill(outdated[0], signal.SIGHUP)
        elif (
            len(active) < self._wanted or (outdated and not starting)
        ) and time.monotonic() >= self._not_before:
            self._start()

    def _start(self) -> None:
        assert self._parent is not None
        reading, writing = os.pipe()
        # A signal that comes before the worker has its own handlers would be the parent's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._work(writing, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writing)
        worker = Worker(pid, reading)
        self._workers.append(worker)
        self._parent.add_reader(reading, self._heard, worker)
        logger.debug("worker %d started", pid)

    def _heard(self, worker: Worker) -> None:
        assert self._parent is not None
        if os.read(worker.pipe, 1):
            worker.ready = True
            for listener in self.listeners:
                if getattr(listener, "sticky", False):
                    listener.set_aside()
        else:
            worker.ending = True
            self._parent.remove_reader(worker.pipe)

    def _collect(self) -> None:
        """Take note of workers that have ended."""
        assert self._parent is not None
        for worker in list(self._workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                if worker.ending:
                    self._parent.wake()  # in a moment it can be waited for
                continue
            self._workers.remove(worker)
            self._parent.remove_reader(worker.pipe)
            os.close(worker.pipe)
            if worker.retiring or self._stop:
                logger.debug("worker %d has ended", pid)
                continue
            logger.error("worker %d ended: %s", pid, _reason(status))
            now = time.monotonic()
            if worker.ready and now - worker.born >= YOUNG:
                self._young_deaths = 0
            else:
                delay = min(LAST_DELAY, FIRST_DELAY * 2**self._young_deaths)
                self._young_deaths += 1
                self._not_before = now + delay

    # --- in a worker --------------------------------------------------------------------------

    def _work(self, ready: int, mask: set[int | signal.Signals]) -> None:
        status = 1
        try:
            self._become_worker()
            signal.signal(signal.SIGTERM, lambda *_: Server.shutdown(self))
            signal.signal(signal.SIGHUP, lambda *_: self.retire())
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent will say so
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            loop = self._start_loop().events
            loop.add_reader(self._lifeline, Server.shutdown, self)
            os.write(ready, b"r")
            Server.serve_forever(self)
            loop.remove_reader(self._lifeline)
            Server.close(self)
            status = 0
        except BaseException:
            logger.exception("worker %d failed", os.getpid())
        finally:
            logging.shutdown()
            os._exit(status)

    def _become_worker(self) -> None:
        """Forget what is the parent's."""
        os.close(self._our_end)
        assert self._parent is not None
        self._parent.close()
        self._parent = None
        for worker in self._workers:
            os.close(worker.pipe)
        self._workers.clear()
        self._closing.pop_all()
        self._regular.clear()
        self._thread = None
        self._stop = False
        for listener in self.listeners:
            listener.share()


def _kill(worker: Worker, number: int) -> None:
    try:
        os.kill(worker.pid, number)
    except ProcessLookupError:
        pass  # it has ended by itself


def _reason(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else f"signal {-code}"
