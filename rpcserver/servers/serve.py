"""``serve()``: listen on any number of addresses, register, and answer until told to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rpcserver.errors import UsageError
from rpcserver.rpc.version import Service

if TYPE_CHECKING:
    import socket
    from concurrent.futures import Executor

    from rpcserver.servers.server import Server

DEFAULT_KIND = "select"

REGISTRATION_FAILURES = ("fatal", "warning", "silent")
"""What it may be if a server cannot be registered."""

HEARTBEAT = 30.0
"""Seconds that an rpcbind may know nothing of us after it was restarted."""

LISTEN = ("tcp://127.0.0.1:0", "udp://127.0.0.1:0")
"""Where a service listens unless it is told: the network is the user's explicit word."""


def serve(
    *services: Service,
    listen: Sequence[str | socket.socket] = LISTEN,
    register: bool | str = True,
    kind: str = DEFAULT_KIND,
    workers: int | None = None,
    rpcbind: str | None = None,
    replace: bool = False,
    portmap: bool = False,
    heartbeat: float = HEARTBEAT,
    executor: Callable[[], Executor] | None = None,
    idle_exit: float | None = None,
    **settings: Any,
) -> Server:
    """A server for ``services``, listening, and registered with rpcbind.

    ``listen``: URLs, ``tcp://HOST:PORT``, ``udp://HOST:PORT``, ``unix:///PATH``,
    ``unixgram:///PATH``, and sockets that are open already; port 0 is any free one.

    ``kind``: ``select`` (one thread for all connections, and an executor for methods marked as
    blocking), ``asyncio`` (the same on asyncio's loop), ``threads`` or ``forks`` (a thread or a
    process for each connection and each datagram) or ``sync`` (one request at a time).
    ``executor`` makes that executor, e.g. ``lambda: ProcessPoolExecutor(4)``; by default it is
    one of threads. ``workers``: how many processes serve, by default this one; with it, the
    server is a ``rpcserver.servers.prefork.PreforkServer``. ``idle_exit``: seconds without a
    request after which ``serve_forever`` returns.

    ``rpcbind``: the URL of the rpcbind to register with, default RPCSERVER_RPCBIND or this
    host's; with ``portmap``, if none runs there, one is started that lives as long as the server.
    ``replace`` takes the place of a living server. ``register``: whether to do so at all;
    ``"fatal"``, ``"warning"`` or ``"silent"`` says what it is if that cannot be done, by default
    a warning where no rpcbind runs, else fatal. ``heartbeat``: seconds between looks whether
    rpcbind was restarted, or has come, and is to be told (again).

    ``tls_cert`` and ``tls_key``, files with a certificate chain and its key, have it speak TLS (RFC
    9289): ``tls="require"`` (the default then; datagrams have none) or ``"offer"``. ``tls_ca``:
    the CAs whose certificates clients must show, or with ``tls_client_cert="optional"`` may. See
    ``rpcserver.servers.TLSMixIn`` for all of them.

    ``settings`` are class variables of the server classes: ``max_connections=100``,
    ``idle_timeout=60``, ``access=rpc.Access(["192.0.2.0/24"])``, ``dual_stack=True``,
    ``gss="nfs@host.example.org"`` (a service's name, a ``rpcserver.auth.GssServer``, or ``True``);
    ``allow_reuse_port=True`` gives each worker a TCP socket of its own, and when a worker ends,
    connections that wait in its queue are lost; ``reply_cache`` is whether replies are remembered,
    so that a call that comes again does not run again, by default for datagrams. ``sys_policy``,
    ``peer_credentials`` and ``short_credentials`` are those of ``rpcserver.servers.SysMixIn``.

    Raises ``UsageError`` for an address that is taken, a service that is none, a method with the
    wrong arguments, an unknown setting, and a version that a living server has registered.
    """
    if not services:
        raise UsageError("there is no service to serve")
    if not (isinstance(register, bool) or register in REGISTRATION_FAILURES):
        names = ", ".join(REGISTRATION_FAILURES)
        raise UsageError(f"register is True, False or one of {names}, not {register!r}")
    if workers is not None and idle_exit is not None:
        raise UsageError("workers are kept alive: idle_exit is for a server without them")
    if settings.get("allow_reuse_port") and workers is None:
        raise UsageError("allow_reuse_port gives each worker a socket: there are no workers")
    # Loaded when it is first called: who imports it may only call others.
    from rpcserver.servers import methods
    from rpcserver.servers.server import Server

    if any(name.partition("_")[0] == "tls" for name in settings):
        from rpcserver.servers.tls import only_streams

        listen = only_streams(listen, settings.get("tls", "require"), listen is LISTEN)
    engine = methods.engine_for(services)
    options = {"executor": executor, "idle_exit": idle_exit, **settings}
    if workers is None:
        server = Server(engine, listen, kind, **options)
    else:
        from rpcserver.servers.prefork import PreforkServer

        if "gss" in settings:
            options.setdefault("sticky", True)  # each worker has contexts of its own
        server = PreforkServer(engine, listen, kind, workers=workers, **options)
    try:
        if register:
            from rpcserver.servers.registering import register_server  # with a client

            failure = None if register is True else register
            register_server(server, rpcbind, replace, portmap, failure, heartbeat)
    except BaseException:
        server.close()
        raise
    return server
