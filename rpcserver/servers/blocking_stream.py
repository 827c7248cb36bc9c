"""A connection of a server whose threads wait: whoever waits for something on it reads for all."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from rpcserver.errors import NotReached, RecordError
from rpcserver.rpc.record import frame
from rpcserver.servers import sockets
from rpcserver.servers.stream import MAX_AHEAD, LimitError, Stream


class BlockingStream(Stream):
    """Its handler calls ``records``; a method that calls back reads while it waits."""

    reads_while_waiting = True

    def __init__(self, server: Any, request: socket.socket, client_address: Any) -> None:
        super().__init__(server, request, client_address)
        self._turn = threading.Condition()
        self._sending = threading.Lock()
        self._reading = False
        self._at_end = False
        self._calls: deque[bytes] = deque()  # that came while a caller read
        self._waiter = sockets.Waiter(request)

    def switch(self, wire: Any) -> None:
        super().switch(wire)
        self._waiter = sockets.Waiter(wire)

    def records(self) -> Iterable[bytes] | None:
        """The records that are there, once there are any; ``None`` at the end of the stream.

        Raises what ``read`` does, and ``LimitError`` if none come in time.
        """
        with self._turn:
            while self._reading and not self._calls:
                self._turn.wait()
            if self._calls:
                calls = list(self._calls)
                self._calls.clear()
                return calls
            if self.broken is not None:
                raise self.broken
            if self._at_end:
                return None
            self._reading = True
        try:
            while True:
                self._await_data()
                try:
                    records = self.read()
                except BlockingIOError:
                    continue
                # All at once: a method may read on while the others still wait.
                return records if records is None else self.calls_in(records)
        finally:
            with self._turn:
                self._reading = False
                self._turn.notify_all()

    def _await_data(self) -> None:
        """Wait for something to read; urgent bytes go to the server's hook."""
        while True:
            name, deadline = self.expires()
            readable, urgent = self._waiter.readable(max(0.0, deadline - time.monotonic()))
            if urgent:
                for data in sockets.urgent(self.request):
                    self.server.handle_out_of_band(self.request, self.client_address, data)
            if readable:
                return
            if not urgent:
                raise self.expired(name)

    def send(self, data: bytes) -> None:
        """Send, whoever else does. Raises ``LimitError`` if it is not taken in time."""
        with self._sending:
            if not sockets.Waiter(self.wire).send_all(data, self.server.write_timeout):
                raise self.not_taken()

    # --- calls of the server ------------------------------------------------------------------

    def send_message(self, message: bytes) -> None:
        """As ``callback.End`` has it; so are the others."""
        try:
            self.send(frame(message))
        except (OSError, LimitError) as error:
            raise NotReached(f"{self.peer}: {error}") from error

    def check_waiting(self) -> None:
        pass

    def wait_for(self, answered: Future[None], until: float) -> None:
        waiter = sockets.Waiter(self.wire)
        with self._turn:
            while not answered.done() and (left := until - time.monotonic()) > 0:
                if self._reading:
                    self._turn.wait(left)
                    continue
                self._reading = True
                self._turn.release()
                try:
                    self._read_for_all(waiter, left)
                finally:
                    self._turn.acquire()
                    self._reading = False
                    self._turn.notify_all()

    def _read_for_all(self, waiter: sockets.Waiter, seconds: float) -> None:
        """Read once; replies go to their callers, and calls wait for the handler."""
        assert self.back is not None
        try:
            if self.broken is not None or self._at_end:
                self.back.lost()
            elif waiter.readable(seconds)[0]:
                records = self.read()
                if records is None:
                    self._at_end = True
                    self.back.lost()
                    return
                self._calls.extend(self.calls_in(records))
                if len(self._calls) > MAX_AHEAD:
                    text = f"{len(self._calls)} calls came while a method waited for the client"
                    raise LimitError("MAX_AHEAD", text)
        except BlockingIOError:
            pass
        except (OSError, RecordError, LimitError) as error:
            self.broken = error
            self.back.lost()
