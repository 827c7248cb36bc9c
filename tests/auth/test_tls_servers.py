"""STARTTLS with each kind of server, spoken to by ``ssl`` and raw bytes alone (RFC 9289)."""

import logging
import os
import shutil
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from rpcserver import servers
from rpcserver.clients.tls_socket import TlsSocket
from rpcserver.errors import UsageError
from rpcserver.servers import TLSMixIn
from tests.auth.certs import Certs
from tests.auth.secure import (
    AUTH_BADCRED,
    AUTH_BADVERF,
    AUTH_REJECTEDCRED,
    AUTH_TLS,
    AUTH_TOOWEAK,
    KINDS,
    PROG,
    STARTTLS,
    RawTls,
    Who,
    WhoClient,
    address,
    closed,
    context,
    hello,
    null,
    served,
)
from tests.peers import wire
from tests.peers.process import until
from tests.servers.facts import running

every_kind = pytest.mark.parametrize("kind", KINDS)
two_kinds = pytest.mark.parametrize("kind", ["threads", "select"])


@every_kind
@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_calls_inside(kind: str, transport: str, certs: Certs, tmp_path: Path) -> None:
    listen = "tcp://127.0.0.1:0" if transport == "tcp" else f"unix://{tmp_path / 'sock'}"
    with served(kind, listen=listen, tls_cert=certs.server) as server:
        with RawTls(address(server), context(certs.ca)) as stream:
            assert stream.who() == "TLSv1.3 sunrpc False None"
            data = os.urandom(300_000)
            for proc in (2, 3):
                stream.send(wire.frame(wire.call(PROG, 1, proc, wire.opaque(data))))
                assert wire.parse_reply(stream.read_record()).results == wire.opaque(data)
            # One byte in each TLS record.
            for byte in null(proc=1):
                stream.send(bytes([byte]))
            assert b"TLSv1.3" in stream.read_record()
            assert isinstance(stream.socket, ssl.SSLSocket)
            stream.socket.unwrap()  # the server says goodbye, too
            assert stream.is_closed()


@every_kind
def test_many_calls_in_one_go(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server) as server:
        with RawTls(address(server), context(certs.ca)) as stream:
            calls = [
                wire.frame(wire.call(PROG, 1, 2, wire.opaque(b"x"), xid=n)) for n in range(3000)
            ]
            stream.send(b"".join(calls))
            assert [wire.parse_reply(stream.read_record()).xid for _ in calls] == list(range(3000))


@every_kind
def test_a_client_certificate_is_the_credential(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server, tls_ca=certs.ca) as server:
        with RawTls(address(server), context(certs.ca, certs.client)) as stream:
            for _ in range(3):
                assert stream.who() == "TLSv1.3 sunrpc True alice"
            # With a flavor that has a credential, that is it.
            stream.send(null(1, proc=1, body=wire.auth_sys(uid=7)))
            assert b"SysCredential(uid=7" in stream.read_record()
            assert stream.who() == "TLSv1.3 sunrpc True alice"


@every_kind
def test_required(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server) as server, wire.Stream(address(server)) as stream:
        undecoded = wire.frame(wire.call(PROG, 1, 2, b"no arguments"))
        for call in (null(), null(proc=1), null(1, body=wire.auth_sys()), null(99), undecoded):
            stream.send(call * 2)
            for _ in range(2):
                assert wire.parse_reply(stream.read_record()).auth_stat == AUTH_TOOWEAK
        stream.send(null(AUTH_TLS))
        assert wire.parse_reply(stream.read_record()).verf_body == STARTTLS


@every_kind
def test_offered(kind: str, certs: Certs) -> None:
    with served(kind, tls="offer", tls_cert=certs.server) as server:
        with wire.Stream(address(server)) as stream:
            stream.send(null(proc=1) * 2)
            assert b"clear" in stream.read_record()
            assert b"clear" in stream.read_record()
            # Its credential is forgotten, and the connection goes on.
            stream.send(null(1, proc=1, body=wire.auth_sys()))
            assert b"clear" in stream.read_record()
            stream.send(null(AUTH_TLS))
            assert wire.parse_reply(stream.read_record()).verf_body == STARTTLS
            stream.socket = context(certs.ca).wrap_socket(
                stream.socket, server_hostname="127.0.0.1"
            )
            stream.send(null(proc=1))
            assert b"TLSv1.3 sunrpc False None" in stream.read_record()


@every_kind
@pytest.mark.parametrize("mode", ["offer", "require"])
@pytest.mark.parametrize("more", ["a call", "half a call", "a call later"])
def test_clear_text_behind_is_never_served(
    kind: str, mode: str, more: str, certs: Certs, caplog: pytest.LogCaptureFixture
) -> None:
    injected = wire.frame(wire.call(PROG, 1, 2, wire.opaque(b"injected"), xid=666))
    with served(kind, tls=mode, tls_cert=certs.server) as server:
        with wire.Stream(address(server)) as stream:
            if more == "a call later":
                stream.send(null(AUTH_TLS))
                stream.read_record()
                stream.send(injected + hello(context(certs.ca)))
            else:
                stream.send(null(AUTH_TLS) + injected[: None if more == "a call" else 20])
            seen = bytearray()
            try:
                while data := stream.socket.recv(4096):
                    seen += data
            except ConnectionResetError:
                pass
            assert b"injected" not in seen
        with RawTls(address(server), context(certs.ca)) as stream:
            assert stream.who().startswith("TLS")
    if kind not in ("forks", "prefork"):
        lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert len(lines) == 1 and "(tls)" in lines[0].getMessage()


