"""Contexts of RPCSEC_GSS that are bound to the TLS under them (RFC 5403, RFC 5929)."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from rpcserver import aio, errors
from rpcserver.auth import GssClient, GssCredential
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS, Server
from tests.auth.certs import Certs
from tests.auth.middle import middle
from tests.auth.test_gss_servers import AsyncEcho
from tests.peers import wire
from tests.peers.realm import Realm
from tests.rpc.echo import Echo, EchoClient

CREDPROBLEM = 13
BIND_CHANNEL = 4


def who(service: str) -> str:
    return repr(GssCredential("alice@RPC.TEST", "krb5", service))


def credentials(service: str, **options: Any) -> GssClient:
    return GssClient("nfs@localhost", service, **options)


def blocking(url: str, gss: GssClient, **options: Any) -> str:
    """Who the server says is calling."""
    with rpcserver.connect(EchoClient, url, credentials=gss, **options) as client:
        first = client.who()
        assert client.add(1, 2) == 3
        return first


def asynchronous(url: str, gss: GssClient, **options: Any) -> str:
    async def run() -> str:
        async with aio.connect(AsyncEcho, url, credentials=gss, **options) as client:
            found = await asyncio.gather(*(client.who() for _ in range(20)))
            assert len(set(found)) == 1
            return found[0]

    return asyncio.run(run())


Ask = Callable[..., str]
both = pytest.mark.parametrize("ask", [blocking, asynchronous])
every_service = pytest.mark.parametrize("service", ["channel", "privacy", "integrity", "none"])


@contextmanager
def serving(kind: str = "select", **options: Any) -> Iterator[Server]:
    listen = ["tcp://127.0.0.1:0"]
    with rpcserver.serve(
        Echo(), listen=listen, register=False, kind=kind, gss="nfs@localhost", **options
    ) as server:
        yield server.start()


def controls(calls: list[bytes]) -> list[int]:
    """The versions and procedures of RPCSEC_GSS in calls."""
    return [10 * call[35] + call[39] for call in calls]


@both
@every_service
def test_out_of_the_box(kerberos: Realm, certs: Certs, ask: Ask, service: str) -> None:
    with serving(tls_cert=certs.server) as server:
        (url,) = server.endpoints
        told = "privacy" if service == "channel" else service
        assert ask(url, credentials(service), tls_ca=certs.ca) == who(told)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "forks"])
def test_every_kind(kerberos: Realm, certs: Certs, kind: str) -> None:
    with serving(kind, tls_cert=certs.server) as server:
        for ask in (blocking, asynchronous):
            gss = credentials("channel")
            assert ask(server.endpoints[0], gss, tls_ca=certs.ca) == who("privacy")


def test_workers(kerberos: Realm, certs: Certs) -> None:
    """The next connection may be another worker's, who knows nothing of the context."""
    with serving(tls_cert=certs.server, workers=3) as server:
        for ask in (blocking, asynchronous) * 4:
            gss = credentials("channel")
            assert ask(server.endpoints[0], gss, tls_ca=certs.ca) == who("privacy")
        url, gss = server.endpoints[0], credentials("channel")
        with rpcserver.connect(EchoClient, url, credentials=gss, tls_ca=certs.ca) as client:
            for number in range(8):
                assert client.add(number, 1) == number + 1
                client.channel._drop(errors.NotReached("lost"), client.channel._socket)


@both
@every_service
def test_who_ends_the_tls_in_the_middle(
    kerberos: Realm, certs: Certs, ask: Ask, service: str
) -> None:
    """With a certificate that the client trusts, and that is not the server's."""
    with (
        serving(tls_cert=certs.server) as server,
        middle(server.endpoints[0], cert=certs.second, ca=certs.ca) as between,
    ):
        with pytest.raises(errors.AuthError) as refused:
            ask(between.url, credentials(service), tls_ca=certs.ca)
        assert refused.value.stat == CREDPROBLEM
        assert controls(between.calls)[:2] == [21, 20 + BIND_CHANNEL]
        assert not any(each in (0, 20) for each in controls(between.calls)), "no call for a service"
        # Without the binding nobody would have noticed.
        if service != "channel":
            unbound = credentials(service, version=1)
            assert ask(between.url, unbound, tls_ca=certs.ca) == who(service)


