"""``rpcserver serve``: starting, registering, ending, and every mistake one can make with it."""

import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

import rpcserver
from generated.calc import CALC_PROG, CalcV1Client, CalcV2Client
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import NotReached, SystemErr
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS
from tests.cli.command import ROOT, RPCSERVER, environment, run, running
from tests.peers.process import Process, until

SERVICES = ("examples.calc:CalcV1", "examples.calc:CalcV2")

MODULE = """
import pathlib
import time
import rpcserver
from generated import calc
from rpcserver import rpc

class V1(calc.CalcV1Service):
    def add(self, call, a, b):
        return a + b

class Slow(calc.CalcV2Service):
    @rpcserver.blocking
    def pause(self, call, milliseconds):
        pathlib.Path("runs." + call.peer.transport).touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)

class NeedsArguments(V1):
    def __init__(self, database):
        pass

class WrongSignature(calc.CalcV1Service):
    def add(self, call, a):
        return a

instance = V1()

def factory():
    return V1()

def nothing():
    return None

def failing():
    raise LookupError("no database")

not_a_service = 5
"""

SLOW_START = """
import pathlib
import time
pathlib.Path("starts").touch()
time.sleep(60)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with modules of a user's own."""
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "slow.py").write_text(SLOW_START, encoding="utf-8")
    (tmp_path / "halting.py").write_text("import missing_dependency\n", encoding="utf-8")
    return tmp_path


def registered(rpcbind: str) -> set[tuple[int, str, str]]:
    """(version, netid, port and host) of the calculators there."""
    with open_rpcbind(rpcbind) as asked:
        found = [each for each in asked.dump() if each.prog == CALC_PROG]
    return {(each.vers, each.netid, each.address) for each in found}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_listens_registers_and_ends(rpcbind: str, number: signal.Signals) -> None:
    with running("serve", *SERVICES, "--rpcbind", rpcbind) as service:
        tcp, udp = map(parse_url, service.urls)
        assert (tcp.transport, tcp.host) == ("tcp", "127.0.0.1")
        assert (udp.transport, udp.host) == ("udp", "127.0.0.1")
        lines = service.process.stdout().splitlines()
        assert lines == [f"listening {tcp}", f"listening {udp}", "ready"]
        assert registered(rpcbind) == {
            (vers, place.netid, place.uaddr) for vers in (1, 2) for place in (tcp, udp)
        }
        with rpcserver.connect(CalcV2Client, "localhost", rpcbind=rpcbind) as client:
            assert client.add(40, 2) == 42
        with rpcserver.connect(CalcV1Client, str(udp)) as other:
            assert other.add(40, 2) == 42
        assert service.process.stop(number) == 0
    assert registered(rpcbind) == set()


@pytest.mark.parametrize("how", ["exit", "exception", "fork"])
def test_what_is_registered_goes_with_a_program_that_forgets_it(rpcbind: str, how: str) -> None:
    end = {
        "exit": "",
        "exception": "raise KeyError",
        "fork": "child = os.fork()\nif child: os.waitpid(child, 0); print(count(), flush=True)",
    }[how]
    code = f"""
import os
import rpcserver
from examples.calc import CalcV1
from rpcserver.clients.finding import open_rpcbind
def count():
    with open_rpcbind({rpcbind!r}) as asked:
        return len([each for each in asked.dump() if each.prog != 100000])
rpcserver.serve(CalcV1(), rpcbind={rpcbind!r})
print("there", flush=True)
{end}
"""
    with Process([sys.executable, "-c", code], env=environment(), cwd=ROOT) as process:
        process.wait_for("^there$")
        until("the end", lambda: process.returncode is not None)
        assert ("\n2\n" in process.stdout()) is (how == "fork")  # the child took nothing away
    assert registered(rpcbind) == set()


def test_the_environment_names_the_rpcbind(rpcbind: str) -> None:
    with running("serve", *SERVICES, env={"RPCSERVER_RPCBIND": rpcbind}) as service:
        assert len(registered(rpcbind)) == 4
        assert service.process.stop(signal.SIGINT) == 0
    assert registered(rpcbind) == set()


def test_listen_and_no_register(tmp_path: Path, rpcbind: str) -> None:
    path = tmp_path / "calc.sock"
    urls = [f"unix://{path}", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
    listen = [word for url in urls for word in ("--listen", url)]
    with running("serve", *SERVICES, *listen, "--no-register", "--rpcbind", rpcbind) as service:
        assert [parse_url(url).transport for url in service.urls] == ["unix", "tcp", "tcp", "udp"]
        assert registered(rpcbind) == set()
        for number, url in enumerate(service.urls, 1):
            with rpcserver.connect(CalcV2Client, url) as client:
                if number == 1:
                    client.store(0)
                assert client.accumulate(1) == number
    assert not path.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind: str) -> None:
    with running("serve", *SERVICES, "--no-register", "--kind", kind) as service:
        for url in service.urls:
            with rpcserver.connect(CalcV2Client, url) as client:
                assert client.join(["a", "b"]) == "a b"


@pytest.mark.parametrize("name", ["V1", "instance", "factory"])
def test_names_in_the_current_directory(here: Path, name: str) -> None:
    with running("serve", f"mine:{name}", "--no-register", cwd=here) as service:
        with rpcserver.connect(CalcV1Client, service.urls[0]) as client:
            assert client.add(1, 2) == 3


