"""TLS between asyncio's transport and the records of a channel."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rpcserver.clients.aio_protocols import Records
from rpcserver.clients.resending import not_reached
from rpcserver.errors import TlsError
from rpcserver.rpc.record import RecordReader

if TYPE_CHECKING:
    from rpcserver.clients.aio_base import AsyncChannel
    from rpcserver.clients.tls_socket import TlsSocket

_FEED = 32 << 10  # bytes that the session is given at once


class TlsRecords(Records):
    """``Records`` of a connection on which TLS has started; to the channel it is the transport,
    too: what it writes is encrypted."""

    def __init__(
        self,
        channel: AsyncChannel,
        writable: asyncio.Event,
        reader: RecordReader,
        wire: TlsSocket,
    ) -> None:
        super().__init__(channel, writable, reader)
        self._wire = wire
        self.session = wire.session
        self._sealed = memoryview(bytearray(_FEED))
        self._under: Any = None

    def connection_made(self, transport: Any) -> None:
        self._under, self._transport = transport, self
        asyncio.get_running_loop().call_soon(self.buffer_updated, 0)  # came with the handshake

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._sealed

    def buffer_updated(self, nbytes: int) -> None:
        session = self.session
        try:
            session.feed(self._sealed[:nbytes])
            while session.pending and not self._under.is_closing():
                if not (count := session.read_into(super().get_buffer(-1))):
                    break
                super().buffer_updated(count)
            self._flush()
        except TlsError as error:
            self._flush()
            self._channel.lost(self, not_reached(self._channel.endpoint, error))
        if session.ended and not self._under.is_closing():
            self._under.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            try:
                self._wire.look_why()  # its socket is still open
            except OSError as error:
                exc = error
        if isinstance(exc, TlsError):
            self._channel.lost(self, not_reached(self._channel.endpoint, exc))
        super().connection_lost(exc)

    def write(self, data: bytes) -> None:
        """As a transport has it."""
        if not self._under.is_closing():
            self.session.write(data)
            self._flush()

    def writelines(self, parts: Sequence[bytes]) -> None:
        """As a transport has it."""
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        """As a transport has it."""
        return bool(self._under.is_closing())

    def abort(self) -> None:
        """As a transport has it, and before that the end of TLS."""
        if not self._under.is_closing():
            self.session.goodbye()
            self._flush()
            # What the kernel has taken is sent; what it has not, nobody waits for.
            self._under.abort()

    def _flush(self) -> None:
        if (more := self.session.outgoing()) and not self._under.is_closing():
            self._under.write(more)
