"""asyncio's channels, against our servers and against some by hand that misbehave."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from rpcserver import aio, errors, rpc, using
from rpcserver.auth import SysCredential
from rpcserver.clients.aio import open_channel
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.servers.portmap import Portmapper
from rpcserver.servers.serve import serve
from tests.peers import wire
from tests.rpc.echo import ECHO_V2, Echo


class AsyncEcho(rpc.AsyncClient, version=ECHO_V2):
    async def echo(self, text: str) -> str:
        return await self._call(ECHO_V2.ECHO, text)

    async def add(self, a: int, b: int) -> int:
        return await self._call(ECHO_V2.ADD, a, b)

    async def who(self) -> str:
        return await self._call(ECHO_V2.WHO)

    async def fail(self, how: int) -> None:
        return await self._call(ECHO_V2.FAIL, how)

    async def twice(self, number: int) -> int:
        await asyncio.sleep(0)
        return await self.add(number, number)


def run(main: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


PLACES = [
    "tcp://127.0.0.1:0",
    "udp://127.0.0.1:0",
    "tcp://[::1]:0",
    "udp://[::1]:0",
    "unix://{}/sock",
    "unixgram://{}/sock",
]


@pytest.mark.parametrize("listen", PLACES)
def test_calls(listen: str, tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url) as client:
            assert await client.echo("ä") == "ä"
            assert await client.add(-5, 3) == -2
            assert await client.who() == "None"
            with pytest.raises(errors.SystemErr):
                await client.fail(0)
            with pytest.raises(errors.AuthError):
                await client.fail(2)
            with pytest.raises(errors.XdrError, match="args: 65 bytes exceed"):
                await client.echo("x" * 65)
            assert await client.add(1, 1) == 2
        with pytest.raises(errors.NotReached, match="the channel is closed"):
            await client.add(1, 1)
        credential = SysCredential(5, 6, (7,), "m", 8)
        other = await aio.connect(AsyncEcho, url, credentials=credential)
        assert await other.who() == repr(credential)
        await other.channel.close()

    with serve(Echo(), listen=[listen.format(tmp_path)], register=False) as server:
        server.start()
        run(main(server.endpoints[0]))


def test_many_calls_share_a_connection() -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url, max_in_flight=300) as client:
            answers = await asyncio.gather(*(client.add(n, 1) for n in range(10_000)))
            assert answers == list(range(1, 10_001))

    with serve(Echo(), register=False) as server:
        server.start()
        run(main(server.endpoints[0]))
        assert server.stats().requests == 1


@pytest.mark.parametrize("listen", PLACES)
def test_a_batch_is_sent_together(listen: str, tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url) as client:
            async with client.channel.batch() as batch:
                sums = [batch.call(client.add, n, b=1) for n in range(50)]
                broken = batch.call(client.fail, 0)
                with pytest.raises(errors.XdrError):
                    batch.call(client.echo, "x" * 65)
                with pytest.raises(errors.TimedOut):
                    sums[0].result()  # not sent yet
            assert [each.result() for each in sums] == list(range(1, 51))
            with pytest.raises(errors.SystemErr):
                broken.result()
            async with client.channel.batch():
                pass
            with pytest.raises(errors.UsageError, match="no method of a client on this channel"):
                client.channel.batch().call(asyncio.sleep, 1)
            with pytest.raises(errors.UsageError, match="waits for something else"):
                client.channel.batch().call(client.twice, 1)
            assert await client.add(1, 1) == 2

    with serve(Echo(), listen=[listen.format(tmp_path)], register=False) as server:
        server.start()
        run(main(server.endpoints[0]))


def test_a_batch_has_one_time_and_its_calls_fail_together() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        records = [await record_of(reader) for _ in range(10)]
        writer.write(answer(records[3], 3))
        if not held:
            held.extend(records)
            await reader.read()
        writer.close()

    async def use(client: AsyncEcho) -> None:
        for error in (errors.TimedOut, errors.NotReached):
            async with client.channel.batch(timeout=0.2 if not held else 20) as batch:
                calls = [batch.call(client.add, 1, 1) for _ in range(10)]
            assert calls.pop(3).result() == 3
            for call in calls:
                with pytest.raises(error):
                    call.result()
            assert client.channel._waiting == {}
            client.channel.lost(client.channel._transport, errors.NotReached())

    held: list[bytes] = []
    run(by_hand(handle, use))


def test_oneway_calls_wait_for_nothing() -> None:
    class Told(Echo):
        @rpc.oneway
        def fail(self, call: rpc.Call, how: int) -> None:
            told.append(how)

    told: list[int] = []

    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url) as client:
            for number in range(5):
                await rpc.using(client, oneway=True).fail(number)
            assert await client.add(2, 2) == 4
            assert told == [0, 1, 2, 3, 4]
            async with client.channel.batch() as batch:
                calls = [batch.call(rpc.using(client, oneway=True).fail, n) for n in range(5, 9)]
                last = batch.call(client.add, 3, 3)
            assert [each.result() for each in calls] == [None] * 4
            assert last.result() == 6
            assert told == list(range(9))

    with serve(Told(), register=False) as server:
        server.start()
        run(main(server.endpoints[0]))


def test_found_by_rpcbind() -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, "localhost", rpcbind=url) as client:
            assert await client.add(1, 1) == 2

    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        (url,) = portmap.start().endpoints
        with serve(Echo(), rpcbind=url) as server:
            server.start()
            run(main(url))
        with pytest.raises(errors.NotReached, match="not registered"):
            run(main(url))
    with pytest.raises(errors.UsageError, match="no class of asyncio clients"):
        aio.connect(Echo, "localhost")  # type: ignore[type-var]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def by_hand(
    handle: Handler, use: Callable[[AsyncEcho], Awaitable[None]], **options: Any
) -> None:
    """A server that treats each connection as ``handle`` likes, and a client of it."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with aio.connect(AsyncEcho, f"tcp://127.0.0.1:{port}", **options) as client:
            await use(client)


