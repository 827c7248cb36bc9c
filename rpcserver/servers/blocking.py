"""RPC on the classes of the standard library's ``socketserver``.

::

    class ThreadingTCPServer(socketserver.ThreadingMixIn, TCPServer): pass

    with ThreadingTCPServer(("127.0.0.1", 0), [Kv()]) as server:
        server.serve_forever()

``TCPServer``, ``UDPServer`` and ``UnixStreamServer`` take services where socketserver takes a
handler class; ``serve_forever``, ``shutdown``, ``handle_request``, ``verify_request`` and the
mix-ins are socketserver's own. ``server_close`` also ends the connections: it lets calls in flight
finish, for ``close_timeout`` seconds at most.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rpcserver.auth import server_flavors
from rpcserver.errors import RecordError, SystemErr
from rpcserver.rpc.dispatch import Invocation, ServerEngine, refusal
from rpcserver.rpc.flavor import NO_AUTH
from rpcserver.rpc.record import MAX_FRAGMENTS, MAX_RECORD, RecordReader, frame
from rpcserver.rpc.version import Peer, Service
from rpcserver.servers import sockets

logger = logging.getLogger("rpcserver")

POLL = 0.5  # seconds between calls of service_actions, as in socketserver
_READ_SIZE = 64 << 10
_BATCH = 64 << 10  # replies that wait for one another before they are sent


def answer(engine: ServerEngine, record: bytes, peer: Peer) -> bytes | None:
    """The reply to ``record``, with the method run here and now; ``None`` for silence."""
    outcome = engine.begin(record, peer)
    if not isinstance(outcome, Invocation):
        return outcome
    try:
        result = outcome.run()
        if inspect.isawaitable(result):
            result = asyncio.run(_wait(result))
    except Exception as error:  # noqa: BLE001  whatever the method raises, the server lives on
        return outcome.fail(error)
    return outcome.reply(result)


async def _wait(awaitable: Any) -> Any:
    return await awaitable


class StreamHandler(socketserver.BaseRequestHandler):
    """One connection: reads what is there, answers every complete record in it, sends once."""

    server: Any

    def handle(self) -> None:
        server, connection = self.server, self.request
        self.peer = sockets.peer_of(connection, server.transport, self.client_address)
        reader = RecordReader(server.max_record, server.max_fragments)
        logger.debug("%s: connected", self.peer)
        try:
            while data := connection.recv(_READ_SIZE):
                self._answer_all(reader.feed(data))
                if server.closing and reader.between_records:
                    break
        except RecordError as error:
            logger.warning("%s: %s; closed", self.peer, error)
        except OSError as error:
            logger.debug("%s: %s", self.peer, error)
        logger.debug("%s: gone", self.peer)

    def _answer_all(self, records: Iterable[bytes]) -> None:
        replies: list[bytes] = []
        size = 0
        try:
            for record in records:
                reply = answer(self.server.engine, record, self.peer)
                if reply is not None:
                    replies.append(frame(reply))
                    size += len(reply)
                if size > _BATCH:
                    self.request.sendall(b"".join(replies))
                    replies.clear()
                    size = 0
        finally:  # also when the record behind them is over a limit
            if replies:
                self.request.sendall(b"".join(replies))


class DatagramHandler(socketserver.BaseRequestHandler):
    """One datagram: a call, and the reply from the address it was sent to."""

    server: Any

    def handle(self) -> None:
        data, ancillary = self.request
        server = self.server
        peer = Peer(server.transport, self.client_address, server.local_address(ancillary))
        reply = answer(server.engine, data, peer)
        if reply is None:
            return
        try:
            sockets.send_from(server.socket, reply, ancillary, self.client_address)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                logger.debug("%s: %s", peer, error)
                return
            logger.error("%s: a reply of %d bytes fits into no datagram", peer, len(reply))
            reply = refusal(int.from_bytes(reply[:4]), NO_AUTH, SystemErr())
            sockets.send_from(server.socket, reply, ancillary, self.client_address)


class _RpcServer(socketserver.BaseServer):
    """What the servers below share: the engine, and requests that end with the server."""

    transport = ""
    close_timeout = 10.0
    """seconds that ``server_close`` gives to calls in flight"""
    request_queue_size = 128
    address_family: int = socket.AF_INET
    allow_reuse_address = True
    handler_class: type[socketserver.BaseRequestHandler]
    socket: socket.socket

    def __init__(
        self,
        server_address: Any,
        services: Sequence[Service] | ServerEngine,
        bind_and_activate: bool = True,
    ) -> None:
        if not isinstance(services, ServerEngine):
            services = ServerEngine(services, server_flavors())
        self.engine = services
        self.closing = False
        self._requests: dict[int, Any] = {}
        self._changed = threading.Condition()
        if isinstance(server_address, tuple):
            self.address_family = sockets.family(server_address[0])
        super().__init__(server_address, self.handler_class, bind_and_activate)  # type: ignore[call-arg]

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # IPv6 alone: netid and access lists say what they mean, and IPv4 may have the port.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()  # type: ignore[misc]

    def get_request(self) -> tuple[Any, Any]:
        request, address = self._next_request()
        with self._changed:
            self._requests[id(request)] = request
        return request, address

    def _next_request(self) -> tuple[Any, Any]:
        return super().get_request()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._requests.pop(id(request), None)
            self._changed.notify_all()

    def end_requests(self) -> None:
        """Read no further calls; safe in a signal handler."""
        self.closing = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.exception("%s: the server failed", client_address)

    def server_close(self) -> None:
        self.end_requests()
        deadline = time.monotonic() + self.close_timeout
        with self._changed:
            while self._requests and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            for request in self._requests.values():
                if isinstance(request, socket.socket):
                    sockets.shut(request, socket.SHUT_RDWR)
        super().server_close()


class _StreamServer(_RpcServer):
    handler_class = StreamHandler
    max_record = MAX_RECORD
    max_fragments = MAX_FRAGMENTS

    def _next_request(self) -> tuple[Any, Any]:
        connection, address = super()._next_request()
        connection.setblocking(True)
        if connection.family != sockets.AF_UNIX:
            # A reply must not wait for the acknowledgement of the one before.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def end_requests(self) -> None:
        super().end_requests()
        with self._changed:
            for connection in list(self._requests.values()):
                sockets.shut(connection, socket.SHUT_RD)

    def server_close(self) -> None:
        sockets.shut(self.socket, socket.SHUT_RDWR)  # no more connections while the calls finish
        super().server_close()


class TCPServer(_StreamServer, socketserver.TCPServer):
    """RPC over TCP. ``TCPServer((host, port), services)``; IPv6 by the form of ``host``.

    Class variables: ``max_record`` and ``max_fragments`` (bytes and fragments of a call;
    a connection over them is closed), ``close_timeout`` (seconds), and socketserver's.
    """

    transport = "tcp"


class UnixStreamServer(_StreamServer, socketserver.TCPServer):
    """RPC over a UNIX stream socket: ``UnixStreamServer("/path", services)``.

    The path is removed when the server closes, and a path whose server is gone is taken over.
    """

    transport = "unix"
    address_family = sockets.AF_UNIX

    def server_bind(self) -> None:
        sockets.remove_dead(str(self.server_address))
        super().server_bind()
        self._bound = sockets.identity(str(self.server_address))

    def server_close(self) -> None:
        super().server_close()
        sockets.remove_own(str(self.server_address), getattr(self, "_bound", None))


class Datagram(NamedTuple):
    """What socketserver calls the request of a UDP server."""

    data: bytes
    ancillary: list[tuple[int, int, bytes]]


class UDPServer(_RpcServer, socketserver.UDPServer):
    """RPC over UDP. ``UDPServer((host, port), services)``; IPv6 by the form of ``host``.

    ``truncated`` counts the datagrams that were larger than ``max_packet_size`` and dropped.
    """

    transport = "udp"
    handler_class = DatagramHandler
    max_packet_size = 65_535
    allow_reuse_address = False  # two servers on one UDP port would take turns

    def __init__(
        self,
        server_address: Any,
        services: Sequence[Service] | ServerEngine,
        bind_and_activate: bool = True,
    ) -> None:
        self.truncated = 0
        super().__init__(server_address, services, bind_and_activate)

    def server_bind(self) -> None:
        super().server_bind()
        sockets.report_destination(self.socket)

    def _next_request(self) -> tuple[Datagram, Any]:
        data, ancillary, flags, address = sockets.receive(self.socket, self.max_packet_size)
        if flags & sockets.MSG_TRUNC:
            self.truncated += 1
            raise OSError(errno.EMSGSIZE, "a datagram larger than max_packet_size was dropped")
        return Datagram(data, ancillary), address

    def local_address(self, ancillary: list[tuple[int, int, bytes]]) -> Any:
        """The address that a datagram was sent to."""
        return sockets.destination(ancillary, self.server_address)


class ThreadingTCPServer(socketserver.ThreadingMixIn, TCPServer):
    """``TCPServer`` with a thread for each connection."""

    daemon_threads = True


class ThreadingUDPServer(socketserver.ThreadingMixIn, UDPServer):
    """``UDPServer`` with a thread for each call."""

    daemon_threads = True


class ThreadingUnixStreamServer(socketserver.ThreadingMixIn, UnixStreamServer):
    """``UnixStreamServer`` with a thread for each connection."""

    daemon_threads = True
