"""RPC on the classes of the standard library's ``socketserver``.

::

    class ThreadingTCPServer(socketserver.ThreadingMixIn, TCPServer): pass

    with ThreadingTCPServer(("127.0.0.1", 0), [Kv()]) as server:
        server.serve_forever()

``TCPServer``, ``UDPServer``, ``UnixStreamServer`` and ``UnixDatagramServer`` take services where
socketserver takes a handler class; ``serve_forever``, ``shutdown``, ``handle_request``,
``verify_request`` and the mix-ins are socketserver's own. ``server_close`` also ends the
connections: it lets calls in flight finish, for ``close_timeout`` seconds at most.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import socketserver
import time
from typing import Any, ClassVar

from rpcserver.errors import SystemErr
from rpcserver.rpc.call import Peer
from rpcserver.rpc.flavor import NO_AUTH
from rpcserver.rpc.invocation import FlavorsOwn, Invocation, refusal
from rpcserver.servers import sockets
from rpcserver.servers.base import RpcServer, StreamServer, forks
from rpcserver.servers.handlers import Datagram, DatagramHandler, StreamHandler
from rpcserver.servers.methods import finish

logger = logging.getLogger("rpcserver")

_VMADDR_PORT_ANY = 0xFFFFFFFF


class TCPServer(StreamServer, socketserver.TCPServer):
    """RPC over TCP. ``TCPServer((host, port), services)``; IPv6 by the form of ``host``."""

    transport = "tcp"
    handler_class = StreamHandler


class UnixStreamServer(StreamServer, socketserver.TCPServer):
    """RPC over a UNIX stream socket: ``UnixStreamServer("/path", services)``.

    The path is removed when the server closes, and a path whose server is gone is taken over.
    """

    transport = "unix"
    address_family = sockets.AF_UNIX
    handler_class = StreamHandler

    def server_bind(self) -> None:
        sockets.remove_dead(str(self.server_address), socket.SOCK_STREAM)
        super().server_bind()
        self._bound = sockets.identity(str(self.server_address))

    def server_close(self) -> None:
        super().server_close()
        if not self.shared:
            sockets.remove_own(str(self.server_address), getattr(self, "_bound", None))


class VsockServer(StreamServer, socketserver.TCPServer):
    """RPC between a virtual machine and its host (vsock(7)), where the kernel has it.

    ``VsockServer((cid, port), services)``; port 0 is any free one.
    """

    transport = "vsock"
    address_family = getattr(socket, "AF_VSOCK", -1)
    allow_reuse_address = False
    handler_class = StreamHandler

    def server_bind(self) -> None:
        cid, port = self.server_address[:2]
        self.server_address = (cid, port or _VMADDR_PORT_ANY)
        super().server_bind()


class _DatagramServer(RpcServer):
    """What the servers for datagrams share.

    Class variables: ``max_packet_size`` (bytes that a datagram may have) and ``max_in_flight``
    (calls that may wait for their methods).
    """

    max_in_flight = 256
    """each may have a thread; what is more waits in the socket's queue, or is lost there"""

    handler_class = DatagramHandler
    reply_cache = True
    """whoever hears nothing sends its call again"""
    max_packet_size: ClassVar[int] = 65_535
    allow_reuse_address = False  # two servers on one UDP port would take turns

    @property
    def truncated(self) -> int:
        """How many datagrams were larger than ``max_packet_size``, and dropped."""
        return self.reached["max_packet_size"]

    def _next_request(self) -> tuple[Datagram, Any]:
        data, ancillary, flags, address = self._receive()
        if flags & sockets.MSG_TRUNC:
            text = f"a datagram of more than {self.max_packet_size} bytes was dropped"
            self.turned_away("max_packet_size", address, text)
            raise OSError(errno.EMSGSIZE, text)
        return Datagram(data, ancillary), address

    def _receive(self) -> tuple[bytes, sockets.Ancillary, int, Any]:
        return sockets.receive(self.socket, self.max_packet_size)

    def full(self) -> bool:
        return len(self._requests) >= self.max_in_flight

    def prepare(self, request: Datagram, client_address: Any) -> bool:
        """Run ``begin`` here, in the one process and thread that has everything; what is left for
        a child or a thread is the method. What needs no method is answered at once."""
        peer = self.peer_of(request, client_address)
        now = time.monotonic()
        once = self.reply_cache
        outcome = self.engine.begin(request.data, peer, None, now, self.time_limit, once)
        if isinstance(outcome, FlavorsOwn) and forks(self):
            outcome = finish(outcome)  # what it remembers is for later calls
        if isinstance(outcome, Invocation):
            request.invocation = outcome
            return True
        if outcome is not None:
            self.send_reply(outcome, request.ancillary, client_address)
        return False

    def abandon(self, request: Datagram) -> None:
        if request.invocation is not None:
            request.invocation.abandon()

    def peer_of(self, request: Datagram, client_address: Any) -> Peer:
        local = sockets.destination(request.ancillary, self.server_address)
        return Peer(self.transport, client_address, local, *sockets.sender(request.ancillary))

    def send_reply(self, reply: bytes, ancillary: sockets.Ancillary, client_address: Any) -> None:
        """Send a reply from the address that the call came to."""
        try:
            sockets.send_from(self.socket, reply, ancillary, client_address)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                logger.debug("%s: %s", client_address, error)
                return
            logger.error(
                "%s: a reply of %d bytes fits into no datagram", client_address, len(reply)
            )
            reply = refusal(int.from_bytes(reply[:4]), NO_AUTH, SystemErr())
            sockets.send_from(self.socket, reply, ancillary, client_address)


