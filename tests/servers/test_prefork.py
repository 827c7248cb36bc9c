"""A parent and its workers: under load, replaced, killed, and ended."""

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rpcserver
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import CallError
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.portmap import Portmapper
from tests.cli.command import Running, running
from tests.peers import wire
from tests.peers.cc import CalcC
from tests.peers.proc import children as workers_of
from tests.peers.process import until
from tests.peers.soak import SECONDS
from tests.servers.facts import FACTS_V3, PROG, FactsClient

SERVICES = ("tests.servers.facts:Facts", "examples.calc:CalcV2", "examples.calc:CalcV1")


@contextmanager
def prefork(tmp_path: Path, *options: str) -> Iterator[Running]:
    listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix://{tmp_path}/sock"]
    words = [word for url in listen for word in ("--listen", url)]
    with running("serve", *SERVICES, *words, "--workers", "2", *options) as service:
        until("two workers", lambda: len(workers_of(service.process.pid)) == 2)
        yield service


class Load:
    """Clients that call all the time; each counts what it asked and what failed."""

    def __init__(self, urls: list[str], tries: int, calls_per_connection: int | None) -> None:
        self.calls = 0
        self.failures: list[str] = []
        self._tries = tries
        self._per_connection = calls_per_connection
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(url,)) for url in urls]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, url: str) -> None:
        client: FactsClient | None = None
        for number in itertools.count():
            if self._stop.is_set():
                break
            for attempt in range(self._tries):
                try:
                    if client is None:
                        client = rpcserver.connect(FactsClient, url, timeout=3)
                    text = f"{url} {number}"
                    assert client.call(FACTS_V3.ECHO, text) == text
                    break
                except CallError as error:
                    if client is not None:
                        client.channel.close()
                    client = None
                    if attempt + 1 == self._tries:
                        with self._lock:
                            self.failures.append(f"{url}: {error!r}")
            with self._lock:
                self.calls += 1
            if self._per_connection and number % self._per_connection == 0 and client is not None:
                client.channel.close()
                client = None
        if client is not None:
            client.channel.close()


def every_second(action: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    waiting = threading.Event()
    while time.monotonic() < end:
        action()
        waiting.wait(1)


def test_sighup_loses_no_call(tmp_path: Path, calc_c: CalcC) -> None:
    with prefork(tmp_path, "--no-register") as service:
        pid = service.process.pid
        before = workers_of(pid)
        port = parse_url(service.urls[0]).port
        failed: list[str] = []
        over = threading.Event()

        def c_clients() -> None:
            while not over.is_set():
                for transport in ("tcp", "udp"):
                    done = calc_c.call(
                        port if transport == "tcp" else udp, transport, check="scalars"
                    )
                    if done.returncode:
                        failed.append(done.stdout + done.stderr)

        udp = parse_url(service.urls[1]).port
        thread = threading.Thread(target=c_clients)
        thread.start()
        try:
            with Load(service.urls, 1, None) as lasting, Load(service.urls * 2, 1, 5) as short:
                every_second(lambda: os.kill(pid, signal.SIGHUP))
        finally:
            over.set()
            thread.join()
        assert (lasting.failures, short.failures, failed) == ([], [], [])
        assert min(lasting.calls, short.calls) > 100
        until("the old ones are gone", lambda: not before & workers_of(pid))
        until("two are left", lambda: len(workers_of(pid)) == 2)
        assert service.process.stop() == 0


def test_kills_cost_no_call_more_than_three_tries(tmp_path: Path) -> None:
    with prefork(tmp_path, "--no-register") as service:
        pid = service.process.pid
        killed: list[int] = []

        def kill_one() -> None:
            victim = min(workers_of(pid), default=0)
            if victim:
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        with Load(service.urls * 2, 3, 20) as load:
            every_second(kill_one)
        assert load.failures == []
        assert load.calls > 100
        assert len(killed) >= 2
        until("two are left", lambda: len(workers_of(pid)) == 2)
        assert 2 <= service.process.stderr().count("ended: signal 9") <= len(killed)


def test_after_sigterm_nothing_is_left(tmp_path: Path) -> None:
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        portmap.start()
        (url,) = portmap.endpoints

        def registered() -> int:
            with open_rpcbind(url) as rpcbind:
                return sum(each.prog == PROG for each in rpcbind.dump())

        with prefork(tmp_path, "--rpcbind", url) as service:
            workers = workers_of(service.process.pid)
            assert registered() == 3  # once, and not by each worker
            with Load(service.urls, 2, None):
                assert service.process.stop() == 0
            for worker in workers:
                assert not Path(f"/proc/{worker}").exists()
            assert not (tmp_path / "sock").exists()
            assert registered() == 0
            place = parse_url(service.urls[0])
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((place.host, place.port))


def test_a_call_in_flight_is_finished_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    with prefork(tmp_path, "--no-register") as service:
        place = parse_url(service.urls[0])
        with wire.Stream((place.host, place.port)) as stream:
            stream.send(wire.frame(wire.call(PROG, 3, 4, wire.opaque(str(path).encode()))))
            until("it is in", Path(f"{path}.begun").exists)
            os.kill(service.process.pid, signal.SIGTERM)
            path.touch()
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS
        assert service.process.stop() == 0


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with prefork(tmp_path, "--no-register") as service:
        workers = workers_of(service.process.pid)
        service.process.stop(signal.SIGKILL)
        until("they end", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.parametrize("kind", ["sync", "threads", "forks", "select", "asyncio"])
def test_any_kind_can_be_a_worker(tmp_path: Path, kind: str) -> None:
    with prefork(tmp_path, "--no-register", "--kind", kind) as service:
        for url in service.urls:
            with rpcserver.connect(FactsClient, url) as client:
                assert client.call(FACTS_V3.ECHO, kind) == kind
        assert service.process.stop() == 0


def test_reuse_port_gives_each_worker_a_socket(tmp_path: Path) -> None:
    with prefork(tmp_path, "--no-register", "--reuse-port") as service:
        answered = set()

        def both() -> bool:
            with rpcserver.connect(FactsClient, service.urls[0]) as client:
                answered.add(client.call(FACTS_V3.CHILD, ""))
            return answered == workers_of(service.process.pid)

        until("both have answered", both)
        assert service.process.stop() == 0


def test_workers_that_die_young_are_not_restarted_at_once(tmp_path: Path) -> None:
    module = tmp_path / "dying.py"
    module.write_text(
        "import os, threading\n"
        "from tests.servers.facts import Facts\n"
        "os.register_at_fork(after_in_child=lambda: os._exit(7))\n"
    )
    argv = ("dying:Facts", "--no-register", "--workers", "2")
    with running("serve", *argv, cwd=tmp_path) as service:
        until("some have died", lambda: service.process.stderr().count("exit status 7") >= 3)
        assert service.process.stderr().count("exit status 7") < 20
        assert service.process.stop() == 0
