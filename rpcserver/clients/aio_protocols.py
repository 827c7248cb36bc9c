"""Between asyncio's transports and the channels of ``clients.aio_base``."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rpcserver.clients.resending import not_reached
from rpcserver.errors import BadReply, NotReached, RecordError
from rpcserver.rpc.record import SCRATCH, RecordReader

if TYPE_CHECKING:
    from rpcserver.clients.aio_base import AsyncChannel


class Records(asyncio.BufferedProtocol):
    """Bytes of a stream, sorted into records for a channel."""

    def __init__(
        self, channel: AsyncChannel, writable: asyncio.Event, reader: RecordReader
    ) -> None:
        self._channel = channel
        self._writable = writable
        self._reader = reader
        self._looks = 0
        self._transport: Any = None
        self._scratch = memoryview(bytearray(SCRATCH))
        self._large: memoryview | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        self._large = self._reader.large_room()
        return self._reader.room(self._scratch) if self._large is None else self._large

    def buffer_updated(self, nbytes: int) -> None:
        if self._large is not None:
            with suppress(BufferError):  # who read has perhaps not let go of it
                self._large.release()
        self._reader.filled(nbytes)
        try:
            self._channel.take(self._reader, self._called)
            self._looks = self._channel.received_unmarked(self._reader, self._looks)
        except RecordError as error:
            self._channel.lost(self._transport, BadReply(f"{self._channel.endpoint}: {error}"))

    def _called(self, record: bytes) -> None:
        self._channel.called(self._transport, record)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        reason = "the server closed the connection" if exc is None else _reason(exc)
        self._channel.lost(self._transport, NotReached(f"{self._channel.endpoint}: {reason}"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


class Datagrams(asyncio.DatagramProtocol):
    """Datagrams for a channel."""

    def __init__(self, channel: AsyncChannel) -> None:
        self._channel = channel
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._channel.received(self._transport, data)

    def error_received(self, exc: OSError) -> None:  # type: ignore[override]
        self._channel.lost(self._transport, not_reached(self._channel.endpoint, exc))


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error