@every_kind
def test_a_second_auth_tls_inside_starts_nothing(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server) as server:
        with RawTls(address(server), context(certs.ca)) as stream:
            stream.send(null(AUTH_TLS) + null(proc=1))
            assert wire.parse_reply(stream.read_record()).verf_body == STARTTLS
            assert b"TLSv1.3" in stream.read_record()


@two_kinds
def test_auth_tls_that_is_none(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server) as server:
        with wire.Stream(address(server)) as stream:
            for call, stat in (
                (null(AUTH_TLS, proc=1), AUTH_BADCRED),
                (null(AUTH_TLS, body=b"body"), AUTH_BADCRED),
                (null(AUTH_TLS, verf_flavor=1), AUTH_BADVERF),
                (null(AUTH_TLS, verf_body=b"body"), AUTH_BADVERF),
            ):
                stream.send(call)
                assert wire.parse_reply(stream.read_record()).auth_stat == stat
            stream.send(null(AUTH_TLS))
            assert wire.parse_reply(stream.read_record()).verf_body == STARTTLS


@every_kind
def test_without_tls(kind: str) -> None:
    with served(kind) as server, wire.Stream(address(server)) as stream:
        stream.send(null(AUTH_TLS) + null(proc=1))
        assert wire.parse_reply(stream.read_record()).auth_stat == AUTH_REJECTEDCRED
        assert b"clear" in stream.read_record()


def refused(server: Any, wanted: str, caplog: pytest.LogCaptureFixture, made: Any) -> str:
    """What the client is told; the server says why, in one line."""
    caplog.clear()
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)) as caught:
        with RawTls(address(server), made) as stream:
            stream.who()
    until(wanted, lambda: wanted in caplog.text)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
    return str(caught.value)


@two_kinds
def test_client_certificates(kind: str, certs: Certs, caplog: pytest.LogCaptureFixture) -> None:
    for name, wanted, alert in (
        ("strange_client", "unable to get local issuer", "UNKNOWN_CA"),
        ("late_client", "certificate has expired", "CERTIFICATE_EXPIRED"),
        (None, "peer did not return a certificate", "CERTIFICATE_REQUIRED"),
    ):
        cert = name and getattr(certs, name)
        # A server for each: lines of the same kind are held back for a second.
        with served(kind, tls_cert=certs.server, tls_ca=certs.ca) as server:
            assert alert in refused(server, wanted, caplog, context(certs.ca, cert))
            with RawTls(address(server), context(certs.ca, certs.client)) as stream:
                assert stream.who().endswith("True alice")


@two_kinds
def test_optional_client_certificates(kind: str, certs: Certs) -> None:
    settings: Any = {"tls_ca": certs.ca, "tls_client_cert": "optional"}
    with served(kind, tls_cert=certs.server, **settings) as server:
        with RawTls(address(server), context(certs.ca)) as stream:
            assert stream.who() == "TLSv1.3 sunrpc False None"
        with RawTls(address(server), context(certs.ca, certs.client)) as stream:
            assert stream.who() == "TLSv1.3 sunrpc True alice"
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            with RawTls(address(server), context(certs.ca, certs.strange_client)) as stream:
                stream.who()


@two_kinds
def test_old_versions_and_alpn(kind: str, certs: Certs, caplog: pytest.LogCaptureFixture) -> None:
    old = context(certs.ca, maximum_version=ssl.TLSVersion.TLSv1_2)
    with served(kind, tls_cert=certs.server) as server:
        assert "PROTOCOL_VERSION" in refused(server, "unsupported protocol", caplog, old)
        with RawTls(address(server), ssl.create_default_context(cafile=certs.ca)) as stream:
            assert stream.who() == "TLSv1.3 None False None"
    with served(kind, tls_cert=certs.server, tls_alpn_required=True) as server:
        refused(server, "sunrpc", caplog, ssl.create_default_context(cafile=certs.ca))
        with RawTls(address(server), context(certs.ca)) as stream:
            assert stream.who() == "TLSv1.3 sunrpc False None"


def start(server: Any) -> wire.Stream:
    stream = wire.Stream(address(server))
    stream.send(null(AUTH_TLS))
    stream.read_record()
    return stream


def endless(stream: wire.Stream) -> None:
    """Handshake records, each of which is well-formed, of a message that has no end."""
    record = b"\x16\x03\x01\x40\x00"
    stream.send(record + b"\x01\xff\xff\xff" + bytes(0x3FFC))
    while True:
        stream.send(record + bytes(0x4000))