async def record_of(reader: asyncio.StreamReader) -> bytes:
    mark = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(mark) & 0x7FFFFFFF)


def answer(record: bytes, number: int) -> bytes:
    return wire.frame(record[:4] + wire.words(1, 0, 0, 0, 0, number))


def test_replies_in_any_order_and_stale_ones() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = [await record_of(reader) for _ in range(2)]
        writer.write(answer(b"late", 99) + wire.frame(b"nonsense"))
        writer.write(answer(second, 2) + answer(second, 3) + answer(first, 1))
        await reader.read()
        writer.close()

    async def use(client: AsyncEcho) -> None:
        both = await asyncio.gather(client.add(0, 0), client.add(0, 0))
        assert list(both) == [1, 2]

    run(by_hand(handle, use))


def test_a_call_that_was_cancelled_or_late_leaves_the_connection_usable() -> None:
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = [await record_of(reader) for _ in range(2)]
        await go_on.wait()
        for record in held:
            writer.write(answer(record, 77))  # nobody waits for these
        writer.write(answer(await record_of(reader), 5))
        await reader.read()
        writer.close()

    async def use(client: AsyncEcho) -> None:
        cancelled = asyncio.ensure_future(client.add(0, 0))
        with pytest.raises(errors.TimedOut, match="no answer to ADD in time"):
            await rpc.using(client, timeout=0.1).add(0, 0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert client.channel._waiting == {}
        go_on.set()
        assert await client.add(0, 0) == 5

    run(by_hand(handle, use))


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", errors.NotReached),
        (wire.frame(b"x")[:3], errors.NotReached),
        (wire.words(0x80000000 | (5 << 20)), errors.BadReply),
    ],
)
def test_a_connection_that_ends_fails_all_calls_and_the_next_opens_it_again(
    sent: bytes, error: type[Exception]
) -> None:
    connections: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        if len(connections) == 1:
            for _ in range(100):
                await record_of(reader)
            writer.write(sent)
        else:
            writer.write(answer(await record_of(reader), 5))
            await reader.read()
        writer.close()

    async def use(client: AsyncEcho) -> None:
        begun = time.monotonic()
        calls = [client.add(0, 0) for _ in range(100)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in results} == {error}
        assert time.monotonic() - begun < 5
        assert await client.add(0, 0) == 5

    run(by_hand(handle, use))


def test_a_server_that_reads_nothing_costs_bounded_memory_and_a_timeout() -> None:
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.close()

    class Big(rpc.AsyncClient, version=ECHO_V2):
        async def add(self) -> int:
            return await self._call(ECHO_V2.ADD, 1, 2)

    async def use(client: AsyncEcho) -> None:
        calls = [client.add(1, 2) for _ in range(5000)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in results} == {errors.TimedOut}
        assert client.channel._waiting == {}
        over.set()

    run(by_hand(handle, use, timeout=0.5, max_in_flight=50))


def test_nobody_there() -> None:
    async def main() -> None:
        for transport in ("tcp", "unix", "unixgram"):
            place = Endpoint(transport, "127.0.0.1", free_port(), path="/nowhere/sock")
            with pytest.raises(errors.NotReached):
                await open_channel(place)
        channel = await open_channel(Endpoint("udp", "127.0.0.1", free_port()))
        with pytest.raises(errors.NotReached):
            await AsyncEcho(channel).add(1, 1)
        await channel.close()

    run(main())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_datagrams_are_sent_again_and_foreign_ones_ignored() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with (
            socket.socket(type=socket.SOCK_DGRAM) as server,
            socket.socket(type=socket.SOCK_DGRAM) as stranger,
        ):
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            place = parse_url(f"udp://127.0.0.1:{server.getsockname()[1]}")
            client = AsyncEcho(await open_channel(place))
            asked = asyncio.ensure_future(client.add(1, 1))
            first, address = await loop.sock_recvfrom(server, 1000)
            stranger.sendto(answer(first, 66)[4:], address)
            again, _ = await loop.sock_recvfrom(server, 1000)
            assert again == first
            server.sendto(answer(first, 2)[4:], address)
            assert await asked == 2
            await client.channel.close()

    run(main())


def test_opening_is_cancelled_without_a_trace() -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url) as client:  # so that the server has all it needs
            assert await client.add(1, 1) == 2
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            opening = asyncio.ensure_future(open_channel(parse_url(url)))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        async with aio.connect(AsyncEcho, url) as client:
            assert await client.add(1, 1) == 2
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.01)

    with serve(Echo(), register=False) as server:
        server.start()
        run(main(server.endpoints[0]))


def test_nothing_is_written_to_a_connection_that_is_being_closed() -> None:
    """Python 3.12 and 3.13 would go on to watch the number of its file (gh-136234)."""

    async def main() -> None:
        with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
            server.start()
            async with aio.connect(AsyncEcho, server.endpoints[0], timeout=10) as client:
                again = using(client, resend=True)
                for _ in range(20):
                    tasks = [asyncio.ensure_future(again.add(n, n)) for n in range(4)]
                    await asyncio.sleep(0)  # they have said what is to be sent
                    client.channel._transport.abort()
                    assert await asyncio.gather(*tasks) == [0, 2, 4, 6]

    run(main())
