"""What a multiplexed connection has to send."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rpcserver.rpc.plain import BATCH
from rpcserver.servers import sockets


class Outgoing:
    """A batch of replies that is put together, and what the peer has not yet taken.

    ``taken()`` is called in the loop when all that waited for the peer has gone out,
    ``broken(error)`` when it never will.
    """

    __slots__ = (
        "_batch",
        "_broken",
        "_loop",
        "_parts",
        "_size",
        "_socket",
        "_taken",
        "queued",
        "since",
    )

    def __init__(
        self,
        connection: socket.socket,
        loop: Any,
        taken: Callable[[], object],
        broken: Callable[[Exception], object],
    ) -> None:
        self._socket = connection
        self._loop = loop
        self._taken = taken
        self._broken = broken
        self._batch: list[bytes] = []
        self._size = 0  # bytes in it
        self._parts: deque[memoryview] = deque()  # what the kernel did not take
        self.queued = 0
        """bytes that the peer has not taken"""
        self.since = 0.0
        """when it last took some (``time.monotonic``)"""

    def switch(self, connection: Any) -> None:
        """Send over ``connection`` from now on; nothing waits."""
        self._socket = connection

    @property
    def waits(self) -> bool:
        """Whether something waits for the peer."""
        return bool(self._parts)

    def drop(self) -> None:
        """Give back the memory of what is not sent."""
        self._batch, self._size = [], 0
        self._parts.clear()
        self.queued = 0

    def put(self, data: bytes | list[bytes]) -> None:
        """Have ``data``, or parts of it, sent: with ``flush``, or when there is a batch."""
        if isinstance(data, list):
            self._batch += data
            self._size += sum(map(len, data))
        elif data:
            self._batch.append(data)
            self._size += len(data)
        if self._size >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Send the batch, or have it wait for what is before it. Raises ``OSError``."""
        batch, size, waits = self._batch, self._size, self.waits
        if not batch:
            return
        self._batch, self._size = [], 0
        if size >= BATCH:
            self._parts.extend(map(memoryview, batch))
        else:  # a copy costs less than to have the kernel gather it
            data = b"".join(batch)
            sent = 0 if waits else self._try(data)
            if sent == size:  # as nearly always
                return
            self._parts.append(memoryview(data)[sent:])
            size -= sent
        self.queued += size
        if not waits:
            self.since = time.monotonic()
            self._send()
            if self.waits:
                self._loop.add_writer(self._socket, self._writable)

    def _try(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def _send(self) -> None:
        parts = self._parts
        try:
            while parts:
                sent = sockets.send_parts(self._socket, parts)
                self.queued -= sent
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.popleft())
                if sent:
                    parts[0] = parts[0][sent:]
        except BlockingIOError:
            pass

    def _writable(self) -> None:
        before = self.queued
        try:
            self._send()
        except Exception as error:  # noqa: BLE001  whose connection it is knows what to do
            self._broken(error)
            return
        if self.queued != before:
            self.since = time.monotonic()
        if not self.waits:
            self._loop.remove_writer(self._socket)
            self._taken()
