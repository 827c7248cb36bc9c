"""``serve()``: listen on any number of addresses, register, and answer until told to stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from rpcserver import servers
from rpcserver.clients import connect
from rpcserver.clients.connect import RPCBIND_SOCKET, RPCBIND_VARIABLE
from rpcserver.errors import CallError, NotReached, UsageError
from rpcserver.protocols.rpcb_prot import RPCB_PORT
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.version import Service
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.service import register_self
from rpcserver.rpcbind.service import services as rpcbind_services
from rpcserver.rpcbind.table import Table
from rpcserver.servers import methods
from rpcserver.servers.executor import Methods
from rpcserver.servers.loop import Loop
from rpcserver.servers.multiplex import MultiplexingMixIn

if TYPE_CHECKING:
    from rpcserver.servers.aio import AsyncioLoop

logger = logging.getLogger("rpcserver")

LISTEN = ("tcp://127.0.0.1:0", "udp://127.0.0.1:0")
"""Where a service listens unless it is told: the network is the user's explicit word."""

_CLASSES = {
    "tcp": "TCPServer",
    "udp": "UDPServer",
    "unix": "UnixStreamServer",
    "unixgram": "UnixDatagramServer",
}
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

DEFAULT_KIND = "select"


class Server:
    """Listeners that share one engine, driven by one loop.

    ``serve()`` makes it. ``serve_forever()`` answers calls until ``shutdown()``, which any thread
    may call; ``start()`` does so in a thread of its own; ``close()`` (or leaving ``with``)
    unregisters, stops accepting, lets calls in flight finish, and closes.
    """

    def __init__(
        self,
        engine: ServerEngine,
        listen: Sequence[str],
        kind: str = DEFAULT_KIND,
        executor: Callable[[], Executor] | None = None,
    ) -> None:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of server {kind!r}: it is one of {', '.join(KINDS)}")
        self.engine = engine
        self.listeners: list[Any] = []
        self._closing = ExitStack()
        self._stop = False
        self._thread: threading.Thread | None = None
        self._kind = kind
        self._executor = executor
        self._loop: Loop | AsyncioLoop | None = None
        self._methods: Methods | None = None
        try:
            for url in listen:
                self.listeners.append(_listener(parse_url(url), engine, kind))
        except BaseException:
            self.close()
            raise

    @property
    def endpoints(self) -> list[str]:
        """The URLs where the server listens, with their real ports."""
        return [str(endpoint_of(listener)) for listener in self.listeners]

    def on_close(self, function: Any) -> None:
        """Have ``function()`` called first of all when the server closes."""
        self._closing.callback(function)

    def serve_forever(self) -> None:
        """Answer calls until ``shutdown()``."""
        if self._loop is None:
            self._loop = _loop(self._kind)
            self._methods = Methods(self._loop.events, self._executor)
            for listener in self.listeners:
                listener.attach(self._loop.events, self._methods)
        self._loop.run(lambda: self._stop, self._turn)

    def _turn(self) -> None:
        for listener in self.listeners:
            listener.service_actions()

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
        self._closing.close()
        self.shutdown()
        if self._thread is not None:
            self._thread.join()
        if self._loop is not None and self._methods is not None:
            self._finish(self._loop)
            self._methods.close()
        for listener in self.listeners:
            listener.server_close()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _finish(self, loop: Loop | AsyncioLoop) -> None:
        """Let what the loop has in flight finish."""
        for listener in self.listeners:
            listener.detach()
        waiting = [each for each in self.listeners if isinstance(each, MultiplexingMixIn)]
        deadline = time.monotonic() + max((each.close_timeout for each in waiting), default=0)

        def done() -> bool:
            return not any(each.in_flight for each in waiting) or time.monotonic() > deadline

        loop.run(done, self._turn, poll=0.02)

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
        return Endpoint(listener.transport, address[0], address[1])
    return Endpoint(listener.transport, path=str(address))


