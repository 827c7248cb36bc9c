"""What clients do about lost connections, servers that move, and replies that break rules."""

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Literal, TypeAlias

import pytest

from rpcserver import aio, connect, errors, rpc, serve, using, xdr
from rpcserver.clients.finding import given_endpoint, locate
from rpcserver.clients.opening import PRIVILEGED_PORTS, Opener
from rpcserver.clients.resending import pauses
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.servers.portmap import Portmapper
from tests.clients.test_aio import AsyncEcho
from tests.clients.test_blocking import reply, tcp
from tests.peers import wire
from tests.peers.process import until
from tests.rpc.echo import ECHO_V2, Echo, EchoClient

Add = Callable[[str, dict[str, Any]], int]


def add(url: str, options: dict[str, Any]) -> int:
    with connect(EchoClient, url, timeout=10) as client:
        return using(client, **options).add(1, 1)


def add_async(url: str, options: dict[str, Any]) -> int:
    async def main() -> int:
        async with aio.connect(AsyncEcho, url, timeout=10) as client:
            return await using(client, **options).add(1, 1)

    return asyncio.run(main())


both = pytest.mark.parametrize("call", [add, add_async])


@both
def test_a_call_that_may_run_twice_is_sent_again_over_another_connection(call: Add) -> None:
    seen: list[bytes] = []

    def handle(stream: Any) -> None:
        seen.append(stream.read_record())
        if len(seen) > 2:
            stream.send(wire.frame(reply(seen[-1], wire.words(2))))
            stream.is_closed()

    with tcp(handle) as endpoint:
        assert call(str(endpoint), {"resend": True}) == 2
        assert len(seen) == 3 and len(set(seen)) == 1  # the same xid, the same bytes
        seen.clear()
        with pytest.raises(errors.NotReached):
            call(str(endpoint), {})
        assert len(seen) == 1


@both
def test_it_is_sent_until_its_time_is_over(call: Add) -> None:
    seen: list[bytes] = []

    def handle(stream: Any) -> None:
        seen.append(stream.read_record())

    with tcp(handle) as endpoint, pytest.raises((errors.NotReached, errors.TimedOut)):
        call(str(endpoint), {"resend": True, "timeout": 0.5})
    assert len(seen) >= 2


def test_pauses_double_with_jitter_up_to_a_limit() -> None:
    for _ in range(20):
        found = pauses(1, 8)
        for wanted in (1, 2, 4, 8, 8, 8):
            assert 0.75 * wanted <= next(found) <= 1.25 * wanted
    assert len({next(pauses(1, 8)) for _ in range(20)}) > 1


def test_a_server_that_moved_is_asked_for_again() -> None:
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        with serving(url):
            client = connect(EchoClient, "localhost", rpcbind=url, timeout=10)
            assert client.add(1, 1) == 2
        with serving(url) as second, client:
            assert client.add(1, 1) == 2
            assert str(client.channel.endpoint) == second


def test_on_asyncio_too() -> None:
    async def main(url: str) -> None:
        with serving(url):
            client = await aio.connect(AsyncEcho, "localhost", rpcbind=url, timeout=10)
            assert await client.add(1, 1) == 2
        with serving(url) as second:
            assert await using(client, resend=True).add(1, 1) == 2
            assert str(client.channel.endpoint) == second
            await client.channel.close()

    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        asyncio.run(main(portmap.start().endpoints[0]))


@contextmanager
def serving(rpcbind: str) -> Iterator[str]:
    with serve(Echo(), listen=["tcp://127.0.0.1:0"], rpcbind=rpcbind) as server:
        yield server.start().endpoints[0]


def test_a_lookup_is_remembered_and_forgotten_when_the_port_refuses() -> None:
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        asked = portmap.engine.counters
        with serving(url) as first:
            for _ in range(3):
                with connect(EchoClient, "localhost", rpcbind=url) as client:
                    assert client.add(1, 1) == 2
            lookups = [each for each in asked.counts() if (each.vers, each.proc) == (4, 3)]
            assert sum(each.calls for each in lookups) == 1
        with serving(url) as second:
            assert second != first
            with connect(EchoClient, "localhost", rpcbind=url) as client:
                assert client.add(1, 1) == 2
        with pytest.raises(errors.NotReached):
            connect(EchoClient, "localhost", rpcbind=url)


def test_a_server_that_was_restarted_while_nobody_called() -> None:
    """The connection has ended, and nobody has noticed yet: the call is not lost in it."""
    with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        client = connect(EchoClient, url)
        assert client.add(1, 1) == 2
    with serve(Echo(), listen=[url], register=False) as server, client:
        server.start()
        assert client.add(1, 1) == 2


