"""A connection in a multiplexed server's table, with its partially finished requests."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from typing import Any

from rpcserver.errors import NotReached, RecordError, UsageError
from rpcserver.rpc.dispatch import Invocation
from rpcserver.rpc.record import frame
from rpcserver.servers.executor import Later
from rpcserver.servers.loop import TURN
from rpcserver.servers.stream import BATCH, MAX_AHEAD, LimitError, Stream


class MultiplexedStream(Stream):
    """A connection in the table: what has been read and not yet answered, what is not yet sent."""

    reads_while_waiting = False

    def __init__(self, server: Any, request: Any, client_address: Any) -> None:
        super().__init__(server, request, client_address)
        self._records: Iterator[bytes] | None = None
        self._ahead: list[bytes] = []  # records behind those, read for a reply among them
        self._any_record = False
        self._batch: list[bytes] = []
        self._size = 0  # bytes in it
        self._out: deque[memoryview] = deque()  # batches that the kernel did not take
        self._queued = 0  # bytes in it
        self._refused = 0.0  # when it did not
        self._in_flight = 0
        self._reading = True
        self._at_end = False  # nothing more is read
        self._closed = False
        self._thread = threading.get_ident()
        server.loop.add_reader(request, self._readable)
        server.urgent.add(self)

    def check(self, now: float) -> None:
        """Close the connection if it is at the end of its time."""
        if self._out:
            if now >= self._refused + self.server.write_timeout:
                self._fail(self.not_taken())
        elif not self._in_flight and not self._at_end:
            name, deadline = self.expires()
            if now >= deadline:
                self._fail(self.expired(name))

    def close(self) -> None:
        """Forget it, whatever is still to be done."""
        if self._closed:
            return
        self._closed = True
        server = self.server
        server.streams.discard(self)
        server.urgent.remove(self)
        server.loop.remove_reader(self.request)
        server.loop.remove_writer(self.request)
        self.closed()
        server.shutdown_request(self.request)
        server.resume()  # there is a descriptor, now

    # --- calls of the server ------------------------------------------------------------------

    def send_message(self, message: bytes) -> None:
        """As ``callback.End`` has it; so are the others."""
        if self._queued >= self.server.max_queued:
            raise NotReached(f"{self.peer}: takes no more")
        self.server.loop.call_soon_threadsafe(self._send, frame(message))

    def check_waiting(self) -> None:
        if threading.get_ident() == self._thread:
            from rpcserver.servers.callback import IN_THE_LOOP

            raise UsageError(IN_THE_LOOP)  # it is what would read the reply

    def wait_for(self, answered: Future[None], until: float) -> None:
        wait([answered], until - time.monotonic())

    def _send(self, data: bytes) -> None:
        if not self._closed:
            self._batch.append(data)
            self._go_on()

    # --- events -------------------------------------------------------------------------------

    def _readable(self) -> None:
        self._thread = threading.get_ident()
        try:
            if self._records is not None:  # this is for the replies among what comes
                self._records = iter(self.calls_in(self._records))
            records = self.read()
            if records is None:
                self._end()
                return
            if self.back is not None:
                records = self.calls_in(records)
            if self._records is not None:
                self._ahead += records
            else:
                self._records = iter(records)
            self._answer()
        except BlockingIOError:
            pass
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)

    def _answer(self) -> None:
        """Answer what was read, as far as the peer takes the replies and the limits allow."""
        server, batch = self.server, self._batch
        begin, start = server.engine.begin, server.methods.start
        until = None
        while self._records is not None and not self._full:
            record = next(self._records, None)
            if record is None and self._ahead:
                self._records = iter(self._ahead)
                self._ahead = []
                continue
            if record is None and self.broken is not None:
                raise self.broken
            if record is None:
                self._records = None
                self.answered(self._any_record)
                self._any_record = False
                break
            self._any_record = True
            now = time.monotonic()
            until = until or now + TURN
            reply = begin(record, self.peer, self.connection, now, server.time_limit)
            if isinstance(reply, Invocation):
                reply = start(reply, self._done)
                if isinstance(reply, Later):
                    self._in_flight += 1
                    continue
            if reply is not None:
                batch.append(frame(reply))
                self._size += len(reply)
                if self._size >= BATCH:
                    self._flush()
            if now > until:
                server.loop.call_soon_threadsafe(self._go_on)
                break
        self._flush()
        self._watch()

    def _go_on(self) -> None:
        if self._closed:
            return
        try:
            self._answer()
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)

    @property
    def _full(self) -> bool:
        server = self.server
        return bool(self._in_flight >= server.max_in_flight or self._queued >= server.max_queued)

    @property
    def _awaits_replies(self) -> bool:
        """Whether a method waits for a reply of the client, which may be behind further calls."""
        return self.back is not None and self.back.waits and len(self._ahead) < MAX_AHEAD

    def _done(self, reply: bytes | None) -> None:
        self._in_flight -= 1
        if self._closed:
            return
        if self._between:
            self._since = time.monotonic()  # it was not silent while it waited
        if reply is not None:
            self._batch.append(frame(reply))
        self._go_on()

    def _flush(self) -> None:
        if not self._batch:
            return
        data = memoryview(self._batch[0] if len(self._batch) == 1 else b"".join(self._batch))
        self._batch.clear()
        self._size = 0
        if not self._out:
            try:
                data = data[self.request.send(data) :]
            except BlockingIOError:
                pass
            if not data:
                return
            self._refused = time.monotonic()
            self.server.loop.add_writer(self.request, self._writable)
        self._out.append(data)
        self._queued += len(data)

    def _writable(self) -> None:
        try:
            while self._out:
                sent = self.request.send(self._out[0])
                self._queued -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                    return
                self._out.popleft()
                self._refused = time.monotonic()
            self.server.loop.remove_writer(self.request)
            self._answer()
        except BlockingIOError:
            pass
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)

    def _watch(self) -> None:
        """Read on, or not, as the limits say; close what has nothing left to do."""
        if self.server.closing and self._records is None and self.between_records:
            self._stop_reading()  # a busy client would never come to an end
        if self._at_end:
            if not (self._in_flight or self._out or self._records is not None):
                self.close()
            return
        wanted = (self._records is None and not self._full) or self._awaits_replies
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.server.loop.add_reader(self.request, self._readable)
            else:
                self.server.loop.remove_reader(self.request)

    def _end(self) -> None:
        """Nothing more comes: finish what is there."""
        if self.back is not None:
            self.back.lost()
        self._stop_reading()
        self._flush()
        self._watch()

    def _stop_reading(self) -> None:
        self._at_end = True
        self.server.loop.remove_reader(self.request)

    def _broken(self, error: Exception) -> None:
        if isinstance(error, RecordError):
            self.report(error)
            self._records, self._ahead = None, []
            try:
                self._end()
            except OSError:
                self.close()
        elif isinstance(error, OSError):
            self._fail(error)
        else:
            self.server.handle_error(self.request, self.client_address)
            self.close()

    def _fail(self, error: LimitError | OSError) -> None:
        self.report(error)
        self.close()
