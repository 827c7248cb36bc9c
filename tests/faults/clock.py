"""A program whose day jumps while it serves and calls: ``python -m tests.faults.clock DIRECTORY``.

A server, an rpcbind and clients in one process, so that the clock of all of them jumps.
"""

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import Any

import rpcserver
from rpcserver import aio
from rpcserver.errors import NotReached, TimedOut
from rpcserver.rpcbind.netid import parse_url
from tests.faults.client import AsyncFacts
from tests.faults.shim import Faults
from tests.peers.process import until
from tests.servers.facts import FACTS_V3, PROG, Facts, FactsClient

YEARS = 365 * 24 * 3600
JUMPS = (0, 10 * YEARS, -10 * YEARS, 3600, -1, 0)
IDLE = 1.0


def after(faults: Faults, seconds: int) -> threading.Timer:
    """The clock jumps a little later, while something waits."""
    timer = threading.Timer(0.1, faults.set_clock, [seconds])
    timer.start()
    return timer


def waits(faults: Faults, url: str, path: Path) -> None:
    """A call ends at its deadline, neither earlier nor later, when the clock jumps meanwhile."""
    for jump in (10 * YEARS, -10 * YEARS):
        later = path / f"later{parse_url(url).transport}{jump}"
        with rpcserver.connect(FactsClient, url, timeout=0.5) as client:
            begun, timer = time.monotonic(), after(faults, jump)
            try:
                client.call(FACTS_V3.SLOW, str(later))
            except TimedOut:
                pass
            else:
                raise AssertionError("it was answered")
            timer.join()
            assert 0.4 < time.monotonic() - begun < 5
            later.touch()


def idles(faults: Faults, url: str, path: Path) -> None:
    """A connection is closed when it has been idle for so long by any clock on the wall."""
    for jump in (10 * YEARS, -10 * YEARS):
        gone = path / f"gone{jump}"
        with rpcserver.connect(FactsClient, url, timeout=5) as client:
            client.call(FACTS_V3.COUNT, str(gone))
            begun, timer = time.monotonic(), after(faults, jump)
            until("the end of an idle connection", gone.exists, timeout=10)
            timer.join()
            assert time.monotonic() - begun > 0.9 * IDLE


async def with_asyncio(faults: Faults, url: str) -> None:
    async with aio.connect(AsyncFacts, url, timeout=5) as client:
        for jump in JUMPS:
            faults.set_clock(jump)
            assert await client.call(FACTS_V3.ECHO, str(jump)) == str(jump)


def main() -> None:
    path = Path(sys.argv[1])
    faults = Faults.of_this_process()
    before = time.time()
    faults.set_clock(10 * YEARS)
    assert time.time() > before + 9 * YEARS, "the clock did not jump"
    with rpcserver.Portmapper(["tcp://127.0.0.1:0"], probe=0.05) as portmap:
        (rpcbind,) = portmap.start().endpoints
        listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
        settings: dict[str, Any] = {"heartbeat": 0.05, "short_credentials": 9}
        with rpcserver.serve(
            Facts(), listen=listen, rpcbind=rpcbind, idle_timeout=IDLE, **settings
        ) as server:
            server.start()
            for url in server.endpoints:
                clients = [
                    rpcserver.connect(FactsClient, url, timeout=5),
                    rpcserver.connect(FactsClient, url, timeout=5, credentials="sys"),
                    rpcserver.connect(FactsClient, "127.0.0.1", rpcbind=rpcbind, timeout=5),
                ]
                for jump in JUMPS:
                    faults.set_clock(jump)
                    for client in clients:
                        assert client.call(FACTS_V3.ECHO, str(jump)) == str(jump)
                counts = [client.call(FACTS_V3.COUNT, "") for client in clients]
                first = 1 if url.startswith("tcp") else -1  # the last one asked rpcbind
                assert counts == [first, first, 1], "the connections are still the same"
                for client in clients:
                    client.channel.close()
                asyncio.run(with_asyncio(faults, url))
            waits(faults, server.endpoints[0], path)
            waits(faults, server.endpoints[1], path)
            idles(faults, server.endpoints[0], path)
            assert any(each.prog == PROG for each in portmap.table.dump()), "it was dropped"
        try:
            rpcserver.connect(FactsClient, server.endpoints[0], timeout=1)
        except NotReached:
            print("ok")


if __name__ == "__main__":
    main()