@pytest.mark.parametrize(
    ("target", "transport", "found"),
    [
        ("tcp://a:1", None, "tcp://a:1"),
        ("lab7.example:4000", None, "tcp://lab7.example:4000"),
        ("192.0.2.7:4000", "udp", "udp://192.0.2.7:4000"),
        ("[2001:db8::7]:4000", "tcp", "tcp://[2001:db8::7]:4000"),
        ("lab7.example", None, "None"),
        ("2001:db8::7", None, "None"),
        ("::1", "udp", "None"),
    ],
)
def test_targets(target: str, transport: str | None, found: str) -> None:
    assert str(given_endpoint(target, transport)) == found


@pytest.mark.parametrize(
    ("target", "transport", "why"),
    [
        ("a:1", "unix", "a UNIX socket has none"),
        ("a:0", None, "1 to 65535"),
        ("a:65536", None, "1 to 65535"),
        ("a:1", "sctp", "unknown transport"),
    ],
)
def test_targets_that_make_no_sense(target: str, transport: str, why: str) -> None:
    with pytest.raises(errors.UsageError, match=why):
        given_endpoint(target, transport)


@contextmanager
def closing() -> Iterator[str]:
    """A server that hangs up on the first call, and then lets nobody in: its queue is full."""
    waiting = [socket.socket() for _ in range(8)]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                for each in waiting:
                    each.setblocking(False)
                    each.connect_ex(listener.getsockname())

        thread = threading.Thread(target=run)
        thread.start()
        yield "tcp://{}:{}".format(*listener.getsockname())
        thread.join()
        for each in waiting:
            each.close()


def test_the_time_to_connect_is_its_own() -> None:
    """A client's, or a call's, within the time of the call."""
    with closing() as url, connect(EchoClient, url, timeout=20, connect_timeout=0.4) as client:
        with pytest.raises(errors.NotReached, match="closed the connection"):
            client.add(1, 1)
        for options, limit in (({}, 0.4), ({"connect_timeout": 0.1}, 0.1), ({"timeout": 0.2}, 0.2)):
            begun = time.monotonic()
            with pytest.raises(errors.NotReached, match="timed out"):
                using(client, **options).add(1, 1)
            assert limit <= time.monotonic() - begun < 10
        with pytest.raises(errors.NotReached, match="timed out"):
            connect(EchoClient, url, timeout=20, connect_timeout=0.1)


def test_the_time_to_connect_on_asyncio() -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url, timeout=20, connect_timeout=0.4) as client:
            with pytest.raises(errors.NotReached, match="closed the connection"):
                await client.add(1, 1)
            for options, limit in (({}, 0.4), ({"connect_timeout": 0.1}, 0.1)):
                begun = time.monotonic()
                with pytest.raises(errors.NotReached, match="timed out"):
                    await using(client, **options).add(1, 1)
                assert limit <= time.monotonic() - begun < 10
            with pytest.raises(errors.NotReached, match="no connection in time"):
                await using(client, timeout=0.2).add(1, 1)
            with pytest.raises(errors.NotReached, match="timed out"):
                await aio.connect(AsyncEcho, url, timeout=20, connect_timeout=0.1)

    with closing() as url:
        asyncio.run(main(url))


