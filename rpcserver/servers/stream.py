"""One connection, whoever waits for it: what has arrived, and how long it may take."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rpcserver.errors import RecordError
from rpcserver.rpc.call import Connection
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.message import is_call
from rpcserver.rpc.plain import About
from rpcserver.rpc.record import RecordReader
from rpcserver.rpc.version import Channel

if TYPE_CHECKING:
    from rpcserver.servers.callback import BackChannel

_MAKING = threading.Lock()

logger = logging.getLogger("rpcserver")

MAX_AHEAD = 4096
"""Calls that are read, and not begun, because behind them is the reply that a method waits for."""

RETIRED_IDLE = 5.0
"""Seconds that a connection may be silent when its server has retired."""

_READ_SIZE = 64 << 10  # more at once would have the kernel map and unmap memory each time

_MISSING = {"idle_timeout": "no call", "record_timeout": "no whole call"}


class LimitError(Exception):
    """A connection came to ``limit``, the name of a setting."""

    def __init__(self, limit: str, text: str) -> None:
        super().__init__(text)
        self.limit = limit


class Stream:
    """The calls that come over a connection."""

    def __init__(
        self,
        server: Any,
        request: socket.socket,
        client_address: Any,
        spare: list[Any] | None = None,
    ) -> None:
        self.server = server
        self.request = request
        self.wire: Any = request  # what is read and written; TLS over it, if that has started
        self.client_address = client_address
        self.peer = server.peer_of(request, client_address)
        self.connection = Connection(self._way_back)
        self.about = About(self.peer, self.connection, server.time_limit)
        self.back: BackChannel | None = None
        self.broken: Exception | None = None
        self._reader = RecordReader(server.max_record, server.max_fragments, spare)
        self._since = time.monotonic()  # the last call, or the beginning of one that is not whole
        self._between = True
        self._begun = self._since

    def _way_back(self, asynchronous: bool) -> Channel:
        """What the server calls through over this connection."""
        from rpcserver.servers.callback import BackChannel  # with asyncio, which few servers need

        with _MAKING:
            if self.back is None:
                end: Any = self
                self.back = BackChannel(end)
                self.connection.on_close(self.back.lost)
        return self.back.asynchronous if asynchronous else self.back

    def switch(self, wire: Any) -> None:
        """Read and write ``wire`` from now on."""
        self.wire = wire

    @property
    def between_records(self) -> bool:
        """Whether no call has begun to arrive that is not whole."""
        return self._reader.between_records

    @property
    def held(self) -> int:
        """Bytes of memory that a call takes that is not whole."""
        return self._reader.held

    def read(self) -> Iterable[bytes] | None:
        """The records that are whole now, or ``None`` at the end of the stream.

        Raises ``BlockingIOError`` if nothing is there, ``OSError`` if the connection is lost, and
        ``RecordError``, also when the records are taken.
        """
        room = self._reader.large_room()
        if room is None:
            data = self.wire.recv(_READ_SIZE)
            return self._reader.feed(data) if data else None
        with room:
            count = self.wire.recv_into(room)
        if not count:
            return None
        self._reader.filled(count)
        return self._reader.all()

    def begin(self, record: bytes, now: float) -> bytes | Invocation | None:
        """What the engine makes of a call. A credential that lasts is not looked at again."""
        engine, about = self.server.engine, self.about
        outcome: bytes | Invocation | None = engine.begin(
            record, about.peer, about.connection, now, about.time_limit, self.server.reply_cache
        )
        if isinstance(outcome, Invocation) and (known := outcome.known):
            self.about = self.about._replace(credential=outcome.call.credential, known=known)
        return outcome

    def calls_in(self, records: Iterable[bytes]) -> list[bytes]:
        """The calls among ``records``; replies are given to who waits for them.

        ``broken`` is what was wrong with the record behind them, to be raised when they are
        answered.
        """
        calls: list[bytes] = []
        try:
            for record in records:
                if self.back is None or is_call(record):
                    calls.append(record)
                else:
                    self.back.received(record)
        except RecordError as error:
            self.broken = error
        return calls

    def answered(self, any_record: bool) -> None:
        """All that was read is answered; ``any_record``: there were calls in it."""
        between = self._reader.between_records
        if any_record or between or self._between:
            self._since = time.monotonic()
        self._between = between

    def expires(self) -> tuple[str, float]:
        """When the next call must have come (``time.monotonic``), and the limit that says so."""
        name = "idle_timeout" if self._between else "record_timeout"
        seconds = getattr(self.server, name)
        if self._between and self.server.retiring:
            seconds = min(seconds, RETIRED_IDLE)
        return name, self._since + seconds

    def expired(self, name: str) -> LimitError:
        """What is to be said then."""
        return LimitError(name, f"{_MISSING[name]} for {getattr(self.server, name):g} seconds")

    def not_taken(self) -> LimitError:
        """What is to be said of a peer that does not read."""
        seconds = self.server.write_timeout
        return LimitError("write_timeout", f"replies were not taken for {seconds:g} seconds")

    def report(self, error: LimitError | RecordError | OSError) -> None:
        """Say why the connection ends."""
        if isinstance(error, OSError) or self.server.retiring:
            logger.debug("%s: %s", self.peer, error)
        else:
            self.server.limit_reached(error.limit, self.peer, f"{error}; closed")

    def closed(self) -> None:
        """Give back the memory of what is not whole, and call what wants to know that the
        connection is gone."""
        self._reader = RecordReader(0, 0)  # this itself may be there for longer
        for hook in self.connection.closed():
            try:
                hook()
            except Exception:
                logger.exception("a hook for the end of a connection failed")
        logger.debug("%s: gone after %.3f s", self.peer, time.monotonic() - self._begun)
