"""A connection in a multiplexed server's table, with its partially finished requests."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from typing import Any

from rpcserver.errors import NotReached, RecordError, UsageError
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.message import is_call
from rpcserver.rpc.plain import Ran
from rpcserver.rpc.record import frame
from rpcserver.servers.executor import Later
from rpcserver.servers.loop import TURN
from rpcserver.servers.outgoing import Outgoing
from rpcserver.servers.stream import MAX_AHEAD, LimitError, Stream
from rpcserver.xdr.codec import native

Exchange: Any = native("Exchange")


class MultiplexedStream(Stream):
    """A connection in the table: what has been read and not yet answered, what is not yet sent."""

    reads_while_waiting = False

    def __init__(self, server: Any, request: Any, client_address: Any) -> None:
        super().__init__(server, request, client_address, server.spare)
        self._thread = threading.get_ident()
        # There may be calls among what was read; there was one since all was answered.
        self._unanswered = self._any_record = False
        self._ahead: deque[bytes] = deque()  # some of them, when more had to be read
        self._out = Outgoing(request, server.loop, self._go_on, self._broken)
        self._in_flight = 0
        self._reading = True
        self._at_end = self._closed = False  # nothing more is read; nor done
        self._exchange: Any = self._new_exchange(server.plain_calls())
        server.loop.add_reader(request, self._exchange or self._readable)
        server.urgent.add(self)

    def _new_exchange(self, plain: Any) -> Any:
        """What does all that a plain event of a bare socket needs."""
        if Exchange is None or type(self.request) is not socket.socket:
            return None
        number = self.request.fileno()
        return Exchange(plain, number, self.server.scratch, self.about, self._readable)

    def check(self, now: float) -> None:
        """Close the connection if it is at the end of its time, or busy when the server closes."""
        if self._exchange is not None:
            self._since = max(self._since, self._exchange.since)
        if self.server.closing:
            self._watch()
            if self._closed:
                return
        if self._out.waits:
            if now >= self._out.since + self.server.write_timeout:
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
        self._exchange = None  # which holds this
        self._out.drop()
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
        if self._out.queued >= self.server.max_queued:
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
            self._out.put(data)
            self._go_on()

    # --- events -------------------------------------------------------------------------------

    def _readable(self, done: Any = None) -> None:
        """There is something to read; or ``done`` is what ``Exchange`` did, and could not."""
        reader, server = self._reader, self.server
        try:
            if isinstance(done, OSError):
                raise done
            if done is not None:
                count, start, replies, ran = done
                reader.room(server.scratch)
                reader.start = start
                self._out.put(replies)
            elif self._unanswered:  # this is for the replies among what comes
                self._read_ahead()
                return
            else:
                count, ran = self.wire.recv_into(reader.room(server.scratch)), None
            if count:
                reader.filled(count)
                self._answer(ran)
                server.grown(count + self._out.queued)
            else:
                reader.keep()
                self._end()
        except BlockingIOError:
            reader.keep()
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)

    def _read_ahead(self) -> None:
        """Read though there are calls that wait: a method waits for a reply that may be behind
        them."""
        self._ahead += self.calls_in(self._reader.all())
        if (records := self.read()) is None:
            self._end()
        else:
            self._ahead += self.calls_in(records)
            self._answer()

    def _answer(self, ran: Ran | None = None) -> None:
        """Answer what was read, as far as the peer takes the replies and the limits allow.

        ``ran``: the method of the last plain call has run."""
        until = time.monotonic() + TURN
        self._thread = threading.get_ident()
        self._unanswered = True
        while not self._full:
            record = None
            if ran is None:
                record, ran = self._take(until)
            if record is None and ran is None:
                self.answered(self._any_record)
                self._unanswered = self._any_record = False
                break
            self._any_record = True
            invocation = self._begin(record) if ran is None else self.server.engine.resume(ran)
            ran = None
            if invocation is not None:
                self._run(invocation)
            if time.monotonic() > until:
                self.server.loop.call_soon_threadsafe(self._go_on)
                break
        self._reader.keep()
        self._out.flush()
        self._watch()

    def _take(self, until: float) -> tuple[Any, Ran | None]:
        """Answer the plain calls that are next. Then a call that is none, or what came out of the
        last one's method; nothing if there is no more."""
        if self._ahead:
            return self._ahead.popleft(), None
        reader, ran = self._reader, None
        if reader.whole and reader.start < reader.end:
            before = reader.start
            reader.start, replies, ran = self.server.plain_calls().answer(
                reader.buffer, before, reader.end, self.about, until
            )
            self._any_record = self._any_record or reader.start != before
            self._out.put(replies)
        return (None, ran) if ran is not None else (self._next(), None)

    def _begin(self, record: Any) -> Invocation | None:
        """The invocation of a call, if it is not answered at once."""
        engine, plain = self.server.engine, self.server.plain_calls()
        outcome = plain.answer_one(record, self.about, True)  # a large one may be plain
        if not isinstance(record, bytes):  # its memory is the next large one's, or the method's
            if outcome is None:
                record = record.take()
            else:
                self.server.spare[:] = [record]
        if isinstance(outcome, tuple):
            invocation: Invocation = engine.resume(outcome)
            return invocation
        if outcome is None:
            reply = self.begin(record, time.monotonic())
            if isinstance(reply, Invocation):
                return reply
            outcome = b"" if reply is None else frame(reply)
        self._out.put(outcome)
        return None

    def _run(self, invocation: Invocation) -> None:
        reply = self.server.methods.start(invocation, self._done, self.server)
        if isinstance(reply, Later):
            self._in_flight += 1
        elif reply is not None:
            self._out.put(frame(reply))

    def _next(self) -> Any:
        """The next call that was read, if there is one: ``bytes``, or a large one's block."""
        if self.broken is not None:
            raise self.broken
        while (record := self._reader.next()) is not None:
            if self.back is None or is_call(memoryview(record)):
                return record
            self.back.received(bytes(record))
        return None

    def _go_on(self) -> None:
        if self._closed:
            return
        try:
            if self._unanswered:
                self._reader.again()
                self._answer()
            else:
                self._out.flush()
                self._watch()
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)

    @property
    def _full(self) -> bool:
        return bool(self.server.full_for(self._in_flight, self._out.queued))

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
            self._out.put(frame(reply))
        self._go_on()

    def _watch(self) -> None:
        """Read on, or not, as the limits say; close what has nothing left to do."""
        if self.server.closing and not self._unanswered and self.between_records:
            self._stop_reading()  # a busy client would never come to an end
        busy = self._unanswered or self._out.waits or self._at_end
        if self._exchange is not None:
            self._exchange.clear = not busy and self.between_records
            self._exchange.about = self.about
        if self._at_end:
            if not (self._in_flight or self._out.waits or self._unanswered):
                self.close()
            return
        wanted = (not self._unanswered and not self._full) or self._awaits_replies
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self.server.loop.add_reader(self.request, self._exchange or self._readable)
            else:
                self.server.loop.remove_reader(self.request)

    def _end(self) -> None:
        """Nothing more comes: finish what is there."""
        if self.back is not None:
            self.back.lost()
        self._stop_reading()
        self._out.flush()
        self._watch()

    def _stop_reading(self) -> None:
        self._at_end = True
        self.server.loop.remove_reader(self.request)

    def _broken(self, error: Exception) -> None:
        if isinstance(error, RecordError):
            self.report(error)
            self._unanswered = False
            self._ahead.clear()
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
