"""What calls do besides, over TLS: calls in both directions, children, oneway, many clients."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import rpcserver
import rpcserver.aio
from rpcserver import rpc, xdr
from rpcserver.errors import AuthError
from rpcserver.servers.child import in_child
from tests.auth.certs import Certs
from tests.auth.secure import PROG, WHO_V1, Who, WhoAsyncClient, WhoClient, served
from tests.peers.process import until


class BOTH_V1(rpc.Version, prog=0x20000419, vers=1):
    ASK: rpc.Procedure[bytes] = rpc.Procedure(1, "ask", [xdr.Opaque()], xdr.Opaque())
    CHILD: rpc.Procedure[bytes] = rpc.Procedure(2, "child", [xdr.Opaque()], xdr.Opaque())
    TELL: rpc.Procedure[None] = rpc.Procedure(3, "tell", [xdr.String()], xdr.Void)


class Both(rpc.Service, version=BOTH_V1):
    @rpcserver.blocking
    def ask(self, call: rpc.Call, data: bytes) -> bytes:
        caller = call.client(WhoClient, timeout=5)
        return b"".join(caller.echo(data) for _ in range(3))

    def child(self, call: rpc.Call, data: bytes) -> Any:
        return in_child(bytes.upper, data)

    @rpcserver.oneway
    def tell(self, call: rpc.Call, path: str) -> None:
        Path(path).touch()


class BothClient(rpc.Client, version=BOTH_V1):
    def ask(self, data: bytes) -> bytes:
        return self._call(BOTH_V1.ASK, data)

    def child(self, data: bytes) -> bytes:
        return self._call(BOTH_V1.CHILD, data)


@pytest.mark.parametrize("kind", ["sync", "threads", "forks", "select", "asyncio"])
def test_both_directions(kind: str, certs: Certs, tmp_path: Path) -> None:
    with rpcserver.serve(
        Both(),
        listen=["tcp://127.0.0.1:0"],
        register=False,
        kind=kind,
        tls_cert=certs.server,
    ) as server:
        (url,) = server.start().endpoints
        with rpcserver.connect(BothClient, url, tls_ca=certs.ca, timeout=10) as client:
            rpcserver.serve_on(client, Who())
            for data in (b"x", bytes(100_000)):
                assert client.ask(data) == data * 3
            # A sync server's child goes on with the connection.
            assert client.child(b"small") == b"SMALL"
            assert client.child(b"again") == b"AGAIN"
            client.channel.call(BOTH_V1, BOTH_V1.TELL, (str(tmp_path / "told"),), oneway=True)
            until("it is told", (tmp_path / "told").exists)


@pytest.mark.parametrize("kind", ["threads", "select", "asyncio"])
def test_many_at_once(kind: str, certs: Certs) -> None:
    with served(kind, tls_cert=certs.server) as server:
        (url,) = server.endpoints

        async def one(number: int) -> None:
            async with rpcserver.aio.connect(WhoAsyncClient, url, tls_ca=certs.ca) as client:
                data = bytes([number]) * 50_000
                assert await asyncio.gather(*(client.echo(data) for _ in range(20))) == [data] * 20
                assert client.channel.tls is not None and client.channel.tls.alpn == "sunrpc"

        async def all_of_them() -> None:
            await asyncio.gather(*(one(number) for number in range(20)))

        asyncio.run(all_of_them())


def test_aio_serve(certs: Certs) -> None:
    async def run() -> None:
        options = {"register": False, "tls_cert": certs.server, "tls_ca": certs.ca}
        async with rpcserver.aio.serve(Who(), **options) as server:  # type: ignore[arg-type]
            (url,) = server.endpoints  # without datagrams
            async with rpcserver.aio.connect(
                WhoAsyncClient, url, tls_ca=certs.ca, tls_cert=certs.client
            ) as client:
                assert await client.who() == "TLSv1.3 sunrpc True alice"

    asyncio.run(run())


def test_with_an_access_list(certs: Certs) -> None:
    lists = {PROG: rpc.Access(["192.0.2.0/24"])}
    with served("select", tls_cert=certs.server, program_access=lists) as server:
        with rpcserver.connect(WhoClient, server.endpoints[0], tls="try") as client:
            with pytest.raises(AuthError, match="AUTH_TOOWEAK"):
                client.who()


def test_a_slow_reader_holds_nobody(certs: Certs) -> None:
    """Replies that are not taken wait, and others are served."""
    with served("select", tls_cert=certs.server, max_queued=100_000) as server:
        (url,) = server.endpoints
        with rpcserver.connect(WhoClient, url, tls_ca=certs.ca, timeout=20) as slow:
            data = bytes(1_000_000)
            with slow.channel.batch() as batch:
                calls = [batch.call(slow.echo, data) for _ in range(20)]
                with rpcserver.connect(WhoClient, url, tls_ca=certs.ca) as other:
                    assert other.who().startswith("TLS")
            assert all(each.result() == data for each in calls)


def test_both_sides_know_of_one_channel(certs: Certs) -> None:
    """What another authentication is bound to is the same at both ends."""
    seen: list[bytes | None] = []

    class Bound(Who):
        def who(self, call: rpc.Call) -> str:
            assert call.connection is not None
            seen.append(call.connection.tls.channel_binding("tls-server-end-point"))
            seen.append(call.connection.tls.channel_binding())
            assert call.connection.tls.channel_binding("tls-unique") is None
            return str(call.connection.tls.cipher)

    with rpcserver.serve(
        Bound(), listen=["tcp://127.0.0.1:0"], register=False, tls_cert=certs.server
    ) as server:
        (url,) = server.start().endpoints
        with rpcserver.connect(WhoClient, url, tls_ca=certs.ca) as client:
            assert client.who().startswith("TLS_")
            tls = client.channel.tls
            assert tls is not None and tls.version == "TLSv1.3"
            assert seen[0] is not None and len(seen[0]) == 32
            assert seen == [tls.channel_binding("tls-server-end-point"), tls.channel_binding()]
        with rpcserver.connect(WhoClient, url, tls="try", tls_ca=certs.ca) as client:
            client.channel.call(WHO_V1, WHO_V1.WHO, ())
            assert seen[:2] == seen[2:]
