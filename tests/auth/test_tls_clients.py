"""Our clients, and servers with TLS that are not ours, or have none (RFC 9289)."""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rpcserver
import rpcserver.aio
from rpcserver.auth import TlsClient
from rpcserver.errors import NotReached, TlsError, UsageError
from tests.auth import foreign as peers
from tests.auth.certs import Certs
from tests.auth.foreign import Foreign, foreign
from tests.auth.secure import WhoAsyncClient, WhoClient, served
from tests.peers.process import until

Echo = Callable[..., bytes]


def blocking(url: str, *sent: bytes, **options: Any) -> bytes:
    """What comes back of ``sent``, over one connection."""
    with rpcserver.connect(WhoClient, url, **{"timeout": 10, **options}) as client:
        return b"".join(client.echo(each) for each in sent or [b"x"])


def asynchronous(url: str, *sent: bytes, **options: Any) -> bytes:
    async def run() -> bytes:
        options.setdefault("timeout", 10)
        async with rpcserver.aio.connect(WhoAsyncClient, url, **options) as client:
            return b"".join(await asyncio.gather(*(client.echo(each) for each in sent or [b"x"])))

    return asyncio.run(run())


both = pytest.mark.parametrize("echo", [blocking, asynchronous])


def refuses(echo: Echo, wanted: str, server: Foreign, **options: Any) -> None:
    with pytest.raises(TlsError, match=wanted) as caught:
        echo(server.url, **options)
    assert str(caught.value).startswith(server.url)
    assert not server.clear, "nothing went in the clear"


@both
@pytest.mark.parametrize("answer", [peers.agree, peers.agree_in_pieces])
def test_calls_inside(echo: Echo, answer: peers.Answer, certs: Certs) -> None:
    with foreign(peers.context(certs.server), answer) as server:
        data = os.urandom(1_000_000)
        for tls in ("require", "try", TlsClient(ca=certs.ca, alpn_required=True)):
            options = (
                {"tls": tls} if isinstance(tls, TlsClient) else {"tls": tls, "tls_ca": certs.ca}
            )
            assert echo(server.url, b"one", data, b"two", **options) == b"one" + data + b"two"
        secure = ssl.create_default_context(cafile=certs.ca)
        assert echo(server.url, tls=secure) == b"x"
        assert not server.clear
        assert not any(server.seen), "nobody showed a certificate"


@both
def test_own_certificate(echo: Echo, certs: Certs) -> None:
    with foreign(peers.context(certs.server, certs.ca)) as server:
        mine = {"tls_ca": certs.ca, "tls_cert": certs.client}
        assert echo(server.url, **mine) == b"x"
        assert dict(server.seen[0]["subjectAltName"])["DNS"] == "alice.example.com"
        refuses(echo, "refuses: certificate required", server, tls_ca=certs.ca)
        for cert, wanted in (
            (certs.strange_client, "refuses: unknown ca"),
            (certs.late_client, "refuses: certificate expired"),
        ):
            refuses(echo, wanted, server, tls_ca=certs.ca, tls_cert=cert)
        until("the server's own word", lambda: len(server.errors) >= 3)


@both
@pytest.mark.parametrize("mode", ["require", "try"])
def test_certificates_that_are_refused(echo: Echo, mode: str, certs: Certs) -> None:
    for cert, ca, wanted in (
        (certs.strange_server, certs.ca, "unable to get local issuer certificate"),
        (certs.server, certs.other_ca, "unable to get local issuer certificate"),
        (certs.server, None, "unable to get local issuer certificate"),
        (certs.late_server, certs.ca, "certificate has expired"),
        (certs.elsewhere, certs.ca, "IP address mismatch"),
    ):
        with foreign(peers.context(cert)) as server:
            refuses(echo, wanted, server, tls=mode, tls_ca=ca)
            until("the server's own word", lambda: server.errors)


@both
def test_names(echo: Echo, certs: Certs) -> None:
    with foreign(peers.context(certs.elsewhere)) as server:
        there = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(TlsError, match="Hostname mismatch.*'localhost'"):
            echo(there, tls_ca=certs.ca)
        assert echo(there, tls_ca=certs.ca, tls_name="elsewhere.example.com") == b"x"
        assert echo(there, tls=TlsClient(ca=certs.ca, check_name=False)) == b"x"
    with foreign(peers.context(certs.server), host="::1") as server:
        assert echo(server.url, tls_ca=certs.ca) == b"x"
    with foreign(peers.context(certs.server)) as server:
        assert echo(server.url.replace("127.0.0.1", "localhost"), tls_ca=certs.ca) == b"x"


@both
def test_old_versions_and_alpn(echo: Echo, certs: Certs) -> None:
    old = peers.context(certs.server, maximum_version=ssl.TLSVersion.TLSv1_2)
    with foreign(old) as server:
        refuses(echo, "protocol version", server, tls_ca=certs.ca)
        until("the server's own word", lambda: server.errors)
        # The user's own context lets it be; we do not.
        theirs = ssl.create_default_context(cafile=certs.ca)
        refuses(echo, "TLSv1.2 is too old", server, tls=theirs)
    silent = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    silent.load_cert_chain(certs.server)
    with foreign(silent) as server:
        assert echo(server.url, tls_ca=certs.ca) == b"x"
        insisting = TlsClient(ca=certs.ca, alpn_required=True)
        refuses(echo, "protocol sunrpc", server, tls=insisting)


