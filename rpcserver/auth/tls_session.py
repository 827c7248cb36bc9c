"""One side of a TLS connection, without the connection: bytes in, bytes out."""

from __future__ import annotations

import ssl

from rpcserver.auth.tls_peer import TlsInfo
from rpcserver.errors import TlsError

ALPN = "sunrpc"
"""What RPC is called in TLS's negotiation (RFC 9289 section 8.2)."""

MAX_HANDSHAKE = 128 << 10
"""Bytes that a peer may send before the handshake is complete: certificates are a few KiB."""

MAX_BARREN = 128 << 10
"""Bytes that a peer may send without a byte of content among them: a record of content is at most
16 KiB; without end come only key updates, empty records and the like."""

MAX_UNSENT = 64 << 10
"""Bytes of TLS's own answers that a peer may leave unread."""


class Session:
    """TLS 1.3 and nothing older, as ``context`` says; ``name`` is the server's, for a client.

    ``alpn_required``: a peer that does not speak of ``sunrpc`` is turned away. ``own_cert``: the
    server's certificate. All methods raise ``TlsError``; what is in ``outgoing`` then tells the
    peer why.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server: bool,
        name: str | None = None,
        alpn_required: bool = False,
        own_cert: bytes | None = None,
    ) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._alpn_required = alpn_required
        self._own_cert = own_cert
        self._fed = 0  # bytes since the beginning, or since there was content
        self._limit = MAX_HANDSHAKE
        try:
            self._ssl = context.wrap_bio(self._in, self._out, server, name)
        except (ValueError, ssl.SSLError) as error:  # a name that none can have
            raise TlsError(f"TLS with {name!r}: {error}") from None
        self.info: TlsInfo | None = None
        self.ended = False
        """whether the peer has said that nothing more comes"""

    @property
    def pending(self) -> bool:
        """Whether something was fed that is not yet looked at."""
        return self._in.pending > 0 or self._ssl.pending() > 0

    def feed(self, data: bytes | memoryview) -> None:
        """``data`` came from the peer."""
        self._fed += len(data)
        if self._fed > self._limit:
            kind = "in a handshake" if self.info is None else "without content"
            raise TlsError(f"TLS: {self._fed} bytes {kind}")
        self._in.write(data)

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is complete."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsError(_reason(error)) from error
        if self._ssl.version() != "TLSv1.3":
            raise TlsError(f"TLS: {self._ssl.version()} is too old, RPC wants TLS 1.3")
        if self._alpn_required and self._ssl.selected_alpn_protocol() != ALPN:
            raise TlsError(f"TLS: the other side does not speak of the protocol {ALPN} (ALPN)")
        self.info = TlsInfo(self._ssl, self._own_cert)
        self._fed, self._limit = 0, MAX_BARREN
        return True

    def read_into(self, room: memoryview) -> int:
        """Put content into ``room``: how many bytes it was, 0 if there is none by now."""
        filled = 0
        try:
            while filled < len(room) and self.pending:  # an exception costs more than to ask
                count = self._ssl.read(len(room) - filled, room[filled:])
                if not count:
                    self.ended = True
                    break
                filled += int(count)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            if not filled:
                raise TlsError(_reason(error)) from error
        if filled:
            self._fed = 0
        if self._out.pending > MAX_UNSENT:
            raise TlsError("TLS: answers are not taken")
        return filled

    def read(self) -> bytes:
        """All the content that there is by now."""
        room = memoryview(bytearray(64 << 10))
        parts = []
        while count := self.read_into(room):
            parts.append(bytes(room[:count]))
        return b"".join(parts)

    def write(self, data: bytes | memoryview) -> None:
        """Have ``data`` go out."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._ssl.write(view) :]
        except ssl.SSLError as error:
            raise TlsError(_reason(error)) from error

    def outgoing(self) -> bytes:
        """What is to be sent."""
        return self._out.read()

    def goodbye(self) -> None:
        """Tell the peer, with what is then in ``outgoing``, that nothing more comes."""
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # it has not said so, too, or there never was a handshake


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not accepted: {error.verify_message}"
    reason = (error.reason or str(error)).replace("_", " ").lower()
    _, alert, said = reason.partition("alert ")
    return f"TLS: the other side refuses: {said}" if alert else f"TLS: {reason}"
