"""Load for a service: connections with calls outstanding on each, and how long the answers take."""

from __future__ import annotations

import selectors
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.auth.tls_settings import TlsClient, client_settings
from rpcserver.clients import KEEP_ALIVE
from rpcserver.clients.finding import host_of, opener_for
from rpcserver.clients.opening import Opener
from rpcserver.errors import CallError, NotReached, TimedOut, UsageError
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.version import Procedure, Version
from rpcserver.testing.caller import Caller
from rpcserver.testing.latencies import Latencies

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient

TIMEOUT = 5.0
"""Seconds after which a call is given up; datagrams are not sent again."""

MAX_CONNECTIONS = 1000
MAX_DEPTH = 4096
MAX_SECONDS = 3600.0
"""Bounds of one run: more is a mistake, or should be several processes."""

_REOPEN = 1.0  # seconds to connect again, in which all else waits
_TICK = 0.1  # seconds between looks at what is overdue


@dataclass
class Report:
    """What a run brought, so far."""

    target: str
    """The URL that was called"""
    connections: int
    depth: int
    seconds: float = 0.0
    """How long it took"""
    latencies: Latencies = field(default_factory=Latencies)
    """Of the calls that were answered with a result"""
    errors: Counter[str] = field(default_factory=Counter)
    """The name of the ``CallError`` -> how many calls ended with it"""
    first_error: CallError | None = None
    unfinished: int = 0
    """Calls that were outstanding at the end"""
    interrupted: bool = False

    @property
    def calls(self) -> int:
        """Calls that brought a result."""
        return self.latencies.count

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds if self.seconds else 0.0

    def failed(self, error: CallError, calls: int = 1) -> None:
        """Count calls that ended with ``error``."""
        self.errors[type(error).__name__] += calls
        self.first_error = self.first_error or error

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``json.dumps``; times in microseconds."""
        return {
            "target": self.target,
            "connections": self.connections,
            "depth": self.depth,
            "seconds": round(self.seconds, 6),
            "calls": self.calls,
            "calls_per_second": round(self.rate, 3),
            "latency_us": {
                name: round(1e6 * seconds, 3) for name, seconds in self.latencies.summary().items()
            },
            "histogram_us": [
                [round(1e6 * low, 3), round(1e6 * high, 3), count]
                for low, high, count in self.latencies.histogram()
            ],
            "errors": dict(self.errors),
            "unfinished": self.unfinished,
            "interrupted": self.interrupted,
        }


def bench(
    version: type[Version],
    procedure: Procedure[Any],
    arguments: tuple[Any, ...],
    target: str,
    *,
    connections: int = 1,
    depth: int = 1,
    seconds: float = 5.0,
    timeout: float = TIMEOUT,
    credentials: ClientFlavor | SysCredential | GssClient | str | None = None,
    rpcbind: str | None = None,
    transport: str | None = None,
    tls: TlsClient | str | None = None,
    progress: Callable[[Report], object] | None = None,
) -> Report:
    """Call ``procedure`` of ``version`` at ``target`` over and over, for ``seconds``.

    Each of the ``connections`` keeps ``depth`` calls outstanding, with RPCSEC_GSS no more than the
    server has a window for. Every result is decoded. A call
    that is not answered within ``timeout`` seconds is given up and counted; a connection that is
    lost is opened again. ``progress`` is called about ten times a second. KeyboardInterrupt
    (Ctrl-C) ends the run, and what was measured so far is returned. ``target``, ``credentials``,
    ``rpcbind``, ``transport`` and ``tls`` are as for ``rpcserver.connect``.

    One thread makes the calls, with the library's own codec: it is the limit before a fast server
    is, so run several.

    Raises ``XdrError`` for arguments that the procedure does not take, ``UsageError`` for bounds
    that are exceeded, and a ``CallError`` if the first connections cannot be opened.
    """
    for name, value, most in (
        ("connections", connections, MAX_CONNECTIONS),
        ("depth", depth, MAX_DEPTH),
        ("seconds", seconds, MAX_SECONDS),
    ):
        if not 0 < value <= most:
            raise UsageError(f"{name} must be more than 0, and {most:g} at most, not {value}")
    opener = opener_for(
        target,
        version,
        rpcbind=rpcbind,
        transport=transport,
        timeout=timeout,
        privileged_port=False,
        keep_alive=KEEP_ALIVE,
        tls=client_settings(tls),
    )
    callers = [
        Caller(version, procedure, arguments, client_flavor(credentials, host_of(target)), depth)
        for _ in range(connections)
    ]
    report = Report(str(opener.endpoint), connections, depth)
    with selectors.DefaultSelector() as selector:
        run = _Run(opener, callers, report, selector, timeout)
        try:
            for caller in callers:
                run.open(caller)
            run.until(seconds, progress)
        except KeyboardInterrupt:
            report.interrupted = True
        finally:
            run.end()
    return report


class _Run:
    def __init__(
        self,
        opener: Opener,
        callers: list[Caller],
        report: Report,
        selector: selectors.BaseSelector,
        timeout: float,
    ) -> None:
        self._opener = opener
        self._callers = callers
        self._report = report
        self._selector = selector
        self._timeout = timeout
        self._begun: float | None = None

    def open(self, caller: Caller, timeout: float | None = None) -> None:
        """Connect, and have a session if there are such. Raises ``CallError``."""
        seconds = self._timeout if timeout is None else timeout
        until = time.monotonic() + seconds
        sock = self._opener.open(seconds)
        caller.connected(sock, self._opener.endpoint.stream)
        try:
            caller.negotiate(until)
        except (OSError, CallError) as error:
            caller.close()
            if isinstance(error, CallError):
                raise
            raise NotReached(f"{self._opener.endpoint}: {error}") from error
        self._selector.register(sock, selectors.EVENT_READ, caller)

    def until(self, seconds: float, progress: Callable[[Report], object] | None) -> None:
        """Call and call."""
        self._begun = now = time.monotonic()
        end, look = now + seconds, now + _TICK
        for caller in self._callers:
            self._drive(caller, 0)
        while now < end:
            wait = min(look, end) - now
            for key, events in self._selector.select(max(wait, 0)):
                self._drive(key.data, events)
            now = time.monotonic()
            if now >= look:
                look = now + _TICK
                self._look(now)
                self._report.seconds = now - self._begun
                if progress is not None:
                    progress(self._report)

    def end(self) -> None:
        """Take the time, and close everything."""
        if self._begun is not None:
            self._report.seconds = time.monotonic() - self._begun
        for caller in self._callers:
            self._report.unfinished += len(caller.waiting)
            caller.farewell()
            caller.close()

    def _drive(self, caller: Caller, events: int) -> None:
        """Take what has come, and make the next calls."""
        try:
            if events & selectors.EVENT_READ:
                for latency, error in caller.receive():
                    if error is None:
                        self._report.latencies.add(latency)
                    else:
                        self._report.failed(error)
            wanted = selectors.EVENT_READ
            if not caller.send():
                wanted |= selectors.EVENT_WRITE
            if caller.sock is not None and wanted != self._selector.get_key(caller.sock).events:
                self._selector.modify(caller.sock, wanted, caller)
        except (OSError, CallError) as error:
            self._lost(caller, error)

    def _lost(self, caller: Caller, error: Exception) -> None:
        if not isinstance(error, CallError):
            error = NotReached(f"{self._opener.endpoint}: {error}")
        self._report.failed(error, max(len(caller.waiting), 1))
        if caller.sock is not None:
            self._selector.unregister(caller.sock)
        caller.close()

    def _look(self, now: float) -> None:
        """Give up what is overdue, and connect again what was lost, one at a time."""
        lost = [caller for caller in self._callers if caller.sock is None]
        for caller in self._callers:
            if given_up := caller.give_up(now - self._timeout):
                error = TimedOut(f"{self._opener.endpoint}: no answer in time")
                self._report.failed(error, given_up)
                self._drive(caller, 0)
        for caller in lost:
            try:
                self.open(caller, min(self._timeout, _REOPEN))
            except CallError as error:
                self._report.failed(error)
                self._opener.lost()
                return
            self._drive(caller, 0)
