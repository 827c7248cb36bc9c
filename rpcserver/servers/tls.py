"""TLS on the server's side (RFC 9289), for streams of every kind.

``class SecureServer(TLSMixIn, ThreadingTCPServer)``, or ``serve(tls="require", ...)``.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rpcserver.auth.tls import StartingConnection, TlsEngine
from rpcserver.auth.tls_settings import SERVER_MODES, TlsServer
from rpcserver.clients.tls_socket import CutOffError, TlsSocket
from rpcserver.errors import RecordError, TlsError, UsageError
from rpcserver.rpc.plain import About
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.base import StreamServer
from rpcserver.servers.blocking_stream import BlockingStream
from rpcserver.servers.handlers import StreamHandler
from rpcserver.servers.inherited import transport_of
from rpcserver.servers.multiplexed import MultiplexedStream
from rpcserver.servers.stream import LimitError, Stream

if TYPE_CHECKING:
    import ssl

logger = logging.getLogger("rpcserver")

STREAMS = ("tcp", "unix", "vsock")
"""The transports that TLS can be on: RFC 9289 has DTLS for datagrams, and ``ssl`` has none."""

BEHIND = "bytes in the clear behind the AUTH_TLS call"


def only_streams(
    listen: Sequence[str | socket.socket], mode: str, default: bool
) -> Sequence[str | socket.socket]:
    """Where a server with TLS listens. If it requires TLS, there are no datagrams in ``listen``:
    they are left out of what is the ``default``, else it raises ``UsageError``."""
    if mode != "require":
        return listen
    streams = [place for place in listen if _transport(place) in STREAMS]
    if len(streams) != len(listen) and not default:
        wrong = next(place for place in listen if place not in streams)
        raise UsageError(
            f"{wrong}: datagrams have no TLS, so each of their calls would be refused: listen for"
            " streams alone, or only offer TLS"
        )
    return streams


def _transport(place: str | socket.socket) -> str:
    return parse_url(place).transport if isinstance(place, str) else transport_of(place)


class _SecureStream(Stream):
    """A connection on which TLS may start."""

    def _prepare(self) -> None:
        self.connection = self._start_on = StartingConnection(self._way_back)
        self.about = About(self.peer, self.connection, self.server.time_limit)

    @property
    def starts(self) -> bool:
        """Whether TLS is agreed on, and has not begun."""
        return self._start_on.agreed and self.wire is self.request

    def _secured(self) -> TlsSocket:
        """TLS over the connection, before its handshake."""
        return TlsSocket(self.request, self.server.tls_server.session())

    def _complete(self, wire: TlsSocket) -> None:
        """The handshake is done."""
        self.connection.tls = wire.session.info
        # What was known of a credential in the clear need not hold.
        self.about = About(self.peer, self.connection, self.server.time_limit)

    def _too_slow(self) -> LimitError:
        seconds = self.server.tls_timeout
        return LimitError("tls_timeout", f"no TLS handshake in {seconds:g} seconds")

    def report(self, error: LimitError | RecordError | OSError) -> None:
        if isinstance(error, TlsError) or (isinstance(error, CutOffError) and error.early):
            self.server.turned_away("tls", self.peer, f"{error}; closed")
        elif isinstance(error, CutOffError):
            logger.info("%s: %s", self.peer, error)
        else:
            super().report(error)

    def goodbye(self) -> None:
        """Tell the client that nothing more comes."""
        if self.connection.tls is not None:
            self.wire.goodbye()


class _SecureBlockingStream(_SecureStream, BlockingStream):
    """The blocking kinds'."""

    def __init__(self, server: Any, request: socket.socket, client_address: Any) -> None:
        super().__init__(server, request, client_address)
        self._prepare()

    def start_tls(self, more: bool) -> None:
        """The handshake; ``more``: there are calls in the clear behind AUTH_TLS."""
        if more or self._calls or not self.between_records:
            raise TlsError(BEHIND)
        wire = self._secured()
        with self._sending:
            try:
                wire.handshake_until(time.monotonic() + self.server.tls_timeout)
            except TimeoutError:
                raise self._too_slow() from None
            self._complete(wire)
            self.switch(wire)


class SecureHandler(StreamHandler):
    """``StreamHandler`` for connections on which TLS may start."""

    stream: _SecureBlockingStream
    stream_class = _SecureBlockingStream

    def finish(self) -> None:
        if self.stream.connection.tls is not None:  # else it is a child's, or in the clear
            self.stream.goodbye()
        super().finish()

    def _answer_all(self, records: Iterable[bytes]) -> bool:
        calls = list(records)
        stream = self.stream

        def before_tls() -> Iterable[bytes]:
            while calls and not stream.starts:
                yield calls.pop(0)

        answered = super()._answer_all(before_tls())
        if stream.starts:
            stream.start_tls(bool(calls))
        return answered


