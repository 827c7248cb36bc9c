"""Thousands of calls: in flight over one connection, and through networks that lose datagrams."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpcserver import aio, connect, errors, rpc, serve, using
from tests.clients.relay import Relay
from tests.clients.test_aio import AsyncEcho
from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import Process
from tests.rpc.echo import Echo, EchoClient

THREADS, EACH = 50, 200
CALLS = THREADS * EACH


def in_batches(client: EchoClient) -> list[int | str]:
    """10,000 calls from 50 threads: what each brought, or the name of its exception."""
    ready = threading.Barrier(THREADS)

    def some(thread: int) -> list[int | str]:
        ready.wait()
        with client.channel.batch() as batch:
            numbers = range(thread * EACH, (thread + 1) * EACH)
            calls = [batch.call(client.add, number, 1) for number in numbers]
        return [outcome(each.result) for each in calls]

    with ThreadPoolExecutor(THREADS) as pool:
        return [each for found in pool.map(some, range(THREADS)) for each in found]


def outcome(result: object) -> int | str:
    try:
        return result()  # type: ignore[no-any-return, operator]
    except errors.CallError as error:
        return type(error).__name__


async def on_asyncio(client: AsyncEcho) -> list[int | str]:
    """The same in one thread."""

    async def one(number: int) -> int | str:
        try:
            return await client.add(number, 1)
        except errors.CallError as error:
            return type(error).__name__

    return list(await asyncio.gather(*(one(number) for number in range(CALLS))))


def test_ten_thousand_calls_in_flight_from_fifty_threads() -> None:
    with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        (url,) = server.start().endpoints
        with connect(EchoClient, url, timeout=60) as client:
            assert in_batches(client) == list(range(1, CALLS + 1))
        assert server.stats().requests == 1  # one connection


def test_ten_thousand_calls_in_flight_from_asyncio() -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url, timeout=60, max_in_flight=CALLS) as client:
            assert await on_asyncio(client) == list(range(1, CALLS + 1))

    with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        asyncio.run(main(server.start().endpoints[0]))
        assert server.stats().requests == 1


def half_server(port: int, answered: int) -> Process:
    arguments = map(str, (port, answered, CALLS))
    return Process([sys.executable, "-m", "tests.clients.half_server", *arguments])


def check_halves(found: list[int | str], killed: list[float]) -> None:
    """Each call has its own answer, or the exception, at once."""
    assert time.monotonic() - killed[0] < 10  # the calls had 60 seconds
    right = [each for number, each in enumerate(found) if each == number + 1]
    failed = [each for each in found if each == "NotReached"]
    assert len(right) == CALLS // 2
    assert len(right) + len(failed) == CALLS


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_server_that_is_killed_with_them_in_flight(kind: str) -> None:
    with half_server(0, CALLS // 2) as first:
        port = int(first.wait_for(r"^port (\d+)$")[1])
        url = f"tcp://127.0.0.1:{port}"
        killed: list[float] = []

        def kill() -> None:
            first.wait_for("^held$", timeout=60)
            killed.append(time.monotonic())
            first.stop(9)

        async def main() -> None:
            async with aio.connect(AsyncEcho, url, timeout=60, max_in_flight=CALLS) as client:
                check_halves(await on_asyncio(client), killed)
                killer.join()
                with half_server(port, CALLS) as second:
                    second.wait_for("^port")
                    assert await client.add(20, 22) == 42

        killer = threading.Thread(target=kill)
        killer.start()
        if kind == "asyncio":
            asyncio.run(main())
            return
        with connect(EchoClient, url, timeout=60) as client:
            check_halves(in_batches(client), killed)
            killer.join()
            with half_server(port, CALLS) as second:
                second.wait_for("^port")
                assert client.add(20, 22) == 42


# --- over UDP -------------------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    with serve(Echo(), listen=["udp://127.0.0.1:0"], register=False) as server:
        host, port = server.start().endpoints[0].removeprefix("udp://").split(":")
        yield host, int(port)


def sums(client: EchoClient, count: int) -> list[int]:
    """The calls over one socket, from 60 threads."""
    with ThreadPoolExecutor(60) as pool:
        return list(pool.map(lambda number: client.add(number, number), range(count)))


def test_a_thousand_calls_through_a_hostile_relay(echo: tuple[str, int]) -> None:
    with Relay(echo) as relay:
        url = "udp://{}:{}".format(*relay.address)
        with connect(EchoClient, url, timeout=60, resend=True) as client:
            assert sums(client, 1000) == [2 * number for number in range(1000)]
        assert min(relay.seen.values()) > 10, relay.seen


def test_a_thousand_calls_through_a_hostile_relay_on_asyncio(echo: tuple[str, int]) -> None:
    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url, timeout=60, max_in_flight=150) as client:
            found = await asyncio.gather(
                *(using(client, resend=True).add(number, number) for number in range(1000))
            )
            assert list(found) == [2 * number for number in range(1000)]

    with Relay(echo, seed=2) as relay:
        asyncio.run(main("udp://{}:{}".format(*relay.address)))
        assert min(relay.seen.values()) > 10, relay.seen


LOSS = """
table inet loss {
  chain both {
    type filter hook input priority 0;
    meta l4proto udp numgen random mod 100 < 10 counter name dropped drop
  }
  counter dropped {}
}
"""

SESSION = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from rpcserver import aio, connect, serve, using
from tests.clients.test_aio import AsyncEcho
from tests.clients.test_load import sums
from tests.rpc.echo import Echo, EchoClient

async def main(url):
    async with aio.connect(AsyncEcho, url, timeout=60, max_in_flight=150) as client:
        calls = [using(client, resend=True).add(n, n) for n in range(1000)]
        assert list(await asyncio.gather(*calls)) == [2 * n for n in range(1000)]

with serve(Echo(), listen=["udp://127.0.0.1:0"], register=False) as server:
    (url,) = server.start().endpoints
    with (
        connect(EchoClient, url, timeout=60, resend=True) as client,
        ThreadPoolExecutor(1) as other,
    ):
        on_asyncio = other.submit(asyncio.run, main(url))
        assert sums(client, 1000) == [2 * n for n in range(1000)]
        on_asyncio.result()
    print("right")
"""


def test_a_thousand_calls_where_each_way_loses_a_tenth(
    namespace: Namespace, tmp_path: Path
) -> None:
    need("nftables", "nft")
    rules = tmp_path / "loss.nft"
    rules.write_text(LOSS)
    namespace.run("nft", "-f", rules, check=True)
    assert namespace.python(SESSION) == "right\n"
    counter = namespace.run("nft", "list", "counter", "inet", "loss", "dropped").stdout
    packets = int(counter.split("packets ")[1].split()[0])
    assert packets > 200, counter


def test_a_hundred_calls_end_at_once_when_the_server_goes(tmp_path: Path) -> None:
    class Slow(Echo):
        async def add(self, call: rpc.Call, a: int, b: int) -> int:
            begun.release()
            await asyncio.sleep(60)
            return 0

    begun = threading.Semaphore(0)
    with serve(Slow(), register=False, close_timeout=0.1) as server:
        (url, _) = server.start().endpoints
        with connect(EchoClient, url) as client, ThreadPoolExecutor(100) as pool:
            calls = [pool.submit(client.add, 1, 1) for _ in range(100)]
            for _ in calls:
                begun.acquire()
            start = time.monotonic()
            server.close()
            for each in calls:
                with pytest.raises(errors.NotReached):
                    each.result()
            assert time.monotonic() - start < 10
