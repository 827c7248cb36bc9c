"""Who runs the methods of a multiplexed server: the loop, its executor, or an event loop."""

from __future__ import annotations

import inspect
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from rpcserver.errors import NoReply, SystemErr, UsageError
from rpcserver.rpc.call import Call
from rpcserver.rpc.invocation import FlavorsOwn, Invocation
from rpcserver.rpc.once import Duplicate
from rpcserver.rpc.version import Service
from rpcserver.servers.child import InChild
from rpcserver.servers.loop import EventLoop
from rpcserver.servers.methods import resolved
from rpcserver.servers.origin import load_service, origin_of
from rpcserver.servers.waiting import Waiting

logger = logging.getLogger("rpcserver")

MAX_WORKERS = 32
"""Threads for methods marked as blocking. They wait more than they work; each costs some memory,
and whatever they wait for (a database, a disk) takes no more at once either."""

SLOW = 0.1
"""Seconds that a method may hold the loop without a warning: everybody else waits for it."""


MAX_FLAVORS_WORKERS = 4
"""Threads for what a flavor does by itself, which is to compute: whoever asks for much of it takes
none from the methods."""


Done = Callable[[bytes | None], object]


class Job:
    """Work that waits for a thread. Who takes it first has it: the thread, or who says that it
    came too late."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = [work]

    def take(self) -> Callable[[], Any] | None:
        """The work, for one of those who ask."""
        try:
            return self._work.pop()
        except IndexError:
            return None

    def run(self) -> Any:
        """Do it, unless it was taken."""
        work = self.take()
        return work and resolved(work())


@dataclass(slots=True)
class Pending:
    """A call that has no reply yet, and what wants it; nothing of it, once it was refused. If an
    executor has it, it must have begun by ``until``; with a ``job`` if that is one of threads."""

    call: tuple[Invocation, Done] | None
    server: Any
    until: float = math.inf
    job: Job | None = None


class Later:
    """What ``Methods.start`` returns for a call whose reply comes later."""


LATER: Final = Later()


class Methods:
    """Runs methods for ``loop``, those marked as blocking in what ``make_executor`` makes.

    Whatever executor that is, if it is not one of threads, arguments and results are pickled.
    """

    def __init__(
        self, loop: EventLoop, make_executor: Callable[[], Executor] | None = None
    ) -> None:
        self._loop = loop
        self._make_executor = make_executor or _threads
        self._executor: Executor | None = None
        self._flavors: Executor | None = None
        self._duplicates: Waiting | None = None
        # A loop alone does not keep its tasks alive.
        self._pending: dict[Any, Pending] = {}
        self.bytes = 0
        """of the calls that wait"""

    def start(self, invocation: Invocation, done: Done, server: Any) -> bytes | Later | None:
        """Its reply, or ``LATER``: then ``done(reply)`` is called in the loop's thread.

        ``server`` has the limits: a call over ``max_calls``, or one that has not begun after
        ``start_timeout``, is answered SYSTEM_ERR, over a connection, and else not at all.
        """
        try:
            waits = invocation.blocking or invocation.asynchronous
            if waits and len(self._pending) >= server.max_calls:
                return _refusal(invocation, server, "max_calls")
            if invocation.blocking:
                return self._submit(invocation, done, server)
            result = invocation.run()
            if invocation.asynchronous:
                return self._when_done(
                    self._loop.create_task(result), Pending((invocation, done), server)
                )
            if isinstance(result, InChild):
                return self._submit(invocation, done, server, result)
            if inspect.isawaitable(result):
                from rpcserver.servers.background import waited

                return self._when_done(
                    self._loop.create_task(waited(result)), Pending((invocation, done), server)
                )
        except Exception as error:  # noqa: BLE001  whatever the method raises, the server lives on
            return invocation.fail(error, time.monotonic())
        now = time.monotonic()
        if now - invocation.begun > SLOW:
            logger.warning(
                "%s held the loop for %d ms: while it ran nobody else was served;"
                " @rpcserver.blocking gives it a thread",
                invocation.name,
                (now - invocation.begun) * 1000,
            )
        return invocation.reply(result, now)

    def refuse_late(self, now: float) -> None:
        """Answer the calls that should have begun before ``now`` (``time.monotonic``)."""
        for future, pending in list(self._pending.items()):
            if now < pending.until or pending.call is None:
                continue
            # The future of a job stays, to be counted for as long as the executor has it.
            if pending.job.take() if pending.job else future.cancel():
                (invocation, done), pending.call = pending.call, None
                self.bytes -= invocation.size
                done(_refusal(invocation, pending.server, "start_timeout"))

    def close(self) -> None:
        """Start nothing more; what can be cancelled is, and what runs is not waited for."""
        for future in list(self._pending):
            future.cancel()
        for executor in (self._executor, self._flavors):
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)

    def _submit(
        self, invocation: Invocation, done: Done, server: Any, work: InChild | None = None
    ) -> Later:
        if isinstance(invocation, Duplicate):
            self._duplicates = self._duplicates or Waiting()
            return self._when_done(
                self._duplicates.submit(invocation), Pending((invocation, done), server)
            )
        job = Job(work.run if work else invocation.run)
        try:
            future, threads = self._pass_on(invocation, job, work)
        except BrokenExecutor as error:  # a process of it died; the next ones are new
            logger.error("the executor is replaced: %s", error)
            self._executor = None
            future, threads = self._pass_on(invocation, job, work)
        until = invocation.begun + server.start_timeout
        pending = Pending((invocation, done), server, until, job if threads else None)
        return self._when_done(future, pending)

    def _pass_on(self, invocation: Invocation, job: Job, work: InChild | None) -> tuple[Any, bool]:
        """What comes out in the end, and whether a thread of this process does it."""
        if isinstance(invocation, FlavorsOwn):
            if self._flavors is None:
                self._flavors = ThreadPoolExecutor(MAX_FLAVORS_WORKERS, "rpcserver-flavor")
            return self._flavors.submit(job.run), True
        if self._executor is None:
            self._executor = self._make_executor()
        if isinstance(self._executor, ThreadPoolExecutor):
            return self._executor.submit(job.run), True
        if work is not None:
            return self._executor.submit(_run, work.run), False
        origin = origin_of(invocation.service)
        return self._executor.submit(_call_elsewhere, origin, _snapshot(invocation)), False

    def _when_done(self, future: Any, pending: Pending) -> Later:
        def pass_back(future: Any) -> None:
            try:
                self._loop.call_soon_threadsafe(self._finished, future)
            except RuntimeError:
                pass  # the loop has ended without it

        assert pending.call is not None
        self._pending[future] = pending
        self.bytes += pending.call[0].size
        future.add_done_callback(pass_back)
        return LATER

    def _finished(self, future: Any) -> None:
        pending = self._pending.pop(future)
        if pending.call is None:
            return
        invocation, done = pending.call
        self.bytes -= invocation.size
        try:
            reply = invocation.reply(future.result(), time.monotonic())
        except BaseException as error:  # noqa: BLE001  a cancelled one is answered, too
            reply = invocation.fail(error, time.monotonic())
        done(reply)


def _refusal(invocation: Invocation, server: Any, limit: str) -> bytes | None:
    """What is answered to a call that is not begun because of ``limit``."""
    text = f"{invocation.name} was not begun: too many calls wait for their methods"
    server.turned_away(limit, server.server_address, text)
    invocation.abandon()
    # Who sent a datagram sends it again, and there may be room then. A flavor knows no silence.
    silent = server.socket_type == socket.SOCK_DGRAM and not isinstance(invocation, FlavorsOwn)
    return invocation.fail(NoReply() if silent else SystemErr(), time.monotonic())


def _run(function: Callable[..., Any], *arguments: Any) -> Any:
    return resolved(function(*arguments))


def _threads() -> Executor:
    return ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="rpcserver-method")


_services: dict[tuple[int, str], Service] = {}
"""by process and MODULE:NAME"""


def _snapshot(invocation: Invocation) -> bytes:
    """The call as another process can have it: its version by reference, no connection."""
    import pickle  # here, because few servers run methods in other processes

    call = invocation.call
    parts = (call.peer, call.credential, call.xid, call.version, call.procedure.number)
    method = call.procedure.method
    try:
        return pickle.dumps((parts, call.deadline, method, invocation.arguments))
    except Exception as error:
        raise UsageError(f"{invocation.name}: a call that cannot be pickled: {error}") from error


def _call_elsewhere(origin: str, snapshot: bytes) -> Any:
    import pickle

    key = os.getpid(), origin
    service = _services.get(key)
    if service is None:
        service = _services[key] = load_service(origin)
    (peer, credential, xid, version, number), deadline, method, arguments = pickle.loads(snapshot)
    procedure = next(each for each in version._procedures.values() if each.number == number)
    call = Call(peer, credential, xid, version, procedure, None, deadline)
    return _run(getattr(service, method), call, *arguments)
