"""asyncio's channels: calls over TCP, UDP, UNIX and vsock sockets.

The names and what they mean are those of ``clients.blocking``.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rpcserver.auth.base import client_flavor
from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.clients.aio_base import AsyncChannel
from rpcserver.clients.aio_protocols import Datagrams, Records
from rpcserver.clients.base import CONNECT_TIMEOUT
from rpcserver.clients.opening import Opener, check_size
from rpcserver.clients.resending import FIRST_RETRY, LAST_RETRY, pauses
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall, framed
from rpcserver.rpc.record import MAX_RECORD, RecordReader, frame
from rpcserver.rpcbind.netid import Endpoint

if TYPE_CHECKING:
    from rpcserver.auth.tls_peer import TlsInfo
    from rpcserver.clients.tls_socket import TlsSocket

MAX_IN_FLIGHT = 1024
"""Calls of a channel that wait for their replies; the next one waits for one of them. A server
has limits, too, and a thousand hide any network's latency."""

_KEPT = 64 << 10  # bytes of calls that are kept to be sent together


class AsyncStreamChannel(AsyncChannel):
    """Calls over TCP, a UNIX stream socket or vsock, with record marking."""

    max_record = MAX_RECORD

    @property
    def tls(self) -> TlsInfo | None:
        """What is known of the TLS of the connection, if it is open and has any."""
        session = getattr(self._transport, "session", None)
        return None if session is None else session.info

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: Any) -> Any:
        self._writable = asyncio.Event()
        self._writable.set()
        self._kept: list[bytes] = []
        self._kept_size = 0
        reader = RecordReader(self.max_record)
        if not isinstance(sock, socket.socket):  # the opener has started TLS
            return await self._wrap_tls(loop, sock, reader)
        transport, _ = await loop.create_connection(
            lambda: Records(self, self._writable, reader), sock=sock
        )
        return transport

    async def _wrap_tls(
        self, loop: asyncio.AbstractEventLoop, wire: TlsSocket, reader: RecordReader
    ) -> Any:
        from rpcserver.clients.aio_tls import TlsRecords

        _, records = await loop.create_connection(
            lambda: TlsRecords(self, self._writable, reader, wire), sock=wire.sock
        )
        return records

    def _part(self, pending: PendingCall) -> bytes:
        return framed(pending)

    def _framed(self, message: bytes) -> bytes:
        return frame(message)

    async def _send(self, transport: Any, part: bytes) -> None:
        await self._writable.wait()  # whoever is cancelled here has sent nothing yet
        if transport is not self._transport:
            return  # it was lost meanwhile, and the call with it
        if not self._kept and len(self._waiting) <= 1:
            transport.write(part)
            return
        # Other tasks call in this moment: what they have goes out in one piece.
        if not self._kept:
            asyncio.get_running_loop().call_soon(self._flush)
        self._kept.append(part)
        self._kept_size += len(part)
        if self._kept_size > _KEPT:
            self._flush()

    def _flush(self) -> None:
        parts, self._kept, self._kept_size = self._kept, [], 0
        transport = self._transport
        # On some Pythons a transport that is closing would have its file's number watched for
        # ever (gh-136234), and the next connection with that number would fail.
        if parts and transport is not None and not transport.is_closing():
            transport.writelines(parts)


class AsyncDatagramChannel(AsyncChannel):
    """Calls over UDP or UNIX datagrams, sent again after 0.5, 1, 2 ... seconds until answered.

    A procedure may so run more than once. Only the address that was asked is listened to.
    """

    async def _wrap(self, loop: asyncio.AbstractEventLoop, sock: Any) -> Any:
        transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(self), sock=sock)
        return transport

    async def _exchange(
        self, transport: Any, pending: PendingCall, answered: asyncio.Future[None]
    ) -> None:
        for pause in pauses(FIRST_RETRY, LAST_RETRY):
            await self._send(transport, self._sealed(pending))
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(answered), pause)
                return

    def _check(self, pending: PendingCall) -> None:
        check_size(self.endpoint, pending.message)

    def _part(self, pending: PendingCall) -> bytes:
        return pending.message

    def _framed(self, message: bytes) -> bytes:
        return message

    async def _send(self, transport: Any, part: bytes) -> None:
        transport.sendto(part)


async def open_channel(
    endpoint: Endpoint | Opener,
    *,
    flavor: ClientFlavor | None = None,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    privileged_port: bool = False,
    keep_alive: float | None = KEEP_ALIVE,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> AsyncChannel:
    """A channel to ``endpoint``, open; a generated ``AsyncClient`` class is called with it.

    The arguments are those of ``clients.blocking.open_channel``; ``max_in_flight``: calls that
    wait for their replies at the same time. Raises ``NotReached``.
    """
    if connect_timeout is None:
        connect_timeout = min(CONNECT_TIMEOUT, timeout)
    if isinstance(endpoint, Endpoint):
        endpoint = Opener(endpoint, privileged_port, keep_alive)
    kind = AsyncStreamChannel if endpoint.endpoint.stream else AsyncDatagramChannel
    flavor = flavor or client_flavor(None)
    channel = kind(endpoint, flavor, timeout, connect_timeout, max_in_flight)
    await channel.connect()
    return channel
