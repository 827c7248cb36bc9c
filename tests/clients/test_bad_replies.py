"""Servers that answer what they should not: the right exception, in time, and a client that is
usable afterwards and keeps nothing."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rpcserver import aio, connect, errors, rpc, serve, using, xdr
from rpcserver.clients import finding
from rpcserver.clients.opening import MAX_UDP
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.table import Registration
from rpcserver.servers.portmap import Portmapper
from tests.clients.test_aio import AsyncEcho
from tests.clients.test_blocking import reply, tcp
from tests.peers import wire
from tests.rpc.echo import ECHO_V2, Echo, EchoClient

Outcome = int | Exception
Bad = Callable[[bytes], bytes | None]
Calls = Callable[..., list[Outcome]]


def calls(url: str, *timeouts: float, **options: Any) -> list[Outcome]:
    """What calls of a blocking client end with, one after the other."""
    found: list[Outcome] = []
    with connect(EchoClient, url, **options) as client:
        for timeout in timeouts:
            try:
                found.append(using(client, timeout=timeout).add(20, 22))
            except errors.RpcServerError as error:
                found.append(error)
        assert client.channel._engine.idle
    return found


def async_calls(url: str, *timeouts: float, **options: Any) -> list[Outcome]:
    """The same with asyncio's."""

    async def main() -> list[Outcome]:
        found: list[Outcome] = []
        async with aio.connect(AsyncEcho, url, **options) as client:
            for timeout in timeouts:
                try:
                    found.append(await using(client, timeout=timeout).add(20, 22))
                except errors.RpcServerError as error:
                    found.append(error)
            assert client.channel._engine.idle and client.channel._waiting == {}
        return found

    return asyncio.run(main())


both = pytest.mark.parametrize("calls", [calls, async_calls])


@contextmanager
def datagrams(handle: Callable[[socket.socket, bytes, Any], None]) -> Iterator[Endpoint]:
    """A server that treats each datagram as ``handle`` likes."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def run() -> None:
            while True:
                data, address = sock.recvfrom(1 << 16)
                if not data:
                    return
                handle(sock, data, address)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield Endpoint("udp", *sock.getsockname())
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", sock.getsockname())
            thread.join()


@contextmanager
def answering(transport: str, bad: Bad) -> Iterator[str]:
    """A server that gives the first call what ``bad`` makes of it, and to the others the answer."""
    first: list[bytes] = []

    def answer(record: bytes) -> bytes | None:
        first.append(record[:4])
        return bad(record) if record[:4] == first[0] else reply(record, wire.words(42))

    def handle(stream: Any) -> None:
        while True:
            answered = answer(stream.read_record())
            if answered is not None:
                stream.send(wire.frame(answered))

    def handle_datagram(sock: socket.socket, data: bytes, address: Any) -> None:
        answered = answer(data)
        if answered is not None:
            sock.sendto(answered, address)

    with tcp(handle) if transport == "tcp" else datagrams(handle_datagram) as endpoint:
        yield str(endpoint)


def said(*words: int) -> Bad:
    """A reply to the right xid, of these words."""
    return lambda record: record[:4] + wire.words(*words)


BAD: dict[str, tuple[Bad, type[Exception]]] = {
    "header cut": (said(1, 0), errors.BadReply),
    "result cut": (said(1, 0, 0, 0, 0), errors.BadReply),
    "mismatch cut": (said(1, 0, 0, 0, 2, 1), errors.BadReply),
    "result too long": (said(1, 0, 0, 0, 0, 42, 42), errors.BadReply),
    "verifier too long": (
        lambda record: record[:4] + wire.words(1, 0, 0) + wire.opaque(bytes(404)),
        errors.BadReply,
    ),
    "no reply_stat": (said(1, 9), errors.BadReply),
    "no accept_stat": (said(1, 0, 0, 0, 77), errors.BadReply),
    "no auth_stat": (said(1, 1, 1, 999), errors.BadReply),
    "RPC_MISMATCH": (said(1, 1, 0, 3, 4), errors.RpcMismatch),
    "AUTH_TOOWEAK": (said(1, 1, 1, 5), errors.AuthError),
    "PROG_UNAVAIL": (said(1, 0, 0, 0, 1), errors.ProgUnavail),
    "PROG_MISMATCH": (said(1, 0, 0, 0, 2, 1, 3), errors.ProgMismatch),
    "SYSTEM_ERR": (said(1, 0, 0, 0, 5), errors.SystemErr),
    "another xid": (lambda record: wire.words(1, 1, 0, 0, 0, 0, 42), errors.TimedOut),
    "an xid alone": (lambda record: record[:4], errors.TimedOut),
    "neither call nor reply": (said(7, 0, 0, 0, 0, 42), errors.TimedOut),
    "nothing in it": (lambda record: b"", errors.TimedOut),
    "silence": (lambda record: None, errors.TimedOut),
}


@both
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("name", BAD)
def test_a_reply_that_is_none(calls: Calls, transport: str, name: str) -> None:
    bad, error = BAD[name]
    patience = 0.2 if error is errors.TimedOut else 20
    begun = time.monotonic()
    with answering(transport, bad) as url:
        first, second = calls(url, patience, 20)
    assert type(first) is error, first
    assert second == 42
    assert time.monotonic() - begun < 10


def flood(stream: Any) -> None:
    """Replies to calls that nobody made, without end."""
    stream.read_record()
    while True:
        stream.send(wire.frame(wire.words(1, 1, 0, 0, 0, 0, 42)) * 1000)


def empty(stream: Any) -> None:
    """Fragments with nothing in them, without end."""
    stream.read_record()
    while True:
        stream.send(bytes(4000))


def fragments(stream: Any) -> None:
    """A record without end."""
    stream.read_record()
    while True:
        stream.send((wire.words(1 << 16) + bytes(1 << 16)) * 10)


def late(stream: Any) -> None:
    """A record whose rest does not come."""
    record = stream.read_record()
    stream.send(wire.words(1 << 31 | 1 << 20) + record[:4] + bytes(1000))
    stream.is_closed()


def web(stream: Any) -> None:
    """A server of another protocol."""
    stream.read_record()
    stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    stream.is_closed()


def half(stream: Any) -> None:
    """A record that ends in the middle."""
    stream.send(wire.frame(reply(stream.read_record(), wire.words(42)))[:-2])


@both
@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("handle", "error", "text"),
    [
        (flood, errors.TimedOut, "no answer to ADD in time"),
        (late, errors.TimedOut, "no answer to ADD in time"),
        (empty, errors.BadReply, "max_fragments"),
        (fragments, errors.BadReply, "max_record"),
        (web, errors.BadReply, "exceeds max_record"),
        (half, errors.NotReached, "closed the connection"),
    ],
)
def test_a_stream_that_is_none(
    calls: Calls, handle: Callable[[Any], None], error: type[Exception], text: str, lenient: bool
) -> None:
    with tcp(handle) as endpoint:
        patience = 0.3 if error is errors.TimedOut else 20
        begun = time.monotonic()
        (found,) = calls(str(endpoint), patience, lenient=lenient)
        assert time.monotonic() - begun < 10
    assert type(found) is error and text in str(found), found
    assert str(endpoint) in str(found)


@both
def test_a_reply_from_another_address(calls: Calls) -> None:
    """From another port of the server's host, and from its port on another host."""

    def handle(sock: socket.socket, data: bytes, address: Any) -> None:
        for host, port in (("127.0.0.1", 0), ("127.0.0.2", sock.getsockname()[1])):
            with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                stranger.bind((host, port))
                stranger.sendto(reply(data, wire.words(66)), address)
        sock.sendto(reply(data, wire.words(42)), address)

    with datagrams(handle) as endpoint:
        assert calls(str(endpoint), 20) == [42]


