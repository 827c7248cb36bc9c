"""Multiplexing: one thread, many connections, each with many calls in flight.

``class MultiplexingTCPServer(MultiplexingMixIn, TCPServer): pass``. One loop may drive any number
of such servers, and others beside them; see ``rpcserver.serve``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from rpcserver.rpc.record import SCRATCH
from rpcserver.servers import sockets
from rpcserver.servers.base import RpcServer
from rpcserver.servers.blocking import (
    TCPServer,
    UnixDatagramServer,
    UnixStreamServer,
    VsockServer,
)
from rpcserver.servers.executor import Later, Methods
from rpcserver.servers.handlers import Datagram
from rpcserver.servers.held import relieve
from rpcserver.servers.loop import POLL, TURN, EventLoop, Loop
from rpcserver.servers.multiplexed import MultiplexedStream


class MultiplexingMixIn(RpcServer):
    """Put first, as ``ThreadingMixIn`` is.

    Class variables: ``executor``, what makes the ``concurrent.futures.Executor`` for methods
    marked as blocking (default: threads); ``max_in_flight`` (calls of a connection, or of all
    datagrams, that may wait for their methods) and ``max_queued`` (bytes of replies that a
    connection has not taken): at either, nothing more is read until it is less. ``max_calls``
    (calls of all that may wait for their methods) and ``start_timeout`` (seconds until one has
    begun): over either, a call is answered SYSTEM_ERR, and a datagram is not answered.
    ``max_calls_bytes`` (bytes of those calls): at that, each connection has one call at a time.
    ``max_held`` (bytes that all connections have of calls that are not whole and of replies that
    are not taken): over it, connections of the host that has the most are closed.
    """

    methods: Methods
    scratch: memoryview
    spare: list[Any]
    urgent: sockets.UrgentWatch
    stream_class: Callable[..., MultiplexedStream] = MultiplexedStream
    executor: Callable[[], Executor] | None = None
    max_in_flight = 256
    """what one client may have waiting in front of the others' calls"""
    max_queued = 1 << 20
    """a window of a fast network; beyond, the client is what is slow"""
    max_calls = 4096
    """of a tenth of a second each, 32 threads are through with them before clients give up"""
    max_calls_bytes = 64 << 20
    """sixteen of the largest"""
    max_held = 256 << 20
    """sixty-four of the largest on their way"""
    start_timeout = 20.0
    """a client gives up after 25 seconds, as a rule: what begins later is done for nobody"""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.streams: set[MultiplexedStream] = set()
        self._own_loop: Loop | None = None
        self._paused_until: float | None = None
        self._swept = 0.0
        self._grown = 0
        self._stop = False
        self._stopped = threading.Event()
        self._stopped.set()
        super().__init__(*args, **options)

    # --- its loop -----------------------------------------------------------------------------

    def attach(self, loop: EventLoop, methods: Methods) -> None:
        self.loop, self.methods = loop, methods
        self.scratch = memoryview(bytearray(SCRATCH))
        self.spare = []
        self.urgent = sockets.UrgentWatch(loop)
        self._listen(loop)

    def _listen(self, loop: EventLoop) -> None:
        """Have the loop say when there are requests."""
        loop.add_reader(self.socket, self._acceptable)

    def detach(self) -> None:
        super().detach()
        self._paused_until = None

    def serve_forever(self, poll_interval: float = POLL) -> None:
        loop = self._loop_of_its_own()
        self._stopped.clear()
        try:
            loop.run(lambda: self._stop, self.service_actions, poll_interval)
        finally:
            self._stop = False
            self._stopped.set()

    def shutdown(self) -> None:
        self._stop = True
        if self._own_loop is not None:
            self._own_loop.wake()
        self._stopped.wait()

    def handle_request(self) -> None:
        """Serve what there is until one more request was taken, or ``timeout`` is over."""
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        before = self.taken

        def enough() -> bool:
            return self.taken != before or (deadline is not None and time.monotonic() > deadline)

        poll = POLL if self.timeout is None else min(POLL, self.timeout)
        self._loop_of_its_own().run(enough, self.service_actions, poll)
        if self.taken == before:
            self.handle_timeout()

    def _loop_of_its_own(self) -> Loop:
        if self._own_loop is None:
            self._own_loop = Loop()
            self.attach(self._own_loop, Methods(self._own_loop, self.executor))
        return self._own_loop

    def service_actions(self) -> None:
        super().service_actions()
        now = time.monotonic()
        if self._paused_until is not None and now >= self._paused_until:
            self.resume()
        if self.closing or now - self._swept >= POLL:
            self._swept = now
            self._relieve()
            for stream in list(self.streams):
                stream.check(now)
            self.methods.refuse_late(now)

    # --- requests -----------------------------------------------------------------------------

    def _acceptable(self) -> None:
        until = time.monotonic() + TURN
        while self._paused_until is None and self._handle_request_noblock():
            if time.monotonic() > until:
                return

    def process_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, Datagram):
            self._answer(request, client_address)
        else:
            self.streams.add(self.stream_class(self, request, client_address))

    def _answer(self: Any, request: Datagram, client_address: Any) -> None:
        def done(reply: bytes | None) -> None:
            if reply is not None:
                self.send_reply(reply, request.ancillary, client_address)
            self.shutdown_request(request)
            self.resume()

        assert request.invocation is not None
        reply = self.methods.start(request.invocation, done, self)
        if not isinstance(reply, Later):
            done(reply)

    def full_for(self, calls: int, queued: int) -> bool:
        """Whether nothing more is read from a connection that has so many calls in flight, and
        bytes of replies that it has not taken."""
        many = calls >= self.max_in_flight or queued >= self.max_queued
        return many or (calls > 0 and self.methods.bytes >= self.max_calls_bytes)

    def grown(self, size: int) -> None:
        """A connection has taken so many bytes, or has them to send."""
        self._grown += size
        if self._grown > self.max_held // 8:
            self._relieve()

    def _relieve(self) -> None:
        self._grown = 0
        relieve(self)

    def pause(self, seconds: float) -> None:
        super().detach()
        self._paused_until = time.monotonic() + seconds

    def resume(self) -> None:
        """Take requests again, if none were taken."""
        if self._paused_until is not None and self.loop is not None and not self.closing:
            self._listen(self.loop)
        self._paused_until = None

    # --- its end ------------------------------------------------------------------------------

    def wait_for_requests(self, deadline: float) -> None:
        if self._own_loop is not None:
            self._own_loop.run(
                lambda: not self._requests or time.monotonic() >= deadline,
                self.service_actions,
                poll=0.05,
            )
        for stream in list(self.streams):
            stream.close()

    def server_close(self) -> None:
        self.detach()
        super().server_close()
        if self.loop is not None:
            self.urgent.close()
        if self._own_loop is not None:
            self.methods.close()
            self._own_loop.close()
            self._own_loop = None
        self.loop = None


class MultiplexingTCPServer(MultiplexingMixIn, TCPServer):
    """``TCPServer`` that serves all its connections in one thread."""


class MultiplexingVsockServer(MultiplexingMixIn, VsockServer):
    """``VsockServer`` that serves all its connections in one thread."""


class MultiplexingUnixStreamServer(MultiplexingMixIn, UnixStreamServer):
    """``UnixStreamServer`` that serves all its connections in one thread."""


class MultiplexingUnixDatagramServer(MultiplexingMixIn, UnixDatagramServer):
    """``UnixDatagramServer`` whose blocking methods run in an executor."""