class SecureMultiplexedStream(_SecureStream, MultiplexedStream):
    """The loop's: the handshake goes on whenever something of it has come."""

    def __init__(self, server: Any, request: Any, client_address: Any) -> None:
        self._shaking_until: float | None = None
        self._again = False
        super().__init__(server, request, client_address)
        self._prepare()

    def _new_exchange(self, plain: Any) -> Any:
        # It reads and writes the connection itself, so it is for those in the clear alone.
        return None if self.server.engine.required else super()._new_exchange(plain.clear)

    def check(self, now: float) -> None:
        if self._shaking_until is None:
            super().check(now)
        elif now >= self._shaking_until:
            self._fail(self._too_slow())

    def close(self) -> None:
        if not self._closed:
            self.goodbye()
        super().close()

    @property
    def _full(self) -> bool:
        return self.starts or super()._full

    def _watch(self) -> None:
        if self.starts:
            self._start()
            return
        super()._watch()
        if self.connection.tls is not None and self.wire.pending and not self._again:
            self._again = True  # what is decrypted, or can be, no poller knows of
            self.server.loop.call_soon_threadsafe(self._read_on)

    def _read_on(self) -> None:
        self._again = False
        if self._reading and not (self._at_end or self._closed):
            self._readable()

    def _start(self) -> None:
        """The reply to AUTH_TLS is out: what comes next is a handshake, or nothing."""
        behind = bool(self._ahead) or not self.between_records
        waits = self._in_flight or self._out.waits or (self.back is not None and self.back.waits)
        if behind or waits:
            self._fail(TlsError(BEHIND if behind else "AUTH_TLS while other calls are under way"))
            return
        self._exchange = None
        if self._reading:
            self.server.loop.add_reader(self.request, self._readable)
        self._unanswered = self._any_record = False
        self.answered(True)
        self._shaking_until = time.monotonic() + self.server.tls_timeout
        self.switch(self._secured())

    def switch(self, wire: Any) -> None:
        super().switch(wire)
        self._out.switch(wire)

    def _readable(self, done: Any = None) -> None:
        if self._closed:
            return
        if self._shaking_until is None:
            super()._readable(done)
            return
        try:
            done = self.wire.handshake()
            if self.wire.unsent:
                self.server.loop.add_writer(self.request, self._readable)
            else:
                self.server.loop.remove_writer(self.request)
            if done:
                self._shaking_until = None
                self._complete(self.wire)
                self._watch()
        except Exception as error:  # noqa: BLE001  handle_error has it
            self._broken(error)


class TLSMixIn(StreamServer):
    """Put first, as ``ThreadingMixIn`` is.

    Class variables: ``tls``, ``"require"`` (calls in the clear get AUTH_TOOWEAK) or ``"offer"``;
    ``tls_cert`` and ``tls_key``, files with the certificate chain and the key; ``tls_ca``, a file
    or directory with the CAs whose certificates clients are asked for, and with
    ``tls_client_cert = "optional"`` may do without; ``tls_alpn_required``, whether to turn those
    away who do not speak of ``sunrpc``; ``tls_context``, an ``ssl.SSLContext`` in place of all
    files; ``tls_timeout``, seconds that a handshake may take. Files that have changed are loaded
    again for the next handshake.
    """

    tls = "require"
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    tls_client_cert = "require"
    tls_alpn_required = False
    tls_context: ssl.SSLContext | None = None
    tls_timeout = 10.0
    """three round trips of a bad network; nobody thinks in between"""

    def __init__(self, *args: Any, **options: Any) -> None:
        if self.tls not in SERVER_MODES:
            raise UsageError(f"tls is one of {', '.join(SERVER_MODES)}, not {self.tls!r}")
        if self.socket_type != socket.SOCK_STREAM:
            raise UsageError("datagrams have no TLS here: TLSMixIn is for servers of streams")
        self.tls_server = TlsServer(
            self.tls_cert,
            self.tls_key,
            self.tls_ca,
            client_cert=self.tls_client_cert,
            alpn_required=self.tls_alpn_required,
            context=self.tls_context,
        )
        super().__init__(*args, **options)
        self.engine = TlsEngine(self.engine, self.tls == "require")

    handler_class = SecureHandler
    stream_class = SecureMultiplexedStream  # of the kinds that have a loop

    def verify_request(self, request: Any, client_address: Any) -> bool:
        self.tls_server.refresh()  # here and not in a child, which would do so for itself alone
        return super().verify_request(request, client_address)
