"""Calls in both directions: every kind of server, over the same connection and a new one."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from rpcserver import aio, connect, errors, load_service, rpc, serve, serve_on, testing
from rpcserver.auth import SysClient, SysCredential
from rpcserver.clients.calls_back import MAX_CALLS_BACK
from tests.cli.command import RPCSERVER, environment
from tests.peers import wire
from tests.peers.process import Process, until
from tests.rpc.echo import ECHO_V2, Echo, EchoClient
from tests.servers import callbacks
from tests.servers.callbacks import CALLER, Caller, CallerAsyncClient, CallerClient

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "callbacks.md"
WAYS = {
    "same connection, `def`": (CALLER.PLAIN, False),
    "same, `@blocking`": (CALLER.BLOCKING, False),
    "same, `async def`": (CALLER.ASYNC, False),
    "new connection, `def`": (CALLER.PLAIN, True),
    "new, `@blocking`": (CALLER.BLOCKING, True),
    "new, `async def`": (CALLER.ASYNC, True),
}


def cells() -> Iterator[tuple[str, str, str]]:
    """The table of the documentation: kind, way, what it says of them."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("|")
    ]
    head, _, *kinds = rows
    for kind, *said in kinds:
        for way, cell in zip(head[1:], said, strict=True):
            yield kind.strip("`"), way, cell


def test_the_table_is_whole() -> None:
    found = list(cells())
    assert {way for _, way, _ in found} == set(WAYS)
    assert {kind for kind, _, _ in found} == {
        "sync", "threads", "forks", "select", "asyncio", "workers", "processes", "datagrams",
    }  # fmt: skip
    assert {cell for *_, cell in found} == {"works", "refused"}


@contextmanager
def serving(kind: str) -> Iterator[str]:
    """The service in a server of that kind: its URL."""
    if kind == "processes":
        with serve(
            load_service("tests.servers.callbacks:Caller"),
            register=False,
            executor=lambda: ProcessPoolExecutor(1, get_context("spawn")),
        ) as server:
            yield server.start().endpoints[0]
        return
    transport = "udp" if kind == "datagrams" else "tcp"
    how = {"workers": ["--workers", "2"], "datagrams": []}.get(kind, ["--kind", kind])
    name = "tests.servers.callbacks:Caller"
    listen = ["--no-register", "--listen", f"{transport}://127.0.0.1:0"]
    command = [*RPCSERVER, "serve", name, *listen, *how]
    with Process(command, env=environment()) as process:
        yield process.wait_for(r"^listening (.*)$")[1]


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in cells()}))
def test_the_table_is_right(kind: str) -> None:
    with (
        serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as own,
        serving(kind) as url,
        connect(CallerClient, url, timeout=20) as client,
    ):
        own.start()
        if kind != "datagrams":
            serve_on(client, Echo())
        for _, way, cell in (each for each in cells() if each[0] == kind):
            procedure, anew = WAYS[way]
            begun = time.monotonic()
            said = client.ask(procedure, own.endpoints[0] if anew else "")
            assert said.partition(":")[0] == cell, f"{kind}, {way}: {said}"
            if cell == "refused":
                assert time.monotonic() - begun < 3
                assert "connect to" in said or "@rpcserver.blocking" in said


@pytest.mark.parametrize("kind", ["threads", "select", "asyncio"])
def test_a_client_on_asyncio_serves_too(kind: str) -> None:
    async def main(url: str) -> None:
        async with aio.connect(CallerAsyncClient, url, timeout=20) as client:
            serve_on(client, Echo())
            for procedure in (CALLER.BLOCKING, CALLER.ASYNC):
                calls = [client.ask(procedure, "") for _ in range(20)]
                assert await asyncio.gather(*calls) == ["works"] * 20

    with serve(Caller(), register=False, kind=kind) as server:
        asyncio.run(main(server.start().endpoints[0]))


KINDS = ("sync", "threads", "select", "asyncio")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with serve(Caller(), register=False, kind=request.param, close_timeout=1) as server:
        yield server.start().endpoints[0]


def test_a_blocking_client_in_a_task_is_refused(url: str) -> None:
    with connect(CallerClient, url) as client:
        serve_on(client, Echo())
        assert "awaits an AsyncClient" in client.ask(CALLER.WRONG, "")


def test_a_client_that_serves_nothing_refuses(url: str) -> None:
    with connect(CallerClient, url) as client:
        assert client.ask(CALLER.BLOCKING, "").startswith("failed: ProgUnavail")


def test_many_calls_both_ways_at_once(url: str) -> None:
    with connect(CallerClient, url, timeout=30) as client, ThreadPoolExecutor(10) as pool:
        serve_on(client, Echo())
        asked = [pool.submit(client.ask, CALLER.BLOCKING, "") for _ in range(100)]
        assert {each.result() for each in asked} == {"works"}


def test_the_way_back_may_be_kept(url: str) -> None:
    callbacks.LATER.clear()
    with connect(CallerClient, url) as client:
        serve_on(client, Echo())
        client.ask(CALLER.LATER, "")
        (back,) = callbacks.LATER
        for number in range(20):  # from another thread than the server's
            assert back.add(number, 1) == number + 1
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda number: back.add(number, 1), range(100)))
        assert found == list(range(1, 101))
    with pytest.raises(errors.NotReached):
        until("the end", lambda: back.add(1, 1) and None)


