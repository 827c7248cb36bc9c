"""What flavors, TLS and demands are to one another, in both spellings."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import rpcserver
from rpcserver import aio, rpc
from rpcserver.auth import SysCredential, all_squash
from rpcserver.errors import AuthError
from rpcserver.servers import SysMixIn, ThreadingTCPServer, TLSMixIn
from rpcserver.servers.server import KINDS
from tests.auth.certs import Certs
from tests.auth.service import AsyncWhoClient, Who, WhoClient
from tests.peers.realm import Realm

ALICE = SysCredential(1000, 100, (4,), "here", 7)


class Guarded(Who):
    @rpcserver.requires(tls=True, flavor="sys")
    def who(self, call: rpc.Call) -> rpc.Result[str]:
        return super().who(call)


class Named(Who):
    def who(self, call: rpc.Call) -> rpc.Result[str]:
        assert call.connection is not None
        return f"{call.credential.principal} {call.connection.tls.version}"


@rpcserver.requires(tls=True, gss="integrity")
class Private(Named):
    pass


@contextmanager
def serving(kind: str, service: Any, **settings: Any) -> Iterator[str]:
    listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
    with rpcserver.serve(service, listen=listen, register=False, kind=kind, **settings) as server:
        server.start()
        yield server.endpoints[0]


def short(client: Any) -> bool:
    credential: bytes = client.channel._engine.flavor.after_header(False)[0]
    return credential[:4] == (2).to_bytes(4)


@pytest.mark.parametrize("kind", KINDS)
def test_sys_inside_tls(kind: str, certs: Certs) -> None:
    settings: dict[str, Any] = {"tls": "offer", "tls_cert": certs.server, "short_credentials": 9}
    with serving(kind, Guarded(), sys_policy=all_squash(3, 4), **settings) as url:
        with rpcserver.connect(WhoClient, url, credentials=ALICE, tls_ca=certs.ca) as client:
            assert client.who() == client.who() == "3:4:"
            assert short(client)
            with client.channel.batch() as batch:
                calls = [batch.call(client.who) for _ in range(50)]
            assert {each.result() for each in calls} == {"3:4:"}
        with rpcserver.connect(WhoClient, url, credentials=ALICE) as client:
            assert client.echo(b"in the clear") == b"in the clear"
            with pytest.raises(AuthError, match="AUTH_TOOWEAK"):
                client.who()
        with rpcserver.connect(WhoClient, url, tls_ca=certs.ca) as client:
            with pytest.raises(AuthError, match="AUTH_TOOWEAK"):
                client.who()


def test_the_mix_ins(certs: Certs) -> None:
    class One(TLSMixIn, SysMixIn, ThreadingTCPServer):
        tls_cert = certs.server
        sys_policy = all_squash(3, 4)

    class Other(SysMixIn, TLSMixIn, ThreadingTCPServer):
        tls_cert = certs.server
        sys_policy = all_squash(3, 4)

    for made in (One, Other):
        with made(("127.0.0.1", 0), [Guarded()]) as server, in_thread(server):
            url = f"tcp://127.0.0.1:{server.server_address[1]}"
            with rpcserver.connect(WhoClient, url, credentials=ALICE, tls_ca=certs.ca) as client:
                assert client.who() == "3:4:"


@contextmanager
def in_thread(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "forks"])
def test_kerberos_inside_tls(kind: str, certs: Certs, kerberos: Realm) -> None:
    settings: dict[str, Any] = {"tls_cert": certs.server, "gss": "nfs@localhost", "tls": "offer"}
    with serving(kind, Private(), **settings) as url:

        def connect(word: str, **options: Any) -> Any:
            word += ":nfs@localhost"
            return rpcserver.connect(WhoClient, url, credentials=word, timeout=20, **options)

        with connect("krb5p", tls_ca=certs.ca) as client:
            assert client.who() == client.who() == "alice@RPC.TEST TLSv1.3"
            assert client.echo(bytes(100_000)) == bytes(100_000)
        with connect("krb5", tls_ca=certs.ca) as client, pytest.raises(AuthError, match="TOOWEAK"):
            client.who()
        with connect("krb5p") as client, pytest.raises(AuthError, match="TOOWEAK"):
            client.who()

        async def main() -> None:
            word = "krb5i:nfs@localhost"
            opened = aio.connect(AsyncWhoClient, url, credentials=word, tls_ca=certs.ca)
            async with opened as client:
                whos = await asyncio.gather(*(client.who() for _ in range(200)))
                assert set(whos) == {"alice@RPC.TEST TLSv1.3"}

        asyncio.run(main())
