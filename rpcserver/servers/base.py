"""What all server classes share: the engine, the limits, and the requests that are open."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rpcserver.rpc import replycache
from rpcserver.rpc.call import Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.record import MAX_FRAGMENTS, MAX_RECORD
from rpcserver.rpc.version import Service
from rpcserver.servers import methods, sockets
from rpcserver.servers.child import Children
from rpcserver.servers.loop import POLL, EventLoop
from rpcserver.servers.per_peer import PerPeer
from rpcserver.servers.reached import Reached
from rpcserver.servers.stats import Stats, stats_of

logger = logging.getLogger("rpcserver")

_AF_INET = socket.AF_INET
_Socket = socket.socket  # the classes have an attribute of that name
_ForkingMixIn = getattr(socketserver, "ForkingMixIn", None)
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class RpcServer(Reached, socketserver.BaseServer):
    """The base of ours. It takes services where socketserver takes a handler class.

    Class variables, beside socketserver's own: ``time_limit`` (seconds that a call may take, told
    to methods as ``call.deadline``), ``close_timeout`` (seconds that ``server_close`` gives to
    calls in flight), ``dual_stack`` (whether an IPv6 socket takes IPv4, too),
    ``trailing_arguments`` (whether a call may have more bytes than its arguments, as libtirpc
    lets it); ``reply_cache`` (whether replies are remembered, so that a call that comes again is
    answered and does not run again, unless it is marked as idempotent), ``reply_cache_size``
    (bytes) and ``reply_cache_age`` (seconds).
    """

    transport = ""
    time_limit: float | None = None
    close_timeout = 10.0
    dual_stack = False
    trailing_arguments = False
    reply_cache = False
    reply_cache_size = replycache.SIZE
    reply_cache_age = replycache.MAX_AGE
    request_queue_size = 128
    address_family: int = _AF_INET
    socket_type: int
    allow_reuse_address = True
    allow_reuse_port = False
    handler_class: type[socketserver.BaseRequestHandler]
    socket: socket.socket
    server_address: Any

    def __init__(
        self,
        server_address: Any,
        services: Sequence[Service] | ServerEngine,
        bind_and_activate: bool = True,
    ) -> None:
        if not isinstance(services, ServerEngine):
            services = methods.engine_for(services)
        self.engine = services
        if self.trailing_arguments:
            services.trailing_arguments = True
        methods.remember_replies(self)
        self.children = Children()
        if forks(self):
            methods.share(self.engine)
            # Loaded once, here, and not by each child that needs them.
            import rpcserver.servers.background
            import rpcserver.servers.callback  # noqa: F401
        self.closing = self.shared = self.retiring = False
        self._taken = 0
        self.loop: EventLoop | None = None
        self._owner = os.getpid()
        self._requests: dict[int, Any] = {}
        self._changed = threading.Condition()
        if isinstance(server_address, tuple) and self.address_family == socket.AF_INET:
            self.address_family = sockets.family(server_address[0])
        super().__init__(server_address, self.handler_class, bind_and_activate)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # Unless asked otherwise: netid and access lists say what they mean, and IPv4 may have
            # the port.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not self.dual_stack)
        super().server_bind()  # type: ignore[misc]

    def server_activate(self) -> None:
        super().server_activate()
        self.prepare_socket()

    def prepare_socket(self) -> None:
        """Set what our socket needs, whoever opened it."""
        self.socket.setblocking(False)  # what was ready may have gone again

    def inherit(self, sock: _Socket) -> None:
        """Serve a socket that was opened by somebody else, who may have others serve it, too."""
        self.socket.close()
        self.socket = sock
        self.server_address = sock.getsockname()
        self.shared = True
        self.prepare_socket()

    def share(self) -> None:
        """Be one of several processes with this socket: it is not for us to end it.

        With ``allow_reuse_port``, which the parent has only bound, it is a socket of our own.
        """
        self._owner = os.getpid()
        if self.allow_reuse_port:
            self.own_socket()
        else:
            self.shared = True

    def own_socket(self) -> None:
        """Have another socket at the same address."""
        self.socket.close()
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()

    @property
    def one_at_a_time(self) -> bool:
        """Whether nobody else is served while a method runs: there is no mix-in."""
        return type(self).process_request is socketserver.BaseServer.process_request

    def service_actions(self) -> None:
        self.children.collect()
        super().service_actions()

    @property
    def taken(self) -> int:
        """How many requests there have been."""
        return self._taken

    def stats(self) -> Stats:
        """What it has done so far."""
        return stats_of([self], self.engine)

    def plain_calls(self) -> Any:
        """What answers those of its calls that are plain."""
        return self.engine.plain_once if self.reply_cache else self.engine.plain

    def peer_of(self, request: Any, client_address: Any) -> Peer:
        """Who sent a request, and to which address of ours."""
        return sockets.peer_of(request, self.transport, client_address)

    # --- in a loop with others ----------------------------------------------------------------

    def attach(self, loop: EventLoop, methods: Any) -> None:
        """Have ``loop`` call this server from now on, and ``methods`` run the methods if this
        server's own threads do not."""
        self.loop = loop
        loop.add_reader(self.socket, self._handle_request_noblock)

    def open_requests(self) -> int:
        """How many requests are not done, those of children included."""
        return len(self._requests) + len(self._forked()) + len(self.children)

    def child_pids(self) -> set[int]:
        """The processes that have requests of ours."""
        return self._forked() | self.children.pids

    def _forked(self) -> set[int]:
        """ForkingMixIn's children."""
        return getattr(self, "active_children", None) or set()

    def detach(self) -> None:
        """Take no more requests; those that are there go on."""
        if self.loop is not None:
            self.loop.remove_reader(self.socket)

    # --- one request, as in socketserver ------------------------------------------------------

    def _handle_request_noblock(self) -> bool:
        """Take a request and have it processed; whether there may be more.

        As the standard library's, but for ``prepare``, which stands between ``verify_request`` and
        the mix-ins.
        """
        if self.full():
            self.pause(POLL)
            return False
        try:
            request, address = self.get_request()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self.out_of_descriptors(error)
            return not self.closing
        try:
            if self.verify_request(request, address) and self.prepare(request, address):
                self.process_request(request, address)
            else:
                self.shutdown_request(request)
        except Exception:  # noqa: BLE001  handle_error has it
            self.handle_error(request, address)
            self.abandon(request)
            self.shutdown_request(request)
        except BaseException:
            self.shutdown_request(request)
            raise
        return True

    def full(self) -> bool:
        """Whether nothing more can be taken; then the kernel's queue has it."""
        return False

    def get_request(self) -> tuple[Any, Any]:
        request, address = self._next_request()
        with self._changed:
            self._requests[id(request)] = request
            self._taken += 1
        return request, address

    def _next_request(self) -> tuple[Any, Any]:
        return super().get_request()

    def prepare(self, request: Any, client_address: Any) -> bool:
        """Whether a request that was verified is one for ``process_request``."""
        return True

    def abandon(self, request: Any) -> None:
        """A request could not be processed."""

    def out_of_descriptors(self, error: OSError) -> None:
        """There are no more files or buffers for a request."""
        self.limit_reached("RLIMIT_NOFILE", self.server_address, f"{error.strerror}: waiting")
        self.pause(POLL)

    def pause(self, seconds: float) -> None:
        """Take no requests until one is done, or for so long."""
        with self._changed:
            self._changed.wait(seconds)

    def finish_request(self, request: Any, client_address: Any) -> None:
        owner = os.getpid()
        if owner != self._owner:  # ForkingMixIn's child
            signal.signal(signal.SIGTERM, lambda *_: self.end_requests())
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent will say so
        try:
            super().finish_request(request, client_address)
        finally:
            if os.getpid() != owner:  # a child of the handler's own; see ``in_child``
                self.shutdown_request(request)
                os._exit(0)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self._changed:
            self._requests.pop(id(request), None)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.exception("%s: the server failed", client_address)

    # --- its end ------------------------------------------------------------------------------

    def end_requests(self) -> None:
        """Read no further calls; safe in a signal handler."""
        self.closing = True

    def server_close(self) -> None:
        self.end_requests()
        deadline = time.monotonic() + self.close_timeout
        self.wait_for_requests(deadline)
        self.children.adopt(self._forked())
        self.children.end(deadline)
        super().server_close()

    def wait_for_requests(self, deadline: float) -> None:
        """Let calls in flight finish, until ``deadline`` (``time.monotonic``), and end the rest."""
        with self._changed:
            while self._requests and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            for request in self._requests.values():
                if isinstance(request, socket.socket):
                    sockets.shut(request, socket.SHUT_RDWR)


