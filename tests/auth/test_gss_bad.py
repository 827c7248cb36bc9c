"""Real servers and raw bytes: nothing is decoded before it is verified, nothing secret is logged,
and who takes time to prove who he is holds nobody up."""

import asyncio
import base64
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from rpcserver import aio, rpc, xdr
from rpcserver.auth import GssClient, gss_api
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS
from tests.auth.gss_by_hand import (
    CREDPROBLEM,
    CTXPROBLEM,
    DESTROY,
    INTEGRITY,
    NONE,
    PRIVACY,
    Answer,
    Caller,
    credential,
    header,
    refusal,
    verifier,
)
from tests.auth.service import DECODED, Watched
from tests.auth.test_gss_servers import AsyncEcho, serving, who
from tests.peers import wire
from tests.peers.realm import PASSWORD, Realm
from tests.peers.wire import opaque, words
from tests.rpc.echo import PROG, EchoClient

SECRET = b"what nobody else may know"
ARGS = opaque(SECRET)
PING = wire.call(PROG, 2, 0, xid=999)
# A child that is forked in this process could inherit a lock of the library.
IN_THIS_PROCESS = [kind for kind in KINDS if kind != "forks"]


class WATCHED_V2(rpc.Version, prog=PROG, vers=2):
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(1, "echo", [Watched], xdr.Opaque())


class Watching(rpc.Service, version=WATCHED_V2):
    def echo(self, call: rpc.Call, data: bytes) -> bytes:
        return data


@dataclass
class Remote(Caller):
    """The same over a socket."""

    send: Callable[[bytes], object] = bytes
    receive: Callable[[], bytes] = bytes

    def ask(self, record: bytes) -> bytes:
        self.send(record)
        return self.receive()

    def silent(self, record: bytes) -> None:
        """There is no answer to ``record``; to the next call there is."""
        self.send(record)
        assert self.ask(PING)[:4] == words(999)


@contextmanager
def remote(url: str) -> Iterator[Callable[[], Remote]]:
    """What makes callers over one connection, or one socket."""
    place = parse_url(url)
    where = place.host, place.port
    engine: Any = None
    if place.stream:
        with wire.Stream(where) as stream:

            def send(record: bytes) -> None:
                stream.send(wire.frame(record))

            yield lambda: Remote(engine, send=send, receive=stream.read_record)
    else:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect(where)
            yield lambda: Remote(engine, send=sock.send, receive=partial(sock.recv, 65_535))


def shown(secret: bytes) -> Iterator[str]:
    """How a log could show it, in whole or in part."""
    for part in (secret, secret[:12], secret[-12:]):
        yield from (part.hex(), repr(part)[2:-1], base64.b64encode(part).decode()[:-4])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("kind", IN_THIS_PROCESS)