@both
def test_an_rpcbind_that_names_what_is_something_else(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MEMORY", 0)  # seconds

    class Other(rpc.Version, prog=0x20000777, vers=1):
        pass

    class Another(rpc.Service, version=Other):
        pass

    with (
        tcp(web) as website,
        socket.socket(type=socket.SOCK_DGRAM) as free,
        Portmapper(["tcp://127.0.0.1:0"]) as portmap,
        serve(Another(), listen=["tcp://127.0.0.1:0"], register=False) as other,
    ):
        (url,) = portmap.start().endpoints
        free.bind(("127.0.0.1", 0))
        nobody = Endpoint("udp", *free.getsockname())
        free.close()

        def told(place: Endpoint) -> Outcome:
            entry = Registration(ECHO_V2._prog, 2, place.transport, place.uaddr, "superuser")
            assert portmap.table.set(entry)
            (found,) = calls("localhost", 20, rpcbind=url, transport=place.transport)
            assert portmap.table.unset(ECHO_V2._prog, 2, place.transport, "superuser")
            return found

        assert isinstance(told(website), errors.BadReply)
        assert isinstance(told(nobody), errors.NotReached)
        other.start()
        assert isinstance(told(parse_url(other.endpoints[0])), errors.ProgUnavail)


class BIG(rpc.Version, prog=ECHO_V2._prog, vers=2):
    LENGTH: rpc.Procedure[int] = rpc.Procedure(2, "length", [xdr.Opaque()], xdr.Int)


@pytest.mark.parametrize("resend", [False, True])
def test_a_call_that_no_datagram_has_room_for(resend: bool) -> None:
    """It is refused before it is sent, and the calls beside it go on."""
    longest = MAX_UDP // 4 * 4 - 44  # of header and length

    async def on_asyncio(url: str) -> None:
        async with aio.connect(AsyncEcho, url, timeout=20) as client:
            channel = client.channel
            beside = asyncio.ensure_future(client.add(20, 22))
            with pytest.raises(errors.UsageError, match="bytes does not fit"):
                await channel.call(BIG, BIG.LENGTH, (bytes(longest + 1),), resend=resend)
            assert await beside == 42
            with pytest.raises(errors.GarbageArgs):  # the server got it, and knows ints only
                await channel.call(BIG, BIG.LENGTH, (bytes(longest),))

    with serve(Echo(), listen=["udp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        with connect(EchoClient, url, timeout=20) as client:
            channel = client.channel
            with channel.batch() as batch:
                beside = batch.call(client.add, 20, 22)
                with pytest.raises(errors.UsageError, match="call it over TCP"):
                    channel.call(BIG, BIG.LENGTH, (bytes(longest + 1),), resend=resend)
            assert beside.result() == 42
            with pytest.raises(errors.GarbageArgs):
                channel.call(BIG, BIG.LENGTH, (bytes(longest),))
        asyncio.run(on_asyncio(url))