def _listener(endpoint: Endpoint, engine: ServerEngine, kind: str) -> Any:
    server_class = KINDS[kind].get(endpoint.transport)
    if server_class is None:
        raise UsageError(f"{endpoint}: the kind {kind!r} has no server for {endpoint.transport}")
    address = (endpoint.host, endpoint.port) if endpoint.internet else endpoint.path
    try:
        listener = server_class(address, engine)
    except OSError as error:
        raise UsageError(f"cannot listen on {endpoint}: {error.strerror or error}") from error
    return listener


def serve(
    *services: Service,
    listen: Sequence[str] = LISTEN,
    register: bool = True,
    kind: str = DEFAULT_KIND,
    rpcbind: str | None = None,
    replace: bool = False,
    portmap: bool = False,
    executor: Callable[[], Executor] | None = None,
) -> Server:
    """A server for ``services``, listening, and registered with rpcbind.

    ``listen``: URLs, ``tcp://HOST:PORT``, ``udp://HOST:PORT``, ``unix:///PATH``; port 0 is any
    free one. ``kind``: ``select`` (one thread for all connections, and an executor for methods
    marked as blocking), ``asyncio`` (the same on asyncio's loop), ``threads`` or ``forks`` (a
    thread or a process for each connection and each datagram) or ``sync`` (one request at a
    time). ``executor`` makes that executor, e.g. ``lambda: ProcessPoolExecutor(4)``; by default
    it is one of threads. ``rpcbind``: the URL of the rpcbind to register with, default
    RPCSERVER_RPCBIND or this host's; if none runs there, that is a warning, or with ``portmap``
    one is started that lives as long as the server. ``replace`` takes the place of a living
    server. Raises ``UsageError`` for an address that is taken, a service that is none, a method
    with the wrong arguments, and a version that a living server has registered.
    """
    if not services:
        raise UsageError("there is no service to serve")
    server = Server(methods.engine_for(services), listen, kind, executor)
    try:
        if register:
            _register(server, rpcbind, replace, portmap)
    except BaseException:
        server.close()
        raise
    return server


def serve_portmap(listen: Sequence[str] | None = None, kind: str = DEFAULT_KIND) -> Server:
    """The embedded rpcbind: versions 2, 3 and 4 of program 100000 (RFC 1833).

    ``listen``: URLs, by default port 111 of 127.0.0.1 and, where this process may write it,
    rpcbind's UNIX socket. Only processes on this host may register. Raises ``UsageError``.
    """
    table = Table()
    server = Server(methods.engine_for(rpcbind_services(table)), listen or _portmap_urls(), kind)
    places = [parse_url(url) for url in server.endpoints]
    for place in places:
        if not place.internet:
            os.chmod(place.path, 0o666)  # everybody may ask; who may change what, the table says
    register_self(table, places)
    return server


def _portmap_urls() -> list[str]:
    urls = [f"{transport}://127.0.0.1:{RPCB_PORT}" for transport in ("tcp", "udp")]
    writable = os.access(os.path.dirname(RPCBIND_SOCKET), os.W_OK)
    return [*urls, f"unix://{RPCBIND_SOCKET}"] if writable else urls


def _register(server: Server, rpcbind: str | None, replace: bool, portmap: bool) -> None:
    places = [parse_url(url) for url in server.endpoints]
    rpcbind = rpcbind or os.environ.get(RPCBIND_VARIABLE)
    if portmap and not _is_there(rpcbind):
        embedded = serve_portmap([rpcbind] if rpcbind else None).start()
        server.on_close(embedded.close)
        rpcbind = embedded.endpoints[0]
        logger.info("an embedded rpcbind listens on %s", ", ".join(embedded.endpoints))
    try:
        undo = connect.register(server.engine.versions, places, rpcbind=rpcbind, replace=replace)
    except NotReached as error:
        logger.warning("not registered: %s", error)
    except CallError as error:
        raise UsageError(f"cannot register: {error}") from error
    else:
        server.on_close(undo)


def _is_there(rpcbind: str | None) -> bool:
    try:
        with connect.open_rpcbind(rpcbind, for_registration=True):
            return True
    except NotReached:
        return False