def test_with_the_same_certificate(kerberos: Realm, certs: Certs) -> None:
    """Who has the server's key is the server, as far as this binding goes; which the test before
    rests on."""
    with (
        serving(tls_cert=certs.server) as server,
        middle(server.endpoints[0], cert=certs.server, ca=certs.ca) as between,
    ):
        gss = credentials("privacy")
        assert blocking(between.url, gss, tls_ca=certs.ca) == who("privacy")
        assert controls(between.calls)[:3] == [21, 20 + BIND_CHANNEL, 20]


@both
def test_a_server_whose_tls_somebody_else_ends(kerberos: Realm, certs: Certs, ask: Ask) -> None:
    """It has no channel of its own, and says so."""
    with (
        serving() as server,
        middle(server.endpoints[0], cert=certs.server) as between,
    ):
        assert ask(between.url, credentials("integrity"), tls_ca=certs.ca) == who("integrity")
        with pytest.raises(errors.AuthError, match="does not bind"):
            ask(between.url, credentials("channel"), tls_ca=certs.ca)
    with serving() as server:
        with pytest.raises(errors.UsageError, match="protects nothing"):
            ask(server.endpoints[0], credentials("channel"))


@both
def test_a_server_that_knows_version_1_alone(kerberos: Realm, certs: Certs, ask: Ask) -> None:
    with (
        serving(tls_cert=certs.server) as server,
        middle(server.endpoints[0], cert=certs.server, ca=certs.ca, change=no_version_2) as between,
    ):
        assert ask(between.url, credentials("privacy"), tls_ca=certs.ca) == who("privacy")
        assert controls(between.calls)[:3] == [21, 11, 10]
        with pytest.raises(errors.AuthError, match="AUTH_BADCRED"):
            ask(between.url, credentials("channel"), tls_ca=certs.ca)


def no_version_2(call: bytes, reply: bytes) -> bytes:
    refused = call[:4] + wire.words(1, 1, 1, 1)  # AUTH_BADCRED
    return refused if call[35] == 2 else reply


def test_a_connection_that_is_made_again(kerberos: Realm, certs: Certs) -> None:
    """Bound anew to the server's, and nothing is said to who is there in its place."""
    with (
        serving(tls_cert=certs.server) as server,
        middle(server.endpoints[0], cert=certs.second, ca=certs.ca) as between,
    ):
        gss, url = credentials("channel"), server.endpoints[0]
        with rpcserver.connect(EchoClient, url, credentials=gss, tls_ca=certs.ca) as client:
            channel = client.channel
            for _ in range(2):
                assert client.echo("secret") == "secret"
                channel._drop(errors.NotReached("lost"), channel._socket)
            channel._opener.endpoint = parse_url(between.url)
            for resend in (False, True):
                with pytest.raises(errors.AuthError) as refused:
                    rpcserver.using(client, resend=resend).echo("secret")
                assert refused.value.stat == CREDPROBLEM
            with channel.batch() as batch:
                late = batch.call(client.echo, "secret")
            with pytest.raises(errors.AuthError):
                late.result()
            assert between.calls and not any(b"secret" in each for each in between.calls)
            channel._opener.endpoint = parse_url(url)
            channel._drop(errors.NotReached("lost"), channel._socket)
            assert client.echo("secret") == "secret"

        async def run() -> None:
            async with aio.connect(AsyncEcho, url, credentials=gss, tls_ca=certs.ca) as client:
                channel = client.channel
                for _ in range(2):
                    assert await client.add(77, 1) == 78
                    channel.lost(channel._transport, errors.NotReached("lost"))
                channel._opener.endpoint = parse_url(between.url)
                with pytest.raises(errors.AuthError) as refused:
                    await client.add(77, 1)
                assert refused.value.stat == CREDPROBLEM
                channel._opener.endpoint = parse_url(url)
                channel.lost(channel._transport, errors.NotReached("lost"))
                assert await client.add(77, 1) == 78

        between.calls.clear()
        asyncio.run(run())
        assert controls(between.calls)[:2] == [21, 20 + BIND_CHANNEL]
        assert 20 not in controls(between.calls)


def test_version_1_and_the_channel() -> None:
    with pytest.raises(errors.UsageError, match="binds to no channel"):
        GssClient(service="channel", version=1)
