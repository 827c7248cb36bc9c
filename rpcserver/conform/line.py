"""A connection to what is probed: bytes go out as they are, and replies are kept by their xid."""

from __future__ import annotations

import time
from typing import Any

from rpcserver.clients.opening import Opener
from rpcserver.conform.probe import marked
from rpcserver.rpcbind.netid import Endpoint

PAUSE = 0.0005
"""Seconds between pieces that are to come one by one"""

_MAX_REPLY = 1 << 20


class Line:
    """``closed``: the server closed it; ``tls``: TLS has started; ``strays`` are replies with
    xids that are in nobody's ``known``."""

    def __init__(self, place: Endpoint, timeout: float) -> None:
        self.closed = False
        self.tls = False
        self.known: set[int] = set()
        self.replies: dict[int, list[bytes]] = {}
        self.strays: list[bytes] = []
        self._stream = place.stream
        self._timeout = timeout
        self._buffer = b""
        self._fragments = b""
        self._sock: Any = Opener(place, keep_alive=None).open(timeout)

    def send(self, pieces: tuple[bytes, ...], raw: bool = False) -> None:
        """Send the pieces: bytes of a stream, or messages."""
        for number, piece in enumerate(pieces):
            if number and raw:
                time.sleep(PAUSE)
            try:
                self._sock.settimeout(self._timeout)
                if self._stream:
                    self._sock.sendall(piece if raw else marked(piece))
                else:
                    self._sock.send(piece)
            except TimeoutError:
                return  # nobody reads it, so nobody will answer
            except OSError:
                return  # what came before that is still to be read

    def receive(self, seconds: float) -> bool:
        """Wait for something to come: whether anything did."""
        try:
            self._sock.settimeout(max(seconds, 0.001))
            data = self._sock.recv(1 << 18)
        except TimeoutError:
            return False
        except OSError:
            self.closed = True
            return False
        if not self._stream:
            self._reply(data)
        elif data:
            self._buffer += data
            self._records()
        else:
            self.closed = True
        return True

    def start_tls(self) -> None:
        """TLS from here on, with whoever it is."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["sunrpc"])
        self.tls = True
        try:
            self._sock.settimeout(self._timeout)
            self._sock = context.wrap_socket(self._sock)
        except OSError:
            self.closed = True

    def close(self) -> None:
        """Hang up, without a word."""
        self._sock.close()

    def _records(self) -> None:
        while len(self._buffer) >= 4:
            mark = int.from_bytes(self._buffer[:4])
            size = mark & 0x7FFF_FFFF
            if size > _MAX_REPLY:
                self.closed = True  # these are no replies
                return
            if len(self._buffer) < 4 + size:
                return
            self._fragments += self._buffer[4 : 4 + size]
            self._buffer = self._buffer[4 + size :]
            if mark >> 31:
                self._reply(self._fragments)
                self._fragments = b""

    def _reply(self, message: bytes) -> None:
        xid = int.from_bytes(message[:4])
        if len(message) >= 4 and xid in self.known:
            self.replies.setdefault(xid, []).append(message)
        else:
            self.strays.append(message)
