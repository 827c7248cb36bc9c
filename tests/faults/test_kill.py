"""``kill -9`` of either side, of a worker, and of an rpcbind, at every step of a call."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import rpcserver
from rpcserver import serve, using
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import NotReached, TimedOut
from rpcserver.rpcbind import state
from rpcserver.rpcbind.netid import parse_url
from rpcserver.rpcbind.table import Registration
from tests.cli.command import ROOT, environment, running
from tests.faults.caller import STEPS
from tests.faults.impatient import impatient
from tests.peers.proc import children, family, held
from tests.peers.process import Process, until
from tests.servers.facts import FACTS_V3, PROG, Facts, FactsClient

FACTS = ("tests.servers.facts:Facts", "--no-register")
TCP, UDP = "tcp://127.0.0.1:0", "udp://127.0.0.1:0"


# --- clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "threads", "forks", "select", "asyncio"])
def test_clients(tmp_path: Path, kind: str) -> None:
    """Whatever a client was about when it was killed, nothing of it is left, and others are
    served; by the synchronous server, afterwards."""
    with running("serve", *FACTS, "--listen", TCP, "--kind", kind) as server:
        (url,) = server.urls
        place = url.removeprefix("tcp://")
        with rpcserver.connect(FactsClient, url) as client:  # what is loaded once, is
            (tmp_path / "go-on").touch()
            client.call(FACTS_V3.SLOW, str(tmp_path / "go-on"))
        pid = server.process.pid
        until("nobody is connected", lambda: not children(pid))
        before = held(pid)
        for number, step in enumerate(STEPS):
            path = tmp_path / f"slow{number}"
            argv = [sys.executable, "-m", "tests.faults.caller", place, step, str(path)]
            with Process(argv, cwd=ROOT, env=environment()) as caller:
                caller.wait_for("^there$")
                caller.stop(signal.SIGKILL)
            path.touch()
            with rpcserver.connect(FactsClient, url, timeout=10) as client:
                assert client.call(FACTS_V3.ECHO, step) == step
            until(f"nothing is left of {step}", lambda: held(pid).no_more_than(before))
        assert server.process.stop() == 0
        assert "Traceback" not in server.process.stderr()


# --- servers ----------------------------------------------------------------------------------


def in_background(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """``call()`` in a thread, and what it returned or raised."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:  # noqa: BLE001  to be looked at
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