@both
@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (peers.reject, "does not know AUTH_TLS"),
        (peers.accept_without, "does not know AUTH_TLS"),
        (peers.close, "ends the connection at AUTH_TLS"),
        (peers.say_nothing, "does not answer to AUTH_TLS"),
        (peers.talk, "ends the connection at AUTH_TLS|does not"),
    ],
)
def test_servers_without(
    echo: Echo, answer: peers.Answer, wanted: str, certs: Certs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcserver.clients.tls.PATIENCE", 0.2)
    with foreign(None, answer) as server:
        refuses(echo, f"no TLS there: .*({wanted})", server, tls="require", tls_ca=certs.ca)
        assert echo(server.url, tls="try", tls_ca=certs.ca) == b"x"
        assert server.clear == 1


@both
@pytest.mark.parametrize("mode", ["require", "try"])
@pytest.mark.parametrize(
    ("answer", "wanted", "kind"),
    [
        (peers.agree_and_more, "wrong version number|record layer failure", TlsError),
        (peers.agree_and_babble, "wrong version number|record layer failure", TlsError),
        (peers.agree_and_hang, "not complete in time", TlsError),
        (peers.agree_and_close, "closed in the TLS handshake", NotReached),
    ],
)
def test_handshakes_that_fail(
    echo: Echo, mode: str, answer: peers.Answer, wanted: str, kind: Any, certs: Certs
) -> None:
    with foreign(peers.context(certs.server), answer) as server:
        begun = time.monotonic()
        with pytest.raises(kind, match=wanted):
            echo(server.url, tls=mode, tls_ca=certs.ca, timeout=0.7)
        assert time.monotonic() - begun < 5
        assert not server.clear


@both
@pytest.mark.parametrize("kind", ["threads", "select"])
def test_our_own_servers(echo: Echo, kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server, tls_ca=certs.ca) as server:
        (url,) = server.endpoints
        data = os.urandom(3_000_000)
        mine = {"tls_ca": certs.ca, "tls_cert": certs.client}
        assert echo(url, data, b"x", **mine) == data + b"x"
        with pytest.raises(rpcserver.errors.AuthError, match="AUTH_TOOWEAK"):
            echo(url)


def test_many_threads_on_one_channel(certs: Certs) -> None:
    with served("select", tls_cert=certs.server) as server:
        with rpcserver.connect(WhoClient, server.endpoints[0], tls_ca=certs.ca) as client:
            wrong: list[bytes] = []

            def work(seed: int) -> None:
                for n in range(30):
                    data = bytes([seed]) * (seed * 997 * n % 70_000)
                    if client.echo(data) != data:
                        wrong.append(data)

            threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert not wrong
            with client.channel.batch() as batch:
                calls = [batch.call(client.echo, bytes([n]) * 5000) for n in range(200)]
            assert [each.result() for each in calls] == [bytes([n]) * 5000 for n in range(200)]


def test_a_lost_connection_is_made_again_with_tls(certs: Certs) -> None:
    with served("select", tls_cert=certs.server, idle_timeout=0.2) as server:
        with rpcserver.connect(WhoClient, server.endpoints[0], tls_ca=certs.ca) as client:
            for _ in range(2):
                assert client.who() == "TLSv1.3 sunrpc False None"
                taken = server.listeners[0]
                until("it is closed", lambda: not taken.open_requests())  # noqa: B023


def test_unix_sockets(certs: Certs, tmp_path: Path) -> None:
    with served("select", listen=f"unix://{tmp_path}/sock", tls_cert=certs.server) as server:
        (url,) = server.endpoints
        for echo in (blocking, asynchronous):
            assert echo(url, tls_ca=certs.ca) == b"x"  # its name is localhost


def test_settings_that_make_no_sense(certs: Certs, tmp_path: Path) -> None:
    url = "tcp://127.0.0.1:1"
    for options, wanted in (
        ({"tls": "perhaps"}, "one of try, require"),
        ({"tls": "require", "tls_ca": str(tmp_path / "none.pem")}, "No such file"),
        ({"tls_ca": __file__}, "no certificate"),
        ({"tls_key": certs.client}, "tls_cert is missing"),
        ({"tls": TlsClient(), "tls_ca": certs.ca}, "no room for tls_ca"),
        ({"tls": TlsClient("maybe")}, "one of try, require"),
        ({"tls": ssl.create_default_context(), "tls_ca": certs.ca}, "has its own certificates"),
    ):
        for echo in (blocking, asynchronous):
            with pytest.raises(UsageError, match=wanted):
                echo(url, **options)
    for echo in (blocking, asynchronous):
        with pytest.raises(UsageError, match="datagrams have no TLS"):
            echo("udp://127.0.0.1:1", tls="require")
