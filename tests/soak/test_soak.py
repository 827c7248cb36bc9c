"""Servers of all kinds over all transports, called without a pause by Python and C, while clients
and workers are killed and others talk nonsense: every answer is right, and in the end nothing is
left. ``make soak`` has it run for half an hour; see ``RPCSERVER_SOAK``."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import rpcserver
from rpcserver.clients.finding import open_rpcbind
from tests.cli.command import Running, running
from tests.peers.cc import CalcC
from tests.peers.proc import Held, held
from tests.peers.process import until
from tests.peers.soak import SECONDS
from tests.soak.chaos import Chaos, Clients
from tests.soak.service import SOAK_V1, SoakClient

SERVICES = ("tests.soak.service:Soak", "examples.calc:CalcV1", "examples.calc:CalcV2")
KINDS = {
    "select": ["--kind", "select"],
    "asyncio": ["--kind", "asyncio"],
    "threads": ["--kind", "threads"],
    "forks": ["--kind", "forks"],
    "prefork": ["--kind", "select", "--workers", "2"],
}
WARM_UP = 0.4
"""of the time: what grows then are caches, and Python's own memory"""

GROWTH = (8 if SECONDS >= 600 else 24) << 10
"""KiB that a server may have more at the end, by the slope of all that was seen after warming up.
In a short time much of it is what slow readers have not taken: a MiB for each."""

PACE = 0.05
"""seconds between two mishaps"""

EVERY = 0.25
"""seconds between two looks"""


@contextmanager
def all_kinds(tmp_path: Path, rpcbind: str) -> Iterator[dict[str, Running]]:
    """A server of each kind; one of them is registered, as they are all of one program."""
    with ExitStack() as stack:
        found = {}
        for name, words in KINDS.items():
            listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix://{tmp_path}/{name}"]
            listen.append(f"unixgram://{tmp_path}/{name}.d")
            words = [*words, *(word for url in listen for word in ("--listen", url))]
            words += ["--rpcbind", rpcbind] if name == "select" else ["--no-register"]
            found[name] = stack.enter_context(running("serve", *SERVICES, *words))
        yield found


def fill(server: Running) -> None:
    """Have a server start the threads that it keeps."""
    with rpcserver.connect(SoakClient, server.urls[0], timeout=30) as client:
        with client.channel.batch() as calls:
            for _ in range(60):
                calls.call(client.call, SOAK_V1.WAIT, 30)
        client.call(SOAK_V1.COME, 1)
        client.call(SOAK_V1.ECHO, bytes(300_000))


def growth(seen: list[tuple[float, Held]]) -> float:
    """KiB of memory that came in the time of ``seen``, by the line that fits best."""
    count = len(seen)
    middle = sum(when for when, _ in seen) / count
    mean = sum(each.memory for _, each in seen) / count
    above = sum((when - middle) * (each.memory - mean) for when, each in seen)
    below = sum((when - middle) ** 2 for when, _ in seen)
    return above / below * (seen[-1][0] - seen[0][0])


def test_nothing_wears_out(tmp_path: Path, calc_c: CalcC) -> None:
    random = Random(SECONDS)
    words = ["--listen", "tcp://127.0.0.1:0", "--state", str(tmp_path / "state")]
    with running("portmap", *words) as portmap, all_kinds(tmp_path, portmap.urls[0]) as servers:
        (rpcbind,) = portmap.urls
        everyone = {"rpcbind": portmap, **servers}
        for server in servers.values():
            fill(server)
        pids = {name: server.process.pid for name, server in everyone.items()}
        before = {name: held(pid) for name, pid in pids.items()}
        with open_rpcbind(rpcbind) as asked:
            registered = sorted(map(str, asked.dump()))

        urls = [url for server in servers.values() for url in server.urls]
        clients = Clients(urls, random)
        chaos = Chaos(urls, rpcbind, pids["prefork"], calc_c, clients, random)
        seen: dict[str, list[tuple[float, Held]]] = {name: [] for name in pids}
        pace = threading.Event()
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < SECONDS or len(chaos.done) < 10:
            chaos.step()
            pace.wait(PACE)
            if elapsed > WARM_UP * SECONDS:
                for name, pid in pids.items():
                    if not seen[name] or elapsed - seen[name][-1][0] >= EVERY:
                        seen[name].append((elapsed, held(pid)))
        clients.end()
        chaos.end()

        print(f"{clients.calls} calls, {dict(chaos.done)}")
        assert (clients.wrong, chaos.wrong) == ([], [])
        assert clients.calls > 10 * SECONDS
        for name, pid in pids.items():
            until(
                f"{name} has no more than {before[name]}: {held(pid)}",
                lambda name=name, pid=pid: held(pid).no_more_than(before[name]),  # type: ignore[misc]
                timeout=20,
            )
            if len(seen[name]) > 20:
                more = growth(seen[name])
                print(f"{name}: {before[name]} then, {held(pid)} now, {more:+.0f} KiB")
                assert more < GROWTH
        with open_rpcbind(rpcbind) as asked:
            assert sorted(map(str, asked.dump())) == registered
        for name, server in everyone.items():
            assert server.process.stop() == 0, name
            assert "Traceback" not in server.process.stderr(), name
