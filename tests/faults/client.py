"""A program that calls while its sockets have faults: ``HOW TIMES URL...``, HOW is ``blocking``,
``batch`` or ``asyncio``. It ends well if all answers are right."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from rpcserver import aio, connect, rpc, using
from rpcserver.errors import NotReached
from tests.faults.impatient import impatient
from tests.faults.shim import KINDS, Faults
from tests.servers.facts import FACTS_V3, FactsClient

LARGE = "x" * 50_000
ONE_IN = {"drop": 4, "reset": 9, "ENOBUFS": 6, "EAGAIN": 4}
STREAMS_ONLY = ("short read", "short write", "reset")
NO_SOCKETS = "EMFILE of a client"
CALLS = 8  # of a batch, or at once


class AsyncFacts(rpc.AsyncClient, version=FACTS_V3):
    """The same for asyncio."""

    def call(self, procedure: rpc.Procedure[Any], *arguments: Any) -> Awaitable[Any]:
        return self._call(procedure, *arguments)


def texts(number: int) -> list[str]:
    return [f"{number} {n} {LARGE if n % 4 == number % 4 else ''}" for n in range(CALLS)]


def blocking(url: str, number: int) -> None:
    with connect(FactsClient, url, timeout=60) as plain:
        client = using(plain, resend=True)
        for text in texts(number):
            assert client.call(FACTS_V3.ECHO, text) == text


def batch(url: str, number: int) -> None:
    with connect(FactsClient, url, timeout=60) as plain:
        client = using(plain, resend=True)
        with client.channel.batch() as calls:
            asked = [(text, calls.call(client.call, FACTS_V3.ECHO, text)) for text in texts(number)]
        for text, call in asked:
            assert call.result() == text


def with_asyncio(url: str, number: int) -> None:
    async def main() -> None:
        async with aio.connect(AsyncFacts, url, timeout=60) as plain:
            client = using(plain, resend=True)
            wanted = texts(number)
            asked = (client.call(FACTS_V3.ECHO, text) for text in wanted)
            assert await asyncio.gather(*asked) == wanted

    asyncio.run(main())


HOW: dict[str, Callable[[str, int], None]] = {
    "blocking": blocking,
    "batch": batch,
    "asyncio": with_asyncio,
}


def main() -> None:
    how, times, *urls = sys.argv[1:]
    faults = Faults.of_this_process()
    for fault in KINDS:
        for url in urls:
            stream = not url.startswith(("udp", "unixgram"))
            if fault == "EMFILE" or (fault in STREAMS_ONLY and not stream):
                continue
            if fault == "drop" and stream:
                continue
            before, number = faults.came(fault), 0
            while faults.came(fault) < before + int(times):
                number += 1
                assert number < 2000, f"{fault} does not come"
                with faults.some(fault, ONE_IN.get(fault, 2)):
                    try:
                        HOW[how](url, number)
                    except NotReached as error:
                        # Which is what it says.
                        if "Too many open files" not in str(error) or fault != NO_SOCKETS:
                            raise
            HOW[how](url, 0)


if __name__ == "__main__":
    with impatient():
        main()