def test_what_is_not_verified_is_not_decoded(
    kerberos: Realm, kind: str, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    DECODED.clear()
    listen = [f"{transport}://127.0.0.1:0"]
    with rpcserver.serve(
        Watching(), listen=listen, register=False, kind=kind, gss="nfs@localhost"
    ) as server:
        server.start()
        with remote(server.endpoints[0]) as make:
            token, _ = make().leg()
            assert Answer.of(make().ask(make().init(token[:-30]))).major >> 16
            caller, other = make().open(), make().open()
            head = header(credential(0, 1, NONE, caller.handle), 1)
            mic = caller.mic(head)
            secrets = [token, caller.handle, other.handle, mic]
            for record, stat in (
                (head + verifier(mic[:-1] + bytes([mic[-1] ^ 1])) + ARGS, CREDPROBLEM),
                (head + verifier(other.mic(head)) + ARGS, CREDPROBLEM),
                (head + verifier(None) + ARGS, 3),
                (head + words(1) + opaque(mic) + ARGS, 3),
                (header(credential(0, 1, NONE, caller.handle)[:-4], 1) + verifier(mic) + ARGS, 1),
                (caller.call(ARGS, handle=bytes(16)), CTXPROBLEM),
                (caller.call(ARGS, handle=other.handle), CREDPROBLEM),
            ):
                assert refusal(caller.ask(record)) == stat
            for number, (service, body) in enumerate(
                (
                    (INTEGRITY, opaque(words(100) + ARGS) + opaque(mic)),
                    (INTEGRITY, other.body(101, INTEGRITY, ARGS)),
                    (PRIVACY, other.body(102, PRIVACY, ARGS)),
                    (PRIVACY, ARGS),
                    (PRIVACY, caller.body(99, PRIVACY, ARGS)),
                ),
                100,
            ):
                secrets.append(body[:40])
                reply = caller.ask(caller.call(b"", service, seq=number, body=body))
                assert wire.parse_reply(reply).accept_stat == wire.GARBAGE_ARGS
            assert DECODED == []
            good = caller.call(ARGS, PRIVACY, seq=110)
            assert caller.opened(caller.ask(good), 110, PRIVACY) == ARGS
            assert DECODED == [SECRET]
            caller.silent(good)
            caller.silent(caller.call(ARGS, PRIVACY, seq=110))
            late = caller.call(ARGS, seq=1000)
            assert caller.opened(caller.ask(late), 1000) == ARGS
            caller.silent(caller.call(ARGS, INTEGRITY, seq=1000 - caller.window))
            end = caller.call(b"", seq=1001, control=DESTROY, proc=0)
            assert caller.opened(caller.ask(end), 1001) == b""
            assert refusal(caller.ask(caller.call(ARGS, seq=1002))) == CTXPROBLEM
            # And the server lives on.
            assert other.opened(other.ask(other.call(ARGS, seq=7)), 7) == ARGS
    assert DECODED == [SECRET] * 3
    DECODED.clear()
    assert "alice@RPC.TEST" in caplog.text, "the log is where we look"
    for secret in [*secrets, SECRET, PASSWORD.encode(), kerberos.keytab.read_bytes()[-32:]]:
        for text in shown(secret):
            assert text not in caplog.text


@pytest.mark.parametrize("service", ["none", "integrity", "privacy"])
def test_clients_log_no_secrets(
    kerberos: Realm, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving() as server:
        server.start()
        for url in server.endpoints:
            credentials = GssClient("nfs@localhost", service)
            with rpcserver.connect(EchoClient, url, credentials=credentials) as client:
                assert client.echo(SECRET.decode()) == SECRET.decode()
                context: Any = client.channel._engine.flavor._context
                handle = context.handle
                context.handle = bytes(16)
                assert client.echo(SECRET.decode()) == SECRET.decode()
            for secret in (SECRET, handle, PASSWORD.encode()):
                for text in shown(secret):
                    assert text not in caplog.text + repr(credentials)
    assert "no such context" in caplog.text


@pytest.mark.parametrize("kind", ["select", "asyncio"])
def test_accepting_holds_nobody_up(
    kerberos: Realm, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = gss_api.accept
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return accept(*args)

    monkeypatch.setattr(gss_api, "accept", slow)
    with serving(kind) as server:
        server.start()
        for url in server.endpoints:
            begun.clear()
            go_on.clear()
            found: list[str] = []

            def prove(url: str = url, found: list[str] = found) -> None:
                with rpcserver.connect(EchoClient, url, credentials="krb5:nfs@localhost") as client:
                    found.append(client.who())

            thread = threading.Thread(target=prove)
            thread.start()
            try:
                assert begun.wait(10)
                with rpcserver.connect(EchoClient, url, timeout=5) as client:
                    assert [client.add(n, 1) for n in range(100)] == list(range(1, 101))
                assert not found
            finally:
                go_on.set()
                thread.join()
            assert found == [who("none")]


def test_initiating_holds_nobody_up(kerberos: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    initiate = gss_api.initiate
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        begun.set()
        assert go_on.wait(10)
        return initiate(*args)

    monkeypatch.setattr(gss_api, "initiate", slow)

    async def main(url: str) -> None:
        async with (
            aio.connect(AsyncEcho, url, credentials="krb5:nfs@localhost") as slowly,
            aio.connect(AsyncEcho, url, timeout=5) as client,
        ):
            proof = asyncio.create_task(slowly.who())
            try:
                assert await asyncio.to_thread(begun.wait, 10)
                for number in range(100):
                    assert await client.add(number, 1) == number + 1
                assert not proof.done()
            finally:
                go_on.set()
            assert await proof == who("none")

    with serving() as server:
        server.start()
        asyncio.run(main(server.endpoints[0]))
