"""A multiplexed server for UDP: a batch of datagrams for each look at the socket."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from rpcserver.rpc.plain import About
from rpcserver.servers import sockets
from rpcserver.servers.blocking import UDPServer
from rpcserver.servers.handlers import Datagram
from rpcserver.servers.loop import EventLoop
from rpcserver.servers.multiplex import MultiplexingMixIn
from rpcserver.xdr.codec import native

logger = logging.getLogger("rpcserver")

_Datagrams: Any = native("Datagrams")

_HOOKS = ("get_request", "verify_request", "prepare", "process_request", "peer_of")
"""who has these of their own sees each datagram"""


class MultiplexingUDPServer(MultiplexingMixIn, UDPServer):
    """``UDPServer`` whose blocking methods run in an executor."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._datagrams: Any = None
        self._left: deque[Any] = deque()  # read, and for others to look at
        super().__init__(*args, **options)

    def _listen(self, loop: EventLoop) -> None:
        base = MultiplexingUDPServer
        if _Datagrams and all(getattr(type(self), hook) is getattr(base, hook) for hook in _HOOKS):
            if self._datagrams is None:
                number, size = self.socket.fileno(), self.max_packet_size
                self._datagrams = _Datagrams(
                    self.plain_calls(), number, size, self._about, self._others
                )
            loop.add_reader(self.socket, self._datagrams)
        else:
            super()._listen(loop)

    @property
    def taken(self) -> int:
        return self._taken + (self._datagrams.taken if self._datagrams is not None else 0)

    def _about(self, address: Any, ancillary: sockets.Ancillary) -> About:
        return About(self.peer_of(Datagram(b"", ancillary), address), None, self.time_limit)

    def _others(self, left: list[Any] | OSError) -> None:
        """Look at the datagrams that are not plain, or whose methods are not done."""
        if isinstance(left, OSError):  # of a reply that was sent before
            logger.debug("%s: %s", self.server_address, left)
            return
        for each in left:
            if isinstance(each[4], bytes):  # a reply that could not be sent
                self.send_reply(each[4], each[1], each[3])
            else:
                self._left.append(each)
        self._go_on()

    def _go_on(self) -> None:
        while self._left and self._handle_request_noblock():
            pass
        if not self._left and self.full():
            self._handle_request_noblock()  # which pauses

    def resume(self) -> None:
        super().resume()
        if self._left and self.loop is not None and not self.closing:
            self.loop.call_soon_threadsafe(self._go_on)

    def _next_request(self) -> tuple[Datagram, Any]:
        ran = self._left[0][4] if self._left else None
        request, address = super()._next_request()
        if ran is not None:
            request.invocation = self.engine.resume(ran)
        return request, address

    def _receive(self) -> tuple[bytes, sockets.Ancillary, int, Any]:
        return self._left.popleft()[:4] if self._left else super()._receive()

    def prepare(self, request: Datagram, client_address: Any) -> bool:
        return request.invocation is not None or super().prepare(request, client_address)
