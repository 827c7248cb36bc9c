"""How a client starts TLS on a connection that it has opened (RFC 9289)."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

from rpcserver.auth.tls import agrees, start_call
from rpcserver.auth.tls_session import Session
from rpcserver.auth.tls_settings import TlsClient
from rpcserver.clients.tls_socket import TlsSocket
from rpcserver.errors import NotReached, TlsError
from rpcserver.rpc.calls import random_word
from rpcserver.rpc.record import frame

if TYPE_CHECKING:
    from rpcserver.rpcbind.netid import Endpoint

_MAX_REPLY = 1024
"""Bytes of the reply to the AUTH_TLS call: a verifier has 400 at most."""

PATIENCE = 5.0
"""Seconds of silence after the AUTH_TLS call that say that a server has no TLS."""


class NoTlsError(Exception):
    """The server has no TLS; ``usable``: the connection can be gone on with."""

    def __init__(self, text: str, usable: bool) -> None:
        super().__init__(text)
        self.usable = usable


class Starter:
    """Starts TLS for calls of a version of a program, as ``settings`` say; ``host`` is what the
    user called the server. Raises ``UsageError`` for files that are missing or broken."""

    def __init__(self, settings: TlsClient, prog: int, vers: int, host: str | None = None) -> None:
        self.settings = settings
        self._context = settings.made()
        self._prog, self._vers = prog, vers
        self._host = host

    def start(self, sock: socket.socket, endpoint: Endpoint, timeout: float) -> TlsSocket:
        """TLS over ``sock``, which does not block.

        Raises ``NoTlsError``, ``TlsError`` (the reason starts with the endpoint), and
        ``NotReached``.
        """
        deadline = time.monotonic() + timeout
        self._ask(sock, min(deadline, time.monotonic() + min(PATIENCE, timeout / 2)))
        name = self.settings.name or self._host or endpoint.host or "localhost"
        try:
            session = Session(
                self._context,
                server=False,
                name=name,
                alpn_required=self.settings.alpn_required,
            )
            wire = TlsSocket(sock, session)
            wire.handshake_until(deadline)
        except TlsError as error:
            raise TlsError(f"{endpoint}: {error}") from error
        except TimeoutError as error:
            raise TlsError(f"{endpoint}: {error}") from None
        except OSError as error:
            reason = error.strerror or error
            raise NotReached(f"{endpoint}: {reason} (TLS handshake)") from error
        return wire

    def _ask(self, sock: socket.socket, until: float) -> None:
        """Make the AUTH_TLS call. Raises ``NoTlsError``."""
        xid = random_word()
        try:
            sock.send(frame(start_call(xid, self._prog, self._vers)))
            reply = _record(sock, until)
        except TimeoutError:
            raise NoTlsError("the server does not answer to AUTH_TLS", False) from None
        except OSError as error:
            text = f"the server ends the connection at AUTH_TLS ({error.strerror or error})"
            raise NoTlsError(text, False) from error
        if not agrees(reply, xid):
            raise NoTlsError("the server does not know AUTH_TLS", reply[:4] == xid.to_bytes(4))


def _record(sock: socket.socket, until: float) -> bytes:
    """One record, and not a byte more: what is behind it is TLS. Raises ``OSError``."""
    record, last = b"", False
    while not last:
        mark = int.from_bytes(_exactly(sock, 4, until))
        last, size = bool(mark >> 31), mark & 0x7FFF_FFFF
        if len(record) + size > _MAX_REPLY or (not size and not last):
            raise OSError("an answer that is none")
        record += _exactly(sock, size, until)
    return record


def _exactly(sock: socket.socket, count: int, until: float) -> bytes:
    data = b""
    while len(data) < count:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(max(until - time.monotonic(), 0) * 1000):
            raise TimeoutError
        try:
            more = sock.recv(count - len(data))
        except BlockingIOError:
            continue
        if not more:
            raise OSError("closed")
        data += more
    return data