@pytest.mark.parametrize("kind", ["threads", "forks", "select", "asyncio"])
def test_servers(tmp_path: Path, kind: str) -> None:
    """Between calls and in one: the call fails at once, or if it may run twice, ends well with
    the next server, whose port is the same."""
    listen = ["--listen", TCP, "--listen", UDP, "--kind", kind]
    path = tmp_path / "go-on"
    with impatient(), running("serve", *FACTS, *listen) as server:
        urls = server.urls
        clients = [rpcserver.connect(FactsClient, url, timeout=20) for url in (*urls, *urls)]
        patient = [*map(using_resend, clients[2:])]
        idle = using_resend(rpcserver.connect(FactsClient, urls[0], timeout=20))
        assert idle.call(FACTS_V3.ECHO, "") == ""
        impatient_one, lost = in_background(lambda: clients[0].call(FACTS_V3.SLOW, str(path)))
        others = [
            in_background(lambda each=each: each.call(FACTS_V3.SLOW, str(path)))  # type: ignore[misc]
            for each in patient
        ]
        until("the method", Path(f"{path}.begun").exists)
        for pid in family(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        impatient_one.join(10)
        assert isinstance(lost[0], NotReached)
        with pytest.raises((NotReached, TimedOut)):
            using(clients[1], timeout=0.3).call(FACTS_V3.ECHO, "")
        path.touch()
        again = [word for url in urls for word in ("--listen", url)]
        with running("serve", *FACTS, *again, "--kind", kind) as second:
            for thread, outcome in others:
                thread.join(20)
                assert isinstance(outcome[0], int), outcome
            for client in (*clients, idle):
                assert client.call(FACTS_V3.ECHO, "again") == "again"
                client.channel.close()
            assert second.process.stop() == 0


def using_resend(client: FactsClient) -> FactsClient:
    return using(client, resend=True)


@pytest.mark.parametrize("url", [TCP, UDP])
def test_a_worker(tmp_path: Path, url: str) -> None:
    """Another one takes over; who was served by the one that is gone calls again, or is told."""
    path = tmp_path / "go-on"
    # A server that remembers replies would not run again what it may have run.
    words = (*FACTS, "--listen", url, "--workers", "2", "--no-reply-cache")
    with impatient(), running("serve", *words) as server:
        (found,) = server.urls
        plain = rpcserver.connect(FactsClient, found, timeout=20)
        patient = using(rpcserver.connect(FactsClient, found, timeout=20), resend=True)
        first, lost = in_background(lambda: plain.call(FACTS_V3.SLOW, str(path)))
        until("the method", Path(f"{path}.begun").exists)
        second, answered = in_background(lambda: patient.call(FACTS_V3.SLOW, str(path)))
        workers = children(server.process.pid)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        path.touch()
        second.join(20)
        assert isinstance(answered[0], int) and answered[0] not in workers
        first.join(20)
        if url == TCP:
            assert isinstance(lost[0], NotReached)
        else:  # what is not answered is sent again, whether or not it may run twice
            assert isinstance(lost[0], int)
        assert plain.call(FACTS_V3.ECHO, "again") == "again"
        plain.channel.close()
        patient.channel.close()
        assert server.process.stop() == 0


# --- rpcbind ----------------------------------------------------------------------------------


def test_what_rpcbind_has_answered_it_knows_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "state"
    listen: list[str] = ["--listen", TCP]
    for number in range(4):
        with running("portmap", *listen, "--state", str(path)) as portmap:
            (url,) = portmap.urls
            listen = ["--listen", url]
            with open_rpcbind(url) as asked:
                known = {each.prog for each in asked.dump()}
                assert known >= {1000 + each for each in range(number)}
                assert asked.set(1000 + number, 1, parse_url("tcp://198.51.100.7:9"))
            portmap.process.stop(signal.SIGKILL)


def test_an_rpcbind_killed_while_it_is_asked() -> None:
    """Who asked is told; who is registered tells the next one."""
    with running("portmap", "--listen", TCP) as first:
        (url,) = first.urls
        with serve(Facts(), listen=[TCP], rpcbind=url, heartbeat=0.05) as server:
            server.start()
            first.process.send_signal(signal.SIGSTOP)
            asking, outcome = in_background(
                lambda: rpcserver.connect(FactsClient, "127.0.0.1", rpcbind=url, timeout=20)
            )
            until("the question", lambda: waits_for_an_answer(url))
            first.process.stop(signal.SIGKILL)
            asking.join(10)
            assert isinstance(outcome[0], NotReached)
            with running("portmap", "--listen", url), open_rpcbind(url) as asked:
                until("it is told", lambda: any(each.prog == PROG for each in asked.dump()))
                with rpcserver.connect(FactsClient, "127.0.0.1", rpcbind=url) as client:
                    assert client.call(FACTS_V3.ECHO, "found") == "found"


def waits_for_an_answer(url: str) -> bool:
    """Whether something was sent to that TCP port which nobody has read."""
    port = parse_url(url).port
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        line[1].endswith(f":{port:04X}") and not line[4].endswith(":00000000") for line in lines
    )


@pytest.mark.parametrize("step", ["open", "fsync", "replace", "replaced"])
def test_an_rpcbind_killed_while_it_saves(tmp_path: Path, step: str) -> None:
    """Its file holds what was there before, or all of what is there now."""
    path = tmp_path / "state"
    before = [Registration(77, 1, "udp", "127.0.0.1.4.1", "superuser")]
    after = [*before, Registration(77, 2, "udp", "127.0.0.1.4.1", "superuser")]
    state.save(path, before)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from rpcserver.rpcbind import state; from rpcserver.rpcbind.table import Registration\n"
        "entries = [Registration(77, n, 'udp', '127.0.0.1.4.1', 'superuser') for n in (1, 2)]\n"
        "path, step = Path(sys.argv[1]), sys.argv[2]\n"
        "real = getattr(os, step.removesuffix('d'))\n"
        "def dying(*words):\n"
        "    done = real(*words) if step in ('open', 'replaced') else None\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "setattr(os, step.removesuffix('d'), dying)\n"
        "state.save(path, entries)"
    )
    argv = [sys.executable, "-c", code, str(path), step]
    done = subprocess.run(argv, env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert state.load(path) == (after if step == "replaced" else before)
    state.save(path, after)  # what was left over is in nobody's way
    assert state.load(path) == after
