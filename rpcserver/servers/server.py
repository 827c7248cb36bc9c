"""``Server``: listeners of any kind that share one engine and one loop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from rpcserver import servers
from rpcserver.errors import UsageError
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.servers import inherited
from rpcserver.servers.access import AccessMixIn
from rpcserver.servers.auth import SysMixIn
from rpcserver.servers.executor import Methods
from rpcserver.servers.gss import GSSMixIn
from rpcserver.servers.loop import Loop
from rpcserver.servers.multiplex import MultiplexingMixIn
from rpcserver.servers.regular import Regular
from rpcserver.servers.serve import DEFAULT_KIND
from rpcserver.servers.stats import Stats, stats_of

if TYPE_CHECKING:
    from rpcserver.servers.aio import AsyncioLoop

_CLASSES = {
    "tcp": "TCPServer",
    "udp": "UDPServer",
    "unix": "UnixStreamServer",
    "unixgram": "UnixDatagramServer",
    "vsock": "VsockServer",
}
_MIXINS = (AccessMixIn, SysMixIn, GSSMixIn)
"""Each is there if one of its settings is"""

KINDS: dict[str, dict[str, Any]] = {
    kind: {
        transport: getattr(servers, f"{prefix}{name}")
        for transport, name in _CLASSES.items()
        if hasattr(servers, f"{prefix}{name}")
    }
    for kind, prefix in (
        ("sync", ""),
        ("threads", "Threading"),
        ("forks", "Forking"),
        ("select", "Multiplexing"),
        ("asyncio", "Multiplexing"),
    )
}
"""kind -> transport -> server class"""

FINISHING_POLL = 0.02
"""Seconds between looks whether the calls in flight are finished."""

RETIREMENT = 60.0
"""Seconds that a retired server gives to its connections."""


class Server:
    """Listeners that share one engine, driven by one loop.

    ``serve()`` makes it. ``serve_forever()`` answers calls until ``shutdown()``, which any thread
    may call; ``start()`` does so in a thread of its own; ``close()`` (or leaving ``with``)
    unregisters, stops accepting, lets calls in flight finish, and closes.
    """

    def __init__(
        self,
        engine: ServerEngine,
        listen: Sequence[str | socket.socket],
        kind: str = DEFAULT_KIND,
        *,
        executor: Callable[[], Executor] | None = None,
        idle_exit: float | None = None,
        **settings: Any,
    ) -> None:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of server {kind!r}: it is one of {', '.join(KINDS)}")
        classes = _with(settings, KINDS[kind])
        self.engine = engine
        self.listeners: list[Any] = []
        self._closing = ExitStack()
        self._stop = False
        self._thread: threading.Thread | None = None
        self._kind = kind
        self._executor = executor
        self._idle_exit = idle_exit
        self._taken, self._since = 0, time.monotonic()
        self._retiring: float | None = None
        self._regular: list[Regular] = []
        self._loop: Loop | AsyncioLoop | None = None
        self._methods: Methods | None = None
        try:
            for place in listen:
                self.listeners.append(
                    _listener(parse_url(place), engine, classes)
                    if isinstance(place, str)
                    else _inherited(place, engine, classes)
                )
        except BaseException:
            self.close()
            raise

    @property
    def endpoints(self) -> list[str]:
        """The URLs where the server listens, with their real ports."""
        return [str(endpoint_of(listener)) for listener in self.listeners]

    def stats(self) -> Stats:
        """What it has done so far."""
        return stats_of(self.listeners, self.engine)

    def on_close(self, function: Any) -> None:
        """Have ``function()`` called first of all when the server closes."""
        self._closing.callback(function)

    def every(self, seconds: float, function: Callable[[], object]) -> None:
        """Have ``function()`` called again and again while the server serves: in a thread of its
        own, or where this process forks and waits, in this one."""
        self._regular.append(Regular(seconds, function, threaded=self._kind != "forks"))

    def serve_forever(self) -> None:
        """Answer calls until ``shutdown()``."""
        loop = self._start_loop()
        loop.run(lambda: self._stop, self._turn)

    async def serve_on(self, loop: AsyncioLoop) -> None:
        """Answer calls on a loop that runs, until ``shutdown()``."""
        self._loop = loop
        self._attach(loop)
        await loop.drive(lambda: self._stop, self._turn)

    async def close_on(self, loop: AsyncioLoop) -> None:
        """What ``close()`` does, on a loop that runs."""
        self.unregister()
        self.shutdown()
        await loop.drive(self._finishing(), self._turn, FINISHING_POLL)
        self._close_all()

    def unregister(self) -> None:
        """Do what is first of all to be done when the server closes."""
        self._regular.clear()
        self._closing.close()

    def _start_loop(self) -> Loop | AsyncioLoop:
        if self._loop is None:
            self._loop = _loop(self._kind)
            self._attach(self._loop)
        return self._loop

    def _attach(self, loop: Loop | AsyncioLoop) -> None:
        self._methods = Methods(loop.events, self._executor)
        for listener in self.listeners:
            listener.attach(loop.events, self._methods)
            if isinstance(listener.socket, inherited.OneConnection):
                listener.detach()
                listener._handle_request_noblock()
                self._idle_exit = 0.0

    def _turn(self) -> None:
        for listener in self.listeners:
            listener.service_actions()
        for regular in self._regular:
            regular.look()
        now = time.monotonic()
        if self._retiring is not None:
            for listener in self.listeners:
                listener.detach()
            if now >= self._retiring or not any(each.open_requests() for each in self.listeners):
                self._stop = True
        elif self._idle_exit is not None:
            taken = sum(each.taken for each in self.listeners)
            if taken != self._taken or any(each.open_requests() for each in self.listeners):
                self._taken, self._since = taken, now
            elif now - self._since >= self._idle_exit:
                self._stop = True

    def retire(self) -> None:
        """Take no more requests, and have ``serve_forever()`` return when all is done.

        Connections may go on until they end; those that have been silent for some seconds are
        closed, where one loop has them all, and after ``RETIREMENT`` all are. Safe from any
        thread and from a signal handler.
        """
        self._retiring = time.monotonic() + RETIREMENT
        for listener in self.listeners:
            listener.retiring = True
        if self._loop is not None:
            self._loop.wake()

    def start(self) -> Self:
        """Run ``serve_forever()`` in a thread, and return at once."""
        self._thread = threading.Thread(target=self.serve_forever, name="rpcserver", daemon=True)
        self._thread.start()
        return self

    def shutdown(self) -> None:
        """Have ``serve_forever()`` return soon. Safe from any thread and from a signal handler."""
        self._stop = True
        for listener in self.listeners:
            listener.end_requests()
        if self._loop is not None:
            self._loop.wake()

    def close(self) -> None:
        """Unregister, stop accepting, let the calls in flight finish, close everything."""
        self.unregister()
        self.shutdown()
        if self._thread is not None:
            self._thread.join()
        if self._loop is not None:
            self._loop.run(self._finishing(), self._turn, poll=FINISHING_POLL)
        self._close_all()

    def _finishing(self) -> Callable[[], bool]:
        """Take nothing more; what comes tells whether all that the loop has is done, or late."""
        for listener in self.listeners:
            listener.detach()
        waiting = [each for each in self.listeners if isinstance(each, MultiplexingMixIn)]
        deadline = time.monotonic() + max((each.close_timeout for each in waiting), default=0)
        return lambda: (
            not any(each.open_requests() for each in waiting) or time.monotonic() > deadline
        )

    def _close_all(self) -> None:
        if self._methods is not None:
            self._methods.close()
        for listener in self.listeners:
            listener.server_close()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _loop(kind: str) -> Loop | AsyncioLoop:
    if kind != "asyncio":
        return Loop()
    from rpcserver.servers.aio import AsyncioLoop

    return AsyncioLoop()


def endpoint_of(listener: Any) -> Endpoint:
    """Where a listener listens."""
    address = listener.server_address
    if isinstance(address, tuple):
        return Endpoint(listener.transport, str(address[0]), address[1])
    return Endpoint(listener.transport, path=str(address))


def _with(settings: Mapping[str, Any], classes: Mapping[str, Any]) -> dict[str, Any]:
    """The server classes with other values for their class variables, where they have them."""
    mixins = tuple(each for each in _MIXINS if settings.keys() & vars(each).keys())
    with_tls = any(name.partition("_")[0] == "tls" for name in settings)
    if with_tls:
        from rpcserver.servers import tls
    made = {}
    for transport, base in classes.items():
        bases: tuple[type, ...] = (*mixins, base)
        if with_tls and transport in tls.STREAMS:
            bases = (*mixins, tls.TLSMixIn, base)
        known = {name: each for name, each in settings.items() if _has(bases, name)}
        if transport != "tcp":
            known.pop("allow_reuse_port", None)  # one socket, whose datagrams any worker takes
        made[transport] = type(base.__name__, bases, known) if known else base
    for name in settings:
        if not any(_has((*mixins, base), name) for base in (*classes.values(), *made.values())):
            raise UsageError(f"serve() has no setting {name!r}, nor has any of the server classes")
    return made


def _has(classes: Sequence[type], name: str) -> bool:
    value = next((getattr(each, name) for each in classes if hasattr(each, name)), _has)
    return not name.startswith("_") and (name == "executor" or not callable(value))


def _listener(endpoint: Endpoint, engine: ServerEngine, classes: Mapping[str, Any]) -> Any:
    server_class = classes.get(endpoint.transport)
    if server_class is None:
        raise UsageError(f"{endpoint}: this kind has no server for {endpoint.transport}")
    address: Any = endpoint.path
    if endpoint.internet:
        address = endpoint.host, endpoint.port
    elif endpoint.transport == "vsock":
        address = int(endpoint.host), endpoint.port
    try:
        if server_class.allow_reuse_port and endpoint.transport == "tcp":
            listener = server_class(address, engine, False)
            listener.server_bind()  # and no more: what listens gets connections
        else:
            listener = server_class(address, engine)
    except OSError as error:
        raise UsageError(f"cannot listen on {endpoint}: {error.strerror or error}") from error
    return listener


def _inherited(sock: socket.socket, engine: ServerEngine, classes: Mapping[str, Any]) -> Any:
    listener = classes[inherited.transport_of(sock)](sock.getsockname(), engine, False)
    listener.inherit(sock)
    return listener
