"""RPCSEC_GSS over every kind of server and transport, with both kinds of clients."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from rpcserver import aio, errors, rpc
from rpcserver.auth import GssClient, GssCredential, GssServer, gss_api, gss_calls
from rpcserver.servers import GSSMixIn, MultiplexingTCPServer, TCPServer, ThreadingTCPServer
from rpcserver.servers.server import KINDS
from tests.cli.command import running
from tests.peers.process import until
from tests.peers.realm import Realm
from tests.rpc.echo import ECHO_V2, PROG, Echo, EchoClient

LISTEN = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
WORDS = {"krb5": "none", "krb5i": "integrity", "krb5p": "privacy"}


class AsyncEcho(rpc.AsyncClient, version=ECHO_V2):
    async def who(self) -> str:
        return await self._call(ECHO_V2.WHO)

    async def add(self, a: int, b: int) -> int:
        return await self._call(ECHO_V2.ADD, a, b)


def who(service: str) -> str:
    return repr(GssCredential("alice@RPC.TEST", "krb5", service))


@contextmanager
def forking(*urls: str) -> Iterator[list[str]]:
    """The URLs of a server that forks: in a process of its own, since a child of this one could
    inherit a lock that the client's library holds just then."""
    words = [word for url in urls for word in ("--listen", url)]
    options = ["--no-register", "--kind", "forks", "--gss", "nfs@localhost"]
    with running("serve", "tests.rpc.echo:Echo", *options, *words) as server:
        yield server.urls


@contextmanager
def places(kind: str, *urls: str) -> Iterator[list[str]]:
    """The URLs of a server of that kind."""
    if kind == "forks":
        with forking(*urls) as found:
            yield found
    else:
        with serving(kind, listen=urls) as server:
            server.start()
            yield server.endpoints


def serving(kind: str = "select", gss: Any = "nfs@localhost", **options: Any) -> Any:
    options.setdefault("listen", LISTEN)
    return rpcserver.serve(Echo(), register=False, kind=kind, gss=gss, **options)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kerberos: Realm, kind: str, word: str, tmp_path: Path) -> None:
    listen = [*LISTEN, f"unix://{tmp_path}/stream", f"unixgram://{tmp_path}/datagram"]
    with places(kind, *listen) as urls:
        for url in urls:
            with rpcserver.connect(EchoClient, url, credentials=f"{word}:nfs@localhost") as echo:
                assert echo.who() == who(WORDS[word])
                assert echo.add(1, 2) == 3
                with pytest.raises(errors.SystemErr):
                    echo.fail(0)
                with pytest.raises(errors.GarbageArgs):
                    echo.channel.call(ECHO_V2, SHORT, (1,))

            async def main(url: str = url) -> None:
                credentials = GssClient("nfs@localhost", WORDS[word])
                async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
                    assert await client.who() == who(WORDS[word])
                    if url.startswith("tcp") and kind != "forks":
                        sums = await asyncio.gather(*(client.add(n, 1) for n in range(500)))
                        assert sums == list(range(1, 501))

            asyncio.run(main())


SHORT: rpc.Procedure[int] = rpc.Procedure(2, "add", [rpcserver.xdr.Int], rpcserver.xdr.Int)