@pytest.mark.skipif(os.geteuid() != 0, reason="ports below 1024 need root")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_privileged_port(transport: str) -> None:
    peers: list[rpc.Call] = []

    class Told(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            peers.append(call)
            return a + b

    with serve(Told(), listen=[f"{transport}://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        for privileged in (True, True, False):
            with connect(EchoClient, url, privileged_port=privileged) as client:
                client.add(1, 1)
    ports = [call.peer.address[1] for call in peers]
    assert [port in PRIVILEGED_PORTS for port in ports] == [True, True, False]


def test_a_privileged_port_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(errors.NotReached, match="no privileged port to call from"):
        Opener(Endpoint("tcp", "127.0.0.1", 1), privileged_port=True).open(1)


def test_keep_alive() -> None:
    with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        for seconds, on in ((60.0, 1), (7.0, 1), (None, 0)):
            with Opener(parse_url(url), keep_alive=seconds).open(5) as sock:
                assert isinstance(sock, socket.socket)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == on
                if seconds is not None:
                    idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                    assert idle == seconds


# --- lenient clients ------------------------------------------------------------------------------


class Mood(IntEnum):
    GOOD = 1
    BAD = 2


@dataclass(slots=True)
class ResGood(xdr.Arm, on=Mood, case=[Mood.GOOD]):
    mood: ClassVar[Literal[Mood.GOOD]] = Mood.GOOD


@dataclass(slots=True)
class ResBad(xdr.Arm, on=Mood, case=[Mood.BAD]):
    mood: ClassVar[Literal[Mood.BAD]] = Mood.BAD


Res: TypeAlias = ResGood | ResBad


class ODD(rpc.Version, prog=ECHO_V2._prog, vers=2):
    TEXT: rpc.Procedure[str] = rpc.Procedure(1, "text", [], xdr.String())
    MOOD: rpc.Procedure[Mood] = rpc.Procedure(2, "mood", [], Mood)
    RES: rpc.Procedure[Res] = rpc.Procedure(3, "res", [], Res)


class OddClient(rpc.Client, version=ODD):
    def ask(self, procedure: rpc.Procedure[Any]) -> Any:
        return self._call(procedure)


class OddAsyncClient(rpc.AsyncClient, version=ODD):
    async def ask(self, procedure: rpc.Procedure[Any]) -> Any:
        return await self._call(procedure)


def ask(url: str, procedure: rpc.Procedure[Any], lenient: bool) -> Any:
    with connect(OddClient, url, timeout=2, lenient=lenient) as client:
        return client.ask(procedure)


def ask_async(url: str, procedure: rpc.Procedure[Any], lenient: bool) -> Any:
    async def main() -> Any:
        async with aio.connect(OddAsyncClient, url, timeout=2, lenient=lenient) as client:
            return await client.ask(procedure)

    return asyncio.run(main())


@pytest.mark.parametrize("ask", [ask, ask_async])
@pytest.mark.parametrize(
    ("procedure", "results", "value"),
    [
        (ODD.TEXT, wire.opaque(b"abcd") + bytes(4), "abcd"),
        (ODD.MOOD, wire.words(5), 5),
        (ODD.MOOD, wire.words(1, 0), Mood.GOOD),
        (ODD.RES, wire.words(5), xdr.UnknownArm(5)),
        (ODD.RES, wire.words(5, 6, 7), xdr.UnknownArm(5)),
    ],
)
def test_results_that_their_type_has_not(
    ask: Any, procedure: rpc.Procedure[Any], results: bytes, value: Any
) -> None:
    def handle(stream: Any) -> None:
        stream.send(wire.frame(reply(stream.read_record(), results)))
        stream.is_closed()

    with tcp(handle) as endpoint:
        assert ask(str(endpoint), procedure, True) == value
        with pytest.raises(errors.BadReply):
            ask(str(endpoint), procedure, False)


@pytest.mark.parametrize("ask", [ask, ask_async])
@pytest.mark.parametrize("size", [1000, 8, 5])
def test_a_last_fragment_that_is_not_marked(ask: Any, size: int) -> None:
    def handle(stream: Any) -> None:
        while True:
            whole = reply(stream.read_record(), wire.opaque(b"abcdefghijkl"))
            for start in range(0, len(whole), size):
                part = whole[start : start + size]
                stream.send(wire.words(len(part)) + part)

    with tcp(handle) as endpoint:
        assert ask(str(endpoint), ODD.TEXT, True) == "abcdefghijkl"
        with pytest.raises(errors.TimedOut):
            ask(str(endpoint), ODD.TEXT, False)


def test_lenient_clients_understand_peers_that_keep_the_rules() -> None:
    def handle(stream: Any) -> None:
        while True:
            whole = reply(stream.read_record(), wire.opaque(b"x" * 1000))
            for part in (wire.frame(whole, 300)[:650], wire.frame(whole, 300)[650:]):
                stream.send(part)

    with tcp(handle) as endpoint, connect(OddClient, str(endpoint), lenient=True) as client:
        for _ in range(100):
            assert client.ask(ODD.TEXT) == "x" * 1000


@pytest.mark.parametrize("ask", [ask, ask_async])
def test_records_that_never_end_are_bounded(ask: Any) -> None:
    def handle(stream: Any) -> None:
        record = stream.read_record()
        stream.send(wire.words(4) + record[:4])
        while True:
            stream.send(wire.words(4, 0))
            stream.socket.settimeout(0.001)
            try:
                stream.socket.recv(1)
            except TimeoutError:
                pass

    with tcp(handle) as endpoint, pytest.raises(errors.BadReply, match="not marked"):
        ask(str(endpoint), ODD.TEXT, True)


def test_trailing_arguments() -> None:
    record = wire.call(ECHO_V2._prog, 2, 2, wire.words(1, 2, 3))
    for allowed, stat in ((False, wire.GARBAGE_ARGS), (True, wire.SUCCESS)):
        with serve(Echo(), register=False, trailing_arguments=allowed) as server:
            for url in server.start().endpoints:
                place = parse_url(url)
                address = place.host, place.port
                data = (
                    wire.tcp_exchange(address, record)
                    if place.stream
                    else wire.udp_exchange(address, record)
                )
                assert data is not None
                assert wire.parse_reply(data).accept_stat == stat


# --- rpcbinds that are old or hostile -------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_portmapper_that_says_nothing_to_newer_versions(stream: bool) -> None:
    """Many an instrument has one."""
    over = threading.Event()

    def answer(record: bytes) -> bytes | None:
        if int.from_bytes(record[16:20]) != 2:
            return None
        return reply(record, wire.words(4000))

    def handle(connection: Any) -> None:
        while (record := connection.read_record()) and not over.is_set():
            answered = answer(record)
            if answered is None and record[16:20] == wire.words(4):
                return  # hangs up
            if answered is not None:
                connection.send(wire.frame(answered))

    def datagrams(sock: socket.socket) -> None:
        while not over.is_set():
            data, address = sock.recvfrom(1000)
            answered = answer(data)
            if answered is not None:
                sock.sendto(answered, address)

    if stream:
        with tcp(handle) as endpoint:
            found = locate("127.0.0.1", 1, 1, rpcbind=str(endpoint), timeout=4)
        assert str(found) == "tcp://127.0.0.1:4000"
        return
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=datagrams, args=[sock])
        thread.start()
        url = f"udp://127.0.0.1:{sock.getsockname()[1]}"
        found = locate("127.0.0.1", 1, 1, rpcbind=url, timeout=2, transport="udp")
        assert str(found) == "udp://127.0.0.1:4000"
        over.set()
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", sock.getsockname())
        thread.join()


def test_an_rpcbind_that_hangs() -> None:
    def handle(stream: Any) -> None:
        while stream.socket.recv(4096):
            pass

    with tcp(handle) as endpoint:
        begun = time.monotonic()
        with pytest.raises(errors.TimedOut, match="no rpcbind reached .*no answer"):
            locate("127.0.0.1", 1, 1, rpcbind=str(endpoint), timeout=0.5)
        assert time.monotonic() - begun < 5


# --- staying registered ---------------------------------------------------------------------------


def registered(url: str) -> list[int]:
    from rpcserver.clients.finding import open_rpcbind

    with open_rpcbind(url) as asked:
        return sorted(each.prog for each in asked.dump() if each.prog == ECHO_V2._prog)


@pytest.mark.parametrize("kind", ["select", "forks", "workers"])
def test_an_rpcbind_that_was_restarted_is_told_again(kind: str) -> None:
    options: dict[str, Any] = {"workers": 2} if kind == "workers" else {"kind": kind}
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        server = serve(Echo(), rpcbind=url, heartbeat=0.1, **options)
        thread = threading.Thread(target=server.serve_forever)
        if kind != "workers":
            thread.start()
            assert len(registered(url)) == 2
    if kind == "workers":  # fork and threads do not go together: this one is not served
        with Portmapper([url]) as portmap:
            portmap.start()
            server._regular[0]._function()
            assert len(registered(url)) == 2
            server.close()
            assert registered(url) == []
        return
    with Portmapper([url]) as portmap:
        portmap.start()
        until("the registration", lambda: len(registered(url)) == 2)
        server.shutdown()
        thread.join()
        server.close()
        assert registered(url) == []


def test_an_rpcbind_that_comes_later_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"tcp://127.0.0.1:{sock.getsockname()[1]}"
    with serve(Echo(), rpcbind=url, heartbeat=0.05) as server:
        server.start()
        assert "not registered" in caplog.text
        with Portmapper([url]) as portmap:
            portmap.start()
            until("the registration", lambda: len(registered(url)) == 2)
            server.close()
            assert registered(url) == []


def test_what_it_is_if_nobody_can_be_told(caplog: pytest.LogCaptureFixture) -> None:
    url = "unix:///nowhere/sock"
    with pytest.raises(errors.UsageError, match="cannot register: no rpcbind reached"):
        serve(Echo(), rpcbind=url, register="fatal")
    serve(Echo(), rpcbind=url, register="silent").close()
    assert "not registered" not in caplog.text
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        with serve(Echo(), rpcbind=url) as server:
            server.start()
            with pytest.raises(errors.UsageError, match="is served at"):
                serve(Echo(), rpcbind=url)
            serve(Echo(), rpcbind=url, register="warning").close()
            assert "is served at" in caplog.text
            assert len(registered(url)) == 2  # what is another's stays
    with pytest.raises(errors.UsageError, match="register is True, False or one of"):
        serve(Echo(), register="loud")


# --- datagrams to a port that nobody has any more ------------------------------------------------


@both
def test_a_datagram_that_came_to_nobody_is_sent_to_where_the_service_is_now(
    call: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was remembered was wrong; the call cannot have run."""
    calls: list[int] = []

    class Counted(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            calls.append(1)
            return a + b

    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        monkeypatch.setenv("RPCSERVER_RPCBIND", url)
        for _ in range(2):
            with serve(Counted(), listen=["udp://127.0.0.1:0"]) as server:
                server.start()
                assert call("localhost", {}) == 2
        assert len(calls) == 2
        with pytest.raises(errors.NotReached):  # and once is enough
            call("localhost", {})