def test_calls_in_flight_are_finished(here: Path, rpcbind: str) -> None:
    ended: list[str] = []

    def pause(url: str) -> None:
        with rpcserver.connect(CalcV2Client, url) as client:
            client.pause(0)
            ended.append(parse_url(url).transport)

    with running("serve", "mine:Slow", "--rpcbind", rpcbind, cwd=here) as service:
        calls = [threading.Thread(target=pause, args=(url,)) for url in service.urls]
        for call in calls:
            call.start()
        for transport in ("tcp", "udp"):
            until("the call to run", (here / f"runs.{transport}").exists)
        service.process.send_signal(signal.SIGTERM)
        until("the end of the registration", lambda: not registered(rpcbind))
        until("the end of the listener", lambda: not _accepts(service.urls[0]))
        assert ended == []
        (here / "go").touch()
        assert service.process.wait() == 0
        for call in calls:
            call.join()
    assert sorted(ended) == ["tcp", "udp"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts(here: Path, number: signal.Signals) -> None:
    with Process([*RPCSERVER, "serve", "slow:V1"], cwd=here, env=environment()) as process:
        until("the start", (here / "starts").exists)
        assert process.stop(number) == 0
        assert (process.stdout(), process.stderr()) == ("", "")


def _accepts(url: str) -> bool:
    try:
        with rpcserver.connect(CalcV2Client, url):
            return True
    except NotReached:
        return False


def test_no_rpcbind_is_said_in_one_line() -> None:
    with running("serve", *SERVICES, "--rpcbind", free_url()) as service:
        with rpcserver.connect(CalcV1Client, service.urls[0]) as client:
            assert client.add(1, 1) == 2
        (line,) = service.process.stderr().splitlines()
        assert "rpcbind" in line
        assert service.process.stop() == 0


def test_portmap_starts_one() -> None:
    url = free_url()
    with running("serve", *SERVICES, "--portmap", "--rpcbind", url) as service:
        assert len(registered(url)) == 4
        with rpcserver.connect(CalcV1Client, "localhost", rpcbind=url) as client:
            assert client.add(1, 1) == 2
        assert service.process.stop() == 0
    with pytest.raises(NotReached):
        registered(url)


def test_portmap_takes_the_one_that_runs(rpcbind: str) -> None:
    with running("serve", *SERVICES, "--portmap", "--rpcbind", rpcbind) as service:
        assert len(registered(rpcbind)) == 4
        assert service.process.stop() == 0
    assert registered(rpcbind) == set()


def test_a_second_instance_steals_nothing(rpcbind: str) -> None:
    with running("serve", *SERVICES, "--rpcbind", rpcbind) as service:
        before = registered(rpcbind)
        second = run("serve", *SERVICES, "--rpcbind", rpcbind, cwd=ROOT)
        assert second.returncode == 1
        assert service.urls[0] in second.stderr
        assert registered(rpcbind) == before
        with running("serve", *SERVICES, "--rpcbind", rpcbind, "--replace") as third:
            assert registered(rpcbind) != before
            assert third.process.stop() == 0
        assert registered(rpcbind) == set()


def test_what_was_killed_is_replaced(rpcbind: str) -> None:
    with running("serve", *SERVICES, "--rpcbind", rpcbind) as service:
        service.process.stop(signal.SIGKILL)
        before = registered(rpcbind)
        assert len(before) == 4
    with running("serve", *SERVICES, "--rpcbind", rpcbind):
        assert len(registered(rpcbind)) == 4
        assert registered(rpcbind).isdisjoint(before)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["mine:V1", "--listen", "tcp://127.0.0.1:{taken}"], "Address already in use"),
        (["mine:V1", "--listen", "tcp://127.0.0.1:0", "--listen", "udp://{"], "is no address"),
        (["mine:V1", "--listen", "http://127.0.0.1:80"], "unknown transport 'http'"),
        (["mine:V1", "--listen", "tcp://192.0.2.1:0"], "cannot listen on tcp://192.0.2.1:0"),
        (["yours:V1"], "there is no module 'yours'"),
        (["mine.deeper:V1"], "there is no module 'mine.deeper'"),
        (["mine:V7"], "module 'mine' has no 'V7'"),
        (["mine:NeedsArguments"], "missing a required argument: 'database'"),
        (["mine:WrongSignature"], "WrongSignature.add must take (call, arg1, arg2)"),
        (["mine:not_a_service"], "not_a_service"),
        (["mine:nothing"], "mine:nothing is no service"),
        (["mine:V1", "mine:factory"], "two services for CALC_V1"),
        (["mine"], "'mine' is not MODULE:NAME"),
    ],
)
def test_a_mistake_is_one_line(here: Path, rpcbind: str, args: list[str], why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = [word.replace("{taken}", str(port)) for word in args]
        done = run("serve", *words, "--rpcbind", rpcbind, cwd=here)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert why in line
    assert registered(rpcbind) == set()


@pytest.mark.parametrize("name", ["mine:failing", "halting:V1"])
def test_a_mistake_in_the_users_code_is_a_traceback(here: Path, rpcbind: str, name: str) -> None:
    done = run("serve", name, "--rpcbind", rpcbind, cwd=here)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert registered(rpcbind) == set()


@pytest.mark.parametrize(
    "args", [[], ["mine:V1", "--kind", "magic"], ["mine:V1", "--no-register", "--portmap"]]
)
def test_a_wrong_command_line(here: Path, args: list[str]) -> None:
    assert run("serve", *args, cwd=here).returncode == 2


def test_a_method_that_fails_is_logged_and_the_connection_lives_on() -> None:
    with running("serve", *SERVICES, "--no-register") as service:
        with rpcserver.connect(CalcV2Client, service.urls[0]) as client:
            with pytest.raises(SystemErr):
                client.fail("on purpose")
            assert client.add(1, 1) == 2
        assert service.process.stderr().count("RuntimeError: on purpose") == 1
        assert service.process.stdout().count("\n") == 3


def free_url() -> str:
    """A TCP address of this host where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"tcp://127.0.0.1:{found.getsockname()[1]}"