@two_kinds
@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("garbage", "http request"),
        ("half", "closed in the TLS handshake"),
        ("much", "TLS"),
        ("stall", "tls_timeout"),
    ],
)
def test_hellos(
    kind: str, what: str, wanted: str, certs: Certs, caplog: pytest.LogCaptureFixture
) -> None:
    whole = hello(context(certs.ca))
    with served(kind, tls_cert=certs.server, tls_timeout=0.5) as server:
        with start(server) as stream, RawTls(address(server), context(certs.ca)) as other:
            if what == "garbage":
                stream.send(b"GET / HTTP/1.1\r\n\r\n")
            elif what == "half":
                stream.send(whole[:100])
                stream.socket.shutdown(socket.SHUT_WR)
            elif what == "much":
                with pytest.raises(OSError):
                    endless(stream)
            else:
                stream.send(whole[:100])
            while not closed(stream):
                assert other.who().startswith("TLS"), "others are served meanwhile"
            assert other.who().startswith("TLS")
        until(wanted, lambda: wanted in caplog.text)
        assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1


@two_kinds
def test_cut_off_inside(kind: str, certs: Certs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(kind, tls_cert=certs.server) as server:
        stream = RawTls(address(server), context(certs.ca))
        assert isinstance(stream.socket, ssl.SSLSocket)
        stream.who()
        os.close(stream.socket.detach())
        until("the line", lambda: "closed without an end of TLS" in caplog.text)
        with RawTls(address(server), context(certs.ca)) as stream:
            stream.who()
            number = stream.socket.fileno()
            os.write(number, b"\x17\x03\x03\x00\x20" + bytes(32))  # what nobody has encrypted
            until("the other line", lambda: "bad record mac" in caplog.text)
            assert closed(stream)


@every_kind
def test_certificates_are_loaded_again(
    kind: str, certs: Certs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem = tmp_path / "server.pem"
    shutil.copy(certs.server, pem)

    def shown(server: Any) -> bytes | None:
        with RawTls(address(server), context(certs.ca)) as stream:
            assert isinstance(stream.socket, ssl.SSLSocket)
            stream.who()
            return stream.socket.getpeercert(binary_form=True)

    with served(kind, tls_cert=str(pem)) as server:
        first = shown(server)
        pem.write_text("nonsense")
        assert shown(server) == first, "the old one stays"
        assert shown(server) == first
        if kind != "prefork":
            assert caplog.text.count("what was loaded before is used on") == 1
        time.sleep(0.01)  # a file system's clock has ticks
        shutil.copy(certs.second, pem)
        assert shown(server) not in (None, first)


def test_as_a_mixin(certs: Certs) -> None:
    for base in ("TCPServer", "ThreadingTCPServer", "ForkingTCPServer", "MultiplexingTCPServer"):
        made: Any = type("Secure", (TLSMixIn, getattr(servers, base)), {"tls_cert": certs.server})
        with running(made(("127.0.0.1", 0), [Who()])) as place:
            import rpcserver

            with rpcserver.connect(WhoClient, place.url, tls_ca=certs.ca) as client:
                assert client.who() == "TLSv1.3 sunrpc False None"
        assert certs.server and made.one_at_a_time.fget  # it is still socketserver's


def test_settings_that_make_no_sense(certs: Certs, tmp_path: Path) -> None:
    for settings, wanted in (
        ({"tls": "require"}, "needs a certificate"),
        ({"tls": "perhaps", "tls_cert": certs.server}, "one of offer, require"),
        ({"tls_cert": str(tmp_path / "none.pem")}, "No such file"),
        ({"tls_cert": certs.ca}, "pem"),
        ({"tls_cert": certs.server, "tls_ca": __file__}, "no certificate"),
        ({"tls_cert": certs.server, "tls_client_cert": "never"}, "one of require, optional"),
        ({"tls_cert": certs.server, "tls_certificate": 1}, "no setting"),
    ):
        with pytest.raises(UsageError, match=wanted):
            with served("select", **settings):
                pass
    with pytest.raises(UsageError, match="datagrams"):
        with served("select", listen="udp://127.0.0.1:0", tls_cert=certs.server):
            pass
    made: Any = type("Wrong", (TLSMixIn, servers.UDPServer), {"tls_cert": certs.server})
    with pytest.raises(UsageError, match="datagrams"):
        made(("127.0.0.1", 0), [Who()])


class _Full:
    """A socket that takes nothing, the first time each that it is to send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._full = False

    def send(self, data: Any) -> int:
        self._full = not self._full
        if self._full:
            raise BlockingIOError
        return self._sock.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@every_kind
def test_a_handshake_goes_on_when_there_is_room(
    kind: str, certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has said what it has to, so there is nothing to be read that would wake it."""

    def full(sock: Any, session: Any) -> TlsSocket:
        return TlsSocket(_Full(sock), session)  # type: ignore[arg-type]

    monkeypatch.setattr("rpcserver.servers.tls.TlsSocket", full)
    with served(kind, tls_cert=certs.server) as server:
        with RawTls(address(server), context(certs.ca)) as stream:
            assert stream.who() == "TLSv1.3 sunrpc False None"
