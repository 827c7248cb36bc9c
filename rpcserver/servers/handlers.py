"""Request handlers of the blocking servers: a connection, a datagram."""

from __future__ import annotations

import os
import socketserver
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rpcserver.errors import RecordError
from rpcserver.rpc.call import Connection
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.plain import BATCH
from rpcserver.rpc.record import frame
from rpcserver.servers.blocking_stream import BlockingStream
from rpcserver.servers.child import InChild
from rpcserver.servers.methods import finish
from rpcserver.servers.stream import LimitError


class StreamHandler(socketserver.BaseRequestHandler):
    """One connection: reads what is there, answers every complete record in it, sends once."""

    server: Any
    stream_class = BlockingStream

    def setup(self) -> None:
        self.stream = self.stream_class(self.server, self.request, self.client_address)
        self._replies: list[bytes] = []
        self._size = 0

    def handle(self) -> None:
        try:
            self._serve()
        except (RecordError, LimitError, OSError) as error:
            self.stream.report(error)
        except _HandedOverError:
            pass

    def finish(self) -> None:
        self.stream.closed()

    def _serve(self) -> None:
        stream = self.stream
        while True:
            records = stream.records()
            if records is None:
                break
            stream.answered(self._answer_all(records))
            if self.server.closing and stream.between_records:
                break

    def _answer_all(self, records: Iterable[bytes]) -> bool:
        """Answer the calls; whether there were any."""
        answered = False
        try:
            for record in records:
                answered = True
                parts = self._reply(record)
                self._replies += parts
                self._size += sum(map(len, parts))
                if self._size > BATCH:
                    self._flush()
        except RecordError:  # the record behind them is over a limit
            self._flush()
            raise
        self._flush()
        return answered

    def _reply(self, record: bytes) -> list[bytes]:
        """What goes on the stream for a call."""
        engine, stream = self.server.engine, self.stream
        outcome = self.server.plain_calls().answer_one(record, stream.about, True)
        if outcome is None:
            outcome = stream.begin(record, time.monotonic())
        elif isinstance(outcome, tuple):
            outcome = engine.resume(outcome)
        else:
            return outcome if isinstance(outcome, list) else [outcome]
        reply = finish(outcome, self._in_child) if isinstance(outcome, Invocation) else outcome
        return [] if reply is None else [frame(reply)]

    def _flush(self) -> None:
        if not self._replies:
            return
        data = b"".join(self._replies)
        self._replies, self._size = [], 0
        self.stream.send(data)

    def _in_child(self, work: InChild) -> Any:
        self._flush()
        if not _in_this_process(self.server):
            self.server.close_request(self.request)
            self.stream.connection = Connection()  # its hooks are the child's
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