class UDPServer(_DatagramServer, socketserver.UDPServer):
    """RPC over UDP. ``UDPServer((host, port), services)``; IPv6 by the form of ``host``.

    Class variable: ``sticky``, whether all datagrams of a client go to the same one of several
    processes, for which each has a socket of its own.
    """

    transport = "udp"
    sticky = False

    def server_bind(self) -> None:
        if self.sticky:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def set_aside(self) -> None:
        """Keep the port for other processes' sockets, and take nothing from them any more."""
        self.socket.connect(self.socket.getsockname())  # it hears nobody but itself

    def share(self) -> None:
        if self.sticky:
            self._owner = os.getpid()
            self.own_socket()
        else:
            super().share()

    def prepare_socket(self) -> None:
        super().prepare_socket()
        if sockets.is_wildcard(str(self.server_address[0])):  # else there is one answer
            sockets.report_destination(self.socket)


class UnixDatagramServer(_DatagramServer, socketserver.UDPServer):
    """RPC over a UNIX datagram socket: ``UnixDatagramServer("/path", services)``.

    A caller whose socket has no name cannot be answered, so its calls are dropped.
    """

    transport = "unixgram"
    address_family = sockets.AF_UNIX
    max_packet_size = 256 << 10

    def server_bind(self) -> None:
        sockets.remove_dead(str(self.server_address), socket.SOCK_DGRAM)
        super().server_bind()
        self._bound = sockets.identity(str(self.server_address))

    def prepare_socket(self) -> None:
        super().prepare_socket()
        sockets.report_sender(self.socket)

    def _next_request(self) -> tuple[Datagram, Any]:
        request, address = super()._next_request()
        if not address:
            logger.debug("%s: a datagram from a socket without a name", self.server_address)
            raise OSError(errno.EDESTADDRREQ, "nobody to answer")
        return request, address

    def server_close(self) -> None:
        super().server_close()
        if not self.shared:
            sockets.remove_own(str(self.server_address), getattr(self, "_bound", None))


class ThreadingTCPServer(socketserver.ThreadingMixIn, TCPServer):
    """``TCPServer`` with a thread for each connection."""

    daemon_threads = True


class ThreadingVsockServer(socketserver.ThreadingMixIn, VsockServer):
    """``VsockServer`` with a thread for each connection."""

    daemon_threads = True


class ThreadingUDPServer(socketserver.ThreadingMixIn, UDPServer):
    """``UDPServer`` with a thread for each call."""

    daemon_threads = True


class ThreadingUnixStreamServer(socketserver.ThreadingMixIn, UnixStreamServer):
    """``UnixStreamServer`` with a thread for each connection."""

    daemon_threads = True


class ThreadingUnixDatagramServer(socketserver.ThreadingMixIn, UnixDatagramServer):
    """``UnixDatagramServer`` with a thread for each call."""

    daemon_threads = True


if hasattr(os, "fork"):

    class ForkingTCPServer(socketserver.ForkingMixIn, TCPServer):
        """``TCPServer`` with a process for each connection."""

    class ForkingVsockServer(socketserver.ForkingMixIn, VsockServer):
        """``VsockServer`` with a process for each connection."""

    class ForkingUDPServer(socketserver.ForkingMixIn, UDPServer):
        """``UDPServer`` with a process for each call's method."""

    class ForkingUnixStreamServer(socketserver.ForkingMixIn, UnixStreamServer):
        """``UnixStreamServer`` with a process for each connection."""

    class ForkingUnixDatagramServer(socketserver.ForkingMixIn, UnixDatagramServer):
        """``UnixDatagramServer`` with a process for each call's method."""