def test_who_called_back_and_with_what_credential(url: str) -> None:
    seen: list[rpc.Call] = []

    class Asked(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            seen.append(call)
            return a + b

    callbacks.LATER.clear()
    with connect(CallerClient, url) as client:
        serve_on(client, Asked())
        client.ask(CALLER.LATER, "")
        me = SysCredential(5, 6, (), "m", 7)
        rpc.using(callbacks.LATER[0], flavor=SysClient(me)).add(1, 1)
        (call,) = seen
        assert call.credential == me
        assert f"{call.peer}" == url and call.connection is None


def test_the_server_goes_while_it_is_called_back(url: str) -> None:
    go_on = threading.Event()

    class Slow(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            go_on.wait(20)
            return a + b

    with connect(CallerClient, url, timeout=20) as client, ThreadPoolExecutor(1) as pool:
        serve_on(client, Slow())
        asked = pool.submit(client.ask, CALLER.BLOCKING, "")
        until("the call back", lambda: not client.channel._engine.idle)
        client.channel.close()
        with pytest.raises(errors.NotReached):
            asked.result()
        go_on.set()


def test_calls_back_that_are_not_answered_are_bounded() -> None:
    """A hundred thousand of them: the client reads none, and the server lives on."""
    with serve(Caller(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        host, _, port = url.removeprefix("tcp://").partition(":")
        call = wire.call(callbacks.PROG, 1, 6, wire.words(100_000))
        with wire.Stream((host, int(port))) as stream:
            stream.send(wire.frame(call))
            with connect(CallerClient, url, timeout=30) as other:
                serve_on(other, Echo())
                assert other.ask(CALLER.BLOCKING, "") == "works"


def test_a_flood_of_calls_back_ends_the_connection() -> None:
    """From a server that waits for no answers; ours runs one method after the other."""
    go_on = threading.Event()

    class Slow(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            go_on.wait(20)
            return a + b

    with serve(Caller(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        with connect(CallerClient, url, timeout=20) as client:
            serve_on(client, Slow())
            client.ask(CALLER.TOLD, 1000)
            with pytest.raises(errors.BadReply, match=f"more than {MAX_CALLS_BACK} calls"):
                client.ask(CALLER.BLOCKING, "")  # who waits for the reply reads all of them
            go_on.set()
            assert client.ask(CALLER.TOLD, 1) is None  # over another connection


def test_replies_that_nobody_asked_for_are_nothing(url: str) -> None:
    host, _, port = url.removeprefix("tcp://").partition(":")
    ask = wire.call(callbacks.PROG, 1, 2, wire.opaque(b""), xid=9)
    with wire.Stream((host, int(port))) as stream:
        stream.send(wire.frame(wire.words(77, 1, 0, 0, 0, 0, 5)) + wire.frame(ask))
        called = stream.read_record()
        assert called[4:8] == wire.words(0) and called[12:20] == wire.words(ECHO_V2._prog, 2)
        xid = called[:4]
        stale = wire.words(78, 1, 0, 0, 0, 0, 5)
        stream.send(wire.frame(stale) + wire.frame(xid + wire.words(1, 0, 0, 0, 0, 42)))
        reply = wire.parse_reply(stream.read_record())
        assert reply.xid == 9 and reply.results == wire.opaque(b"works")


def test_where_there_is_no_connection() -> None:
    class Asking(Echo):
        def add(self, call: rpc.Call, a: int, b: int) -> int:
            with pytest.raises(errors.UsageError, match="no way back"):
                call.client(EchoClient)
            return 1

    assert testing.connect(EchoClient, Asking()).add(1, 1) == 1
    with serve(Echo(), register=False) as server:
        url = server.start().endpoints[1]
        with connect(EchoClient, url) as client:
            with pytest.raises(errors.UsageError, match="datagrams have no connection"):
                serve_on(client, Echo())
    with pytest.raises(errors.UsageError, match="has no connection"):
        serve_on(testing.connect(EchoClient, Echo()), Echo())
    dispatched: Any = rpc.Connection()
    with pytest.raises(errors.UsageError, match="no way back"):
        dispatched.client(EchoClient)


@pytest.mark.parametrize("kind", ["threads", "select", "asyncio"])
def test_replies_behind_more_calls_than_may_be_in_flight(kind: str) -> None:
    """A client that sends all its calls, and only then looks what the server asks."""
    count = 300
    with serve(Caller(), listen=["tcp://127.0.0.1:0"], register=False, kind=kind) as server:
        (url,) = server.start().endpoints
        with connect(CallerClient, url, timeout=30) as client:
            serve_on(client, Echo())
            with client.channel.batch() as batch:
                calls = [batch.call(client.ask, CALLER.BLOCKING, "") for _ in range(count)]
            assert {each.result() for each in calls} == {"works"}


def test_a_call_that_is_not_whole_while_a_method_calls_back(url: str) -> None:
    """Its rest comes with the reply to the method's call, in pieces."""
    host, _, port = url.removeprefix("tcp://").partition(":")
    ask = wire.frame(wire.call(callbacks.PROG, 1, 2, wire.opaque(b""), xid=1))
    null = wire.frame(wire.call(callbacks.PROG, 1, 0, xid=2))
    with wire.Stream((host, int(port))) as stream:
        stream.send(ask + null + null[:7])
        called: list[bytes] = []
        replies: list[int] = []

        def read() -> None:
            record = stream.read_record()
            if record[4:8] == wire.words(0):
                called.append(record)
            else:
                replies.append(wire.parse_reply(record).xid)

        while not called:
            read()
        answer = wire.frame(called[0][:4] + wire.words(1, 0, 0, 0, 0, 42))
        for piece in (null[7:] + answer[:3], answer[3:] + null):
            stream.send(piece)
        while len(replies) < 4:
            read()
        assert sorted(replies) == [1, 2, 2, 2]
