"""Request handlers of the blocking servers: a connection, a datagram."""

from __future__ import annotations

import logging
import os
import socketserver
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rpcserver.errors import RecordError
from rpcserver.rpc.call import Connection
from rpcserver.rpc.dispatch import Invocation
from rpcserver.rpc.record import RecordReader, frame
from rpcserver.servers import sockets
from rpcserver.servers.child import InChild
from rpcserver.servers.methods import answer, finish

logger = logging.getLogger("rpcserver")

_READ_SIZE = 64 << 10
_BATCH = 64 << 10  # replies that wait for one another before they are sent


class _LimitError(Exception):
    """A connection came to the limit ``name``."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class StreamHandler(socketserver.BaseRequestHandler):
    """One connection: reads what is there, answers every complete record in it, sends once."""

    server: Any

    def setup(self) -> None:
        self.peer = sockets.peer_of(self.request, self.server.transport, self.client_address)
        self.connection = Connection()
        self._waiter = sockets.Waiter(self.request)
        self._replies: list[bytes] = []
        self._size = 0

    def handle(self) -> None:
        logger.debug("%s: connected", self.peer)
        try:
            self._serve()
        except RecordError as error:
            self.server.limit_reached("max_record", self.peer, f"{error}; closed")
        except _LimitError as error:
            self.server.limit_reached(error.name, self.peer, f"{error}; closed")
        except OSError as error:
            logger.debug("%s: %s", self.peer, error)
        except _HandedOverError:
            return
        logger.debug("%s: gone", self.peer)

    def finish(self) -> None:
        run_hooks(self.connection)

    def _serve(self) -> None:
        server = self.server
        reader = RecordReader(server.max_record, server.max_fragments)
        begun: float | None = None  # when the record began that is not complete
        while self._wait(begun):
            records: Iterable[bytes]
            try:
                room = reader.room()
                if room is None:
                    data = self.request.recv(_READ_SIZE)
                    count, records = len(data), reader.feed(data)
                else:
                    with room:
                        count = self.request.recv_into(room)
                    records = reader.filled(count)
            except BlockingIOError:
                continue
            if not count:
                break
            answered = self._answer_all(records)
            if reader.between_records:
                begun = None
                if server.closing:
                    break
            elif answered or begun is None:
                begun = time.monotonic()

    def _wait(self, begun: float | None) -> bool:
        """Wait for something to read; urgent bytes go to the server's hook."""
        server = self.server
        while True:
            if begun is None:
                name, left = "idle_timeout", server.idle_timeout
            else:
                name, left = "record_timeout", begun + server.record_timeout - time.monotonic()
            readable, urgent = self._waiter.readable(max(0.0, left))
            if urgent:
                for data in sockets.urgent(self.request):
                    server.handle_out_of_band(self.request, self.client_address, data)
            if readable:
                return True
            if not urgent:
                missing = "no call" if begun is None else "no whole call"
                raise _LimitError(name, f"{missing} for {getattr(server, name):g} seconds")

    def _answer_all(self, records: Iterable[bytes]) -> bool:
        """Answer the calls; whether there were any."""
        answered = False
        engine, limit = self.server.engine, self.server.time_limit
        try:
            for record in records:
                answered = True
                reply = answer(engine, record, self.peer, self.connection, limit, self._in_child)
                if reply is not None:
                    self._replies.append(frame(reply))
                    self._size += len(reply)
                if self._size > _BATCH:
                    self._flush()
        except _HandedOverError:
            raise
        except BaseException:  # the record behind them is over a limit
            self._flush()
            raise
        self._flush()
        return answered

    def _flush(self) -> None:
        if not self._replies:
            return
        data = b"".join(self._replies)
        self._replies, self._size = [], 0
        seconds = self.server.write_timeout
        if not self._waiter.send_all(data, seconds):
            raise _LimitError("write_timeout", f"replies were not taken for {seconds:g} seconds")

    def _in_child(self, work: InChild) -> Any:
        self._flush()
        if not _in_this_process(self.server):
            self.server.close_request(self.request)
            self.connection = Connection()  # its hooks are the child's
            raise _HandedOverError
        return work.run()


class _HandedOverError(BaseException):
    """A child of ours goes on."""


def _in_this_process(server: Any) -> bool:
    """Whether this process is the one to do what a method left to a child."""
    return not server.one_at_a_time or not hasattr(os, "fork") or server.children.fork()


@dataclass(eq=False, slots=True)
class Datagram:
    """What socketserver calls the request of a datagram server; ``invocation`` is what ``begin``
    made of it."""

    data: bytes
    ancillary: list[tuple[int, int, bytes]]
    invocation: Invocation | None = None


class DatagramHandler(socketserver.BaseRequestHandler):
    """One datagram: a call, and the reply from the address it was sent to."""

    server: Any
    request: Datagram

    def handle(self) -> None:
        assert self.request.invocation is not None
        try:
            reply = finish(self.request.invocation, self._in_child)
        except _HandedOverError:
            return
        if reply is not None:
            self.server.send_reply(reply, self.request.ancillary, self.client_address)

    def _in_child(self, work: InChild) -> Any:
        if not _in_this_process(self.server):
            raise _HandedOverError
        return work.run()


def run_hooks(connection: Connection) -> None:
    """Call what wants to know that a connection is gone."""
    for hook in connection.closed():
        try:
            hook()
        except Exception:
            logger.exception("a hook for the end of a connection failed")
