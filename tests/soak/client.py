"""A program that calls until its input ends, and checks every answer: ``HOW SEED URL...``. HOW is
``blocking``, ``batch`` or ``asyncio``; it prints how many calls it made."""

import asyncio
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import Any

from rpcserver import aio, connect, using
from tests.soak.service import SOAK_V1, AsyncSoak, SoakClient

TIMEOUT = 60
LARGEST = {"udp": 60_000, "unixgram": 100_000}


def asked(random: Random, url: str, count: int) -> list[tuple[Any, Any, Any]]:
    """So many calls: procedure, argument, and what must come back."""
    largest = LARGEST.get(url.partition(":")[0], 300_000)
    calls: list[tuple[Any, Any, Any]] = []
    for _ in range(count):
        match random.randrange(12):
            case 0:
                calls.append((SOAK_V1.WAIT, number := random.randrange(5), number))
            case 1:
                calls.append((SOAK_V1.COME, number := random.randrange(5), number))
            case 2:
                calls.append((SOAK_V1.ECHO, data := random.randbytes(largest), data))
            case _:
                calls.append((SOAK_V1.ECHO, data := random.randbytes(random.randrange(200)), data))
    return calls


def blocking(random: Random, url: str) -> int:
    with connect(SoakClient, url, timeout=TIMEOUT, credentials=random.choice(("none", "sys"))) as c:
        client = using(c, resend=True)
        calls = asked(random, url, 30)
        for procedure, argument, wanted in calls:
            assert client.call(procedure, argument) == wanted
    return len(calls)


def batch(random: Random, url: str) -> int:
    with connect(SoakClient, url, timeout=TIMEOUT) as plain:
        client = using(plain, resend=True)
        calls = asked(random, url, 40)
        with client.channel.batch() as together:
            found = [together.call(client.call, proc, given) for proc, given, _ in calls]
        assert [each.result() for each in found] == [wanted for _, _, wanted in calls]
    return len(calls)


def with_asyncio(random: Random, url: str) -> int:
    async def main() -> int:
        async with aio.connect(AsyncSoak, url, timeout=TIMEOUT) as plain:
            client = using(plain, resend=True)
            calls = asked(random, url, 30)
            found = await asyncio.gather(*(client.call(proc, given) for proc, given, _ in calls))
            assert found == [wanted for _, _, wanted in calls]
        return len(calls)

    return asyncio.run(main())


HOW: dict[str, Callable[[Random, str], int]] = {
    "blocking": blocking,
    "batch": batch,
    "asyncio": with_asyncio,
}


def main() -> None:
    how, seed, *urls = sys.argv[1:]
    random = Random(int(seed))
    over = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    done = 0
    while not over.is_set():
        done += HOW[how](random, random.choice(urls))
    print(done)


if __name__ == "__main__":
    main()