def test_the_target_by_default_is_the_host(kerberos: Realm) -> None:
    with serving(gss=True) as server:
        server.start()
        url = server.endpoints[0].replace("127.0.0.1", "localhost")
        with rpcserver.connect(EchoClient, url, credentials="krb5p") as echo:
            assert echo.who() == who("privacy")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_nobody_notices_prefork(kerberos: Realm, transport: str) -> None:
    with serving(workers=3, listen=[f"{transport}://127.0.0.1:0"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for _ in range(8):  # each from another port
                with rpcserver.connect(
                    EchoClient, server.endpoints[0], credentials="krb5i:nfs@localhost"
                ) as echo:
                    for number in range(8):
                        assert echo.add(number, 1) == number + 1
                        # The next connection may be another worker's.
                        echo.channel._drop(errors.NotReached("lost"), echo.channel._socket)
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_forgets(kerberos: Realm) -> None:
    """Restarted, as far as its contexts go: calls in flight are repaired, with one context."""
    with serving() as server:
        server.start()
        flavor = server.engine.flavors[6]
        for url in server.endpoints:
            with rpcserver.connect(EchoClient, url, credentials="krb5i:nfs@localhost") as echo:
                for _ in range(3):
                    assert echo.add(1, 2) == 3
                    flavor._contexts = type(flavor._contexts)(8)
                with echo.channel.batch() as batch:
                    sums = [batch.call(echo.add, n, 1) for n in range(300)]
                assert [each.result() for each in sums] == list(range(1, 301))
                assert len(flavor) == 1

            async def main(url: str = url) -> None:
                credentials = GssClient("nfs@localhost", "privacy")
                async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
                    assert await client.add(1, 2) == 3
                    flavor._contexts = type(flavor._contexts)(8)
                    sums = await asyncio.gather(*(client.add(n, 1) for n in range(50)))
                    assert sums == list(range(1, 51))
                    assert len(flavor) == 1
                    async with client.channel.batch() as batch:
                        several = [batch.call(client.add, n, 1) for n in range(50)]
                    assert [each.result() for each in several] == list(range(1, 51))

            asyncio.run(main())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_server_that_forgets_again(
    kerberos: Realm, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context is made anew once over a connection. Datagrams may come to other processes of a
    server that starts or replaces them, more than once: nobody notices."""
    with serving(listen=[f"{transport}://127.0.0.1:0"]) as server:
        server.start()
        flavor = server.engine.flavors[6]
        forgets = 0

        def accept(*call: Any) -> Any:
            nonlocal forgets
            if forgets and len(flavor._contexts):
                forgets -= 1
                flavor._contexts = type(flavor._contexts)(8)
            return type(flavor).accept(flavor, *call)

        monkeypatch.setattr(flavor, "accept", accept)

        async def main() -> int:
            credentials = GssClient("nfs@localhost", "integrity")
            async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
                return await client.add(1, 2)

        (url,) = server.endpoints
        with rpcserver.connect(EchoClient, url, credentials="krb5i:nfs@localhost") as echo:
            for times in (1, 3):
                both: tuple[Callable[[], int], ...]
                both = (lambda: echo.add(1, 2)), (lambda: asyncio.run(main()))
                for add in both:
                    told = times > 1 and transport == "tcp"
                    refused = pytest.raises(errors.AuthError, match="CTXPROBLEM")
                    forgets = times
                    with refused if told else nullcontext():
                        assert add() == 3
                        assert forgets == 0


def test_a_context_ends_with_its_channel(kerberos: Realm) -> None:
    with serving() as server:
        server.start()
        flavor = server.engine.flavors[6]
        for url in server.endpoints:
            with rpcserver.connect(EchoClient, url, credentials="krb5:nfs@localhost") as echo:
                echo.add(1, 2)
                assert len(flavor) == 1
            until("the end of the context", lambda: len(flavor) == 0)

            async def main(url: str = url) -> None:
                credentials = GssClient("nfs@localhost")
                async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
                    await client.add(1, 2)

            asyncio.run(main())
            until("the end of the context", lambda: len(flavor) == 0)


def test_many_threads_make_one_context(kerberos: Realm) -> None:
    with serving("threads") as server:
        server.start()
        flavor = server.engine.flavors[6]
        with rpcserver.connect(
            EchoClient, server.endpoints[0], credentials="krb5p:nfs@localhost"
        ) as echo:
            found: list[int] = []
            threads = [
                threading.Thread(
                    target=lambda: found.extend(echo.add(n, 1) for n in range(50)), daemon=True
                )
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(found) == sorted(list(range(1, 51)) * 8)
            assert len(flavor) == 1


def test_contexts_of_threads_side_by_side(kerberos: Realm) -> None:
    """One channel's calls come over many connections of a server's threads, and in any order."""
    with serving("threads") as server:
        server.start()

        def calls(results: list[int]) -> None:
            with rpcserver.connect(
                EchoClient, server.endpoints[0], credentials="krb5p:nfs@localhost"
            ) as echo:
                results.extend(echo.add(n, 1) for n in range(50))

        found: list[list[int]] = [[] for _ in range(6)]
        threads = [threading.Thread(target=calls, args=(each,)) for each in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [list(range(1, 51))] * 6


class Lossy:
    """Passes datagrams on, except those of which ``drop(to_server, count)`` says so."""

    def __init__(self, port: int, drop: Callable[[bool, int], bool]) -> None:
        self.front = socket.socket(type=socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(type=socket.SOCK_DGRAM)
        self.back.connect(("127.0.0.1", port))
        self.seen: list[bytes] = []
        self.drop = drop
        for sock in (self.front, self.back):
            sock.settimeout(20)
        for target in (self.to, self.fro):
            threading.Thread(target=target, daemon=True).start()

    def to(self) -> None:
        for count in range(1000):
            try:
                data, self.client = self.front.recvfrom(65535)
                self.seen.append(data)
                if not self.drop(True, count):
                    self.back.send(data)
            except OSError:
                return

    def fro(self) -> None:
        for count in range(1000):
            try:
                data = self.back.recv(65535)
                if not self.drop(False, count):
                    self.front.sendto(data, self.client)
            except OSError:
                return

    def __enter__(self) -> str:
        return f"udp://127.0.0.1:{self.front.getsockname()[1]}"

    def __exit__(self, *exc: object) -> None:
        self.front.close()
        self.back.close()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_datagrams_that_are_lost(kerberos: Realm, kind: str) -> None:
    """The first answer to each call is lost: what is sent again has a number of its own, and the
    token that comes twice is answered as it was the first time."""
    with serving() as server:
        server.start()
        port = int(server.endpoints[1].rpartition(":")[2])
        lossy = Lossy(port, lambda to_server, count: not to_server and count % 2 == 0)
        with lossy as url:
            if kind == "blocking":
                with rpcserver.connect(EchoClient, url, credentials="krb5p:nfs@localhost") as echo:
                    assert echo.add(1, 2) == 3
            else:

                async def main() -> None:
                    credentials = GssClient("nfs@localhost")
                    async with aio.connect(AsyncEcho, url, credentials=credentials) as client:
                        assert await client.add(1, 2) == 3

                asyncio.run(main())
        init, again, call, repeated = lossy.seen[:4]
        assert init == again
        assert call[:4] == repeated[:4] and call != repeated


def test_a_channel_that_is_given_what_is_no_context(kerberos: Realm) -> None:
    with rpcserver.serve(Echo(), listen=LISTEN, register=False) as server:
        server.start()
        for url in server.endpoints:
            with rpcserver.connect(EchoClient, url, credentials="krb5:nfs@localhost") as echo:
                with pytest.raises(errors.AuthError) as refused:
                    echo.add(1, 2)
                assert refused.value.stat == 2
    with serving(gss=GssServer("nfs@localhost", keytab="/nowhere")) as server:
        server.start()
        url = server.endpoints[0]
        with rpcserver.connect(EchoClient, url, credentials="krb5:nfs@localhost") as echo:
            with pytest.raises(errors.AuthError, match="makes no context"):
                echo.add(1, 2)


def test_who_has_no_ticket(kerberos: Realm, tmp_path: Path) -> None:
    with serving() as server:
        server.start()
        nobody = GssClient("nfs@localhost", ccache=f"FILE:{tmp_path}/cc")
        with rpcserver.connect(EchoClient, server.endpoints[0], credentials=nobody) as echo:
            with pytest.raises(errors.AuthError, match="nfs@localhost"):
                echo.add(1, 2)
        stranger = GssClient("nfs@elsewhere.example")
        with rpcserver.connect(EchoClient, server.endpoints[0], credentials=stranger) as echo:
            with pytest.raises(errors.AuthError, match="elsewhere"):
                echo.add(1, 2)
            with echo.channel.batch() as batch:
                late = batch.call(echo.add, 1, 2)
            with pytest.raises(errors.AuthError, match="elsewhere"):
                late.result()


def test_another_users_ticket(kerberos: Realm, tmp_path: Path) -> None:
    ccache = f"FILE:{tmp_path}/bob"
    kerberos.ticket(user="bob", ccache=ccache)
    with serving() as server:
        server.start()
        bob = GssClient("nfs@localhost", "integrity", ccache=ccache, principal="bob")
        with rpcserver.connect(EchoClient, server.endpoints[0], credentials=bob) as echo:
            assert echo.who() == repr(GssCredential("bob@RPC.TEST", "krb5", "integrity"))


def test_three_legs(kerberos: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    gssapi = gss_api.api()
    initiate = gss_api._raw().init_sec_context
    flags = [gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.dce_style]

    def in_dce_style(target: Any, creds: Any, context: Any, mech: Any, _: Any, **more: Any) -> Any:
        return initiate(target, creds, context, mech, flags, **more)

    monkeypatch.setattr(gss_api._raw(), "init_sec_context", in_dce_style)
    for kind in KINDS:
        with places(kind, *LISTEN) as urls:
            for url in urls:
                with rpcserver.connect(EchoClient, url, credentials="krb5p:nfs@localhost") as echo:
                    assert echo.who() == who("privacy")


def test_sequence_numbers_that_are_used_up(
    kerberos: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gss_calls, "MAXSEQ", 5)
    with serving() as server:
        server.start()
        flavor = server.engine.flavors[6]
        with rpcserver.connect(
            EchoClient, server.endpoints[0], credentials="krb5:nfs@localhost"
        ) as echo:
            for number in range(12):
                assert echo.add(number, 1) == number + 1
        assert len(flavor) >= 2


BINDINGS = b"tls-exporter:" + bytes(range(32))


def test_bound_to_a_channel(kerberos: Realm) -> None:
    gss = GssServer("nfs@localhost", bindings=lambda connection: BINDINGS)
    with serving(gss=gss) as server:
        server.start()
        url = server.endpoints[0]
        for service, told in (("channel", "privacy"), ("privacy", "privacy"), ("none", "none")):
            bound = GssClient("nfs@localhost", service, bindings=BINDINGS)
            with rpcserver.connect(EchoClient, url, credentials=bound) as echo:
                assert echo.who() == who(told)
                echo.channel._drop(errors.NotReached("lost"), echo.channel._socket)
                assert echo.who() == who(told)  # bound anew, to the new one
        other = GssClient("nfs@localhost", "channel", bindings=BINDINGS + b"?")
        with rpcserver.connect(EchoClient, url, credentials=other) as echo:
            with pytest.raises(errors.AuthError) as refused:
                echo.who()
            assert refused.value.stat == 13
        other = GssClient("nfs@localhost", "channel", bindings=b"tls-unique:x")
        with rpcserver.connect(EchoClient, url, credentials=other) as echo:
            with pytest.raises(errors.AuthError, match="bind"):
                echo.who()
        nothing = GssClient("nfs@localhost", "channel")
        with rpcserver.connect(EchoClient, url, credentials=nothing) as echo:
            with pytest.raises(errors.UsageError, match="channel bindings"):
                echo.who()


# --- as mix-ins, and what is wrong --------------------------------------------------------------


class SecureThreads(GSSMixIn, ThreadingTCPServer):
    gss = "nfs@localhost"


class SecureLoop(GSSMixIn, MultiplexingTCPServer):
    gss = GssServer("nfs@localhost", services=["privacy"])


class Secure(GSSMixIn, TCPServer):
    """Whatever the keytab has."""


@pytest.mark.parametrize("server_class", [SecureThreads, SecureLoop, Secure])
def test_mix_ins(kerberos: Realm, server_class: Any) -> None:
    with server_class(("127.0.0.1", 0), [Echo()]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = "tcp://{}:{}".format(*server.server_address)
        try:
            with rpcserver.connect(EchoClient, url, credentials="krb5p:nfs@localhost") as echo:
                assert echo.who() == who("privacy")
            with rpcserver.connect(EchoClient, url, credentials="krb5i:nfs@localhost") as echo:
                if server_class is SecureLoop:
                    with pytest.raises(errors.AuthError) as refused:
                        echo.who()
                    assert refused.value.stat == 5
                else:
                    assert echo.who() == who("integrity")
        finally:
            server.shutdown()
            thread.join()


def test_what_makes_no_sense() -> None:
    with pytest.raises(errors.UsageError, match="krb5p"):
        rpcserver.connect(EchoClient, "tcp://127.0.0.1:1", credentials="krb6")
    with pytest.raises(errors.UsageError, match="privacy"):
        GssClient("nfs@localhost", "secrecy")
    with pytest.raises(errors.UsageError, match="privacy"):
        GssServer(services=["secrecy"])
    with pytest.raises(errors.UsageError, match="version"):
        GssClient(version=3)
    with pytest.raises(errors.UsageError, match="colon"):
        GssClient(bindings=b"x")
    with pytest.raises(errors.UsageError, match="gss is"):
        serving(gss=1)
    with pytest.raises(errors.UsageError, match="makes a context with one server"):
        rpcserver.broadcast(EchoClient, credentials="krb5")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(gss_api, "import_module", missing)
    with pytest.raises(errors.UsageError, match=r"rpcserver\[gss\]"):
        rpcserver.connect(EchoClient, "tcp://127.0.0.1:1", credentials="krb5")
    with pytest.raises(errors.UsageError, match=r"rpcserver\[gss\]"):
        serving()


def test_a_process_executor_gets_the_credential(kerberos: Realm) -> None:
    import pickle

    credential = GssCredential("alice@RPC.TEST", "krb5", "none")
    assert pickle.loads(pickle.dumps(credential)) == credential


def test_the_program_number_is_not_what_is_asked(kerberos: Realm) -> None:
    class Other(rpc.Version, prog=PROG + 1, vers=1):
        pass

    with serving() as server:
        server.start()
        url = server.endpoints[0]
        with rpcserver.connect(EchoClient, url, credentials="krb5p:nfs@localhost") as echo:
            with pytest.raises(errors.ProgUnavail):
                echo.channel.call(Other, SHORT, (1,))
            assert echo.add(1, 2) == 3
    assert os.environ["KRB5_CONFIG"].startswith(str(kerberos.directory))