class StreamServer(RpcServer):
    """What the servers for streams share.

    Class variables: ``max_record`` and ``max_fragments`` (bytes and fragments of a call),
    ``max_connections`` and ``max_connections_per_peer`` (open at the same time, in all and from
    one address; of IPv6 one /64); ``idle_timeout``, ``record_timeout`` and ``write_timeout``
    (seconds between calls, for a call that has begun to arrive, for replies to be taken). A
    connection over a limit is closed, with a line in the log that names the limit.
    """

    max_record = MAX_RECORD
    max_fragments = MAX_FRAGMENTS
    max_connections = 4096
    """open at the same time: what is left of memory and descriptors is for those who are there"""
    max_connections_per_peer = 1024
    """a quarter of them: enough for a proxy with many clients, and one host cannot shut out all"""
    idle_timeout = 3600.0
    """instruments and mounts are silent for long; who is gone without a word must not stay"""
    record_timeout = 60.0
    """1 MiB in it is 18 KB/s"""
    write_timeout = 60.0

    def __init__(
        self,
        server_address: Any,
        services: Sequence[Service] | ServerEngine,
        bind_and_activate: bool = True,
    ) -> None:
        self._peers = PerPeer(self)
        super().__init__(server_address, services, bind_and_activate)
        default = getattr(_ForkingMixIn, "max_children", None)
        if forks(self) and getattr(self, "max_children", None) == default:
            # At that number socketserver would wait for a connection to end.
            self.max_children = self.max_connections + 1

    def _next_request(self) -> tuple[Any, Any]:
        connection, address = super()._next_request()
        self._peers.take(connection, address)
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):  # it may be gone again
                # A reply must not wait for the acknowledgement of the one before.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_out_of_band(self, request: Any, client_address: Any, data: bytes) -> None:
        """Called with each urgent byte (RFC 793) that arrives on a connection; it is never part
        of a record."""
        self.reached["out_of_band"] += 1

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self._peers.closed(request)

    def end_requests(self) -> None:
        super().end_requests()
        if not self.shared:
            sockets.shut(self.socket, socket.SHUT_RDWR)  # no more while the calls finish
        with self._changed:
            for connection in list(self._requests.values()):
                sockets.shut(connection, socket.SHUT_RD)


def forks(server: RpcServer) -> bool:
    """Whether each request has a process of its own."""
    return _ForkingMixIn is not None and isinstance(server, _ForkingMixIn)
