"""``rpcserver bench``: counts that servers confirm, every way to end, no figures judged."""

import json
import os
import pty
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver.servers.serve import serve
from tests.cli.command import CALC, RPCSERVER, environment, invoke
from tests.peers.cc import CalcServer
from tests.peers.process import until

SOURCE = """
typedef opaque blob<>;
typedef string text<8>;
struct note { int number; string text<>; opaque data<100>; };
program BENCHED_PROG {
    version BENCHED_V1 {
        void BENCHEDPROC_NULL(void) = 0;
        blob BENCHEDPROC_ECHO(blob) = 1;
        int BENCHEDPROC_BOTH(int, blob, text) = 2;
        int BENCHEDPROC_NOTE(note) = 3;
        int BENCHEDPROC_FAIL(int) = 4;
        int BENCHEDPROC_SILENT(int) = 5;
    } = 1;
} = 0x20000142;
"""


class Served:
    """A service, where it is, and what came to it."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)
        module: Any = rpcserver.load(file)
        self.seen: set[Any] = set()
        self.calls = 0
        outer = self

        class Benched(module.BenchedV1Service):  # type: ignore[misc]
            def echo(self, call: Any, data: bytes) -> bytes:
                outer.calls += 1
                outer.seen.add(len(data))
                return data

            def both(self, call: Any, number: int, data: bytes, text: str) -> int:
                outer.seen.add((number, data, text))
                return 0

            def note(self, call: Any, note: Any) -> int:
                outer.seen.add((note.number, note.text, note.data))
                return 0

            def fail(self, call: Any, number: int) -> int:
                raise rpcserver.errors.GarbageArgs

            def silent(self, call: Any, number: int) -> int:
                raise rpcserver.errors.NoReply

        self.service = Benched()
        self.urls: dict[str, str] = {}

    def bench(self, *words: str, transport: str = "tcp") -> Any:
        """What the verb prints as JSON."""
        done = invoke("bench", self.urls[transport], self.file, *words, "--json")
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "benched.x"
    file.write_text(SOURCE, encoding="utf-8")
    found = Served(file)
    with serve(found.service, register=False) as server:
        server.start()
        found.urls = {url.partition(":")[0]: url for url in server.endpoints}
        yield found


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_call_is_counted(served: Served, transport: str) -> None:
    shape = ["-c", "2", "-d", "3", "-t", "0.3"]
    report = served.bench("echo", "--size", "1000", *shape, transport=transport)
    assert served.seen == {1000}
    assert 0 < report["calls"] <= served.calls <= report["calls"] + 6
    assert (report["connections"], report["depth"], report["errors"]) == (2, 3, {})
    assert report["unfinished"] <= 6
    assert report["seconds"] >= 0.3
    assert report["calls_per_second"] == pytest.approx(report["calls"] / report["seconds"], 1e-3)
    assert sum(count for _, _, count in report["histogram_us"]) == report["calls"]
    latency = report["latency_us"]
    order = ["min", "p50", "p90", "p99", "p999", "max"]
    assert sorted(latency[name] for name in order) == [latency[name] for name in order]


def test_large_records(served: Served) -> None:
    report = served.bench("echo", "-s", "1000000", "-d", "4", "-t", "0.3")
    assert report["calls"] > 0
    assert (served.seen, report["errors"]) == ({1000000}, {})


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_c_server(calc_c_server: CalcServer, transport: str) -> None:
    target = f"{transport}://127.0.0.1:{calc_c_server.port(transport)}"
    done = invoke("bench", CALC, target, "add", "1", "-1", "-d", "8", "-t", "0.2", "--json")
    report = json.loads(done.stdout)
    assert report["calls"] > 0
    assert report["errors"] == {}


def test_for_people(served: Served) -> None:
    done = invoke("bench", served.file, served.urls["tcp"], "NULL", "-t", "0.1")
    assert done.exit_code == 2  # the names are those of the file
    done = invoke("bench", served.file, served.urls["tcp"], "null", "-t", "0.1")
    assert done.exit_code == 0, done.stderr
    assert served.urls["tcp"] in done.stdout
    for word in ("1 x 1", "calls/s", "p50", "p999", "█"):
        assert word in done.stdout
    assert "errors" not in done.stdout
    assert done.stderr == ""


def test_size_fills_what_is_left_out(served: Served) -> None:
    served.bench("both", "7", "-s", "5", "-t", "0.05")
    served.bench("note", '{"number": 1}', "-s", "3", "-t", "0.05")
    served.bench("note", '{"number": 2, "text": "given"}', "-s", "3", "-t", "0.05")
    assert served.seen == {
        (7, b"xxxxx", "xxxxx"),
        (1, "xxx", b"xxx"),
        (2, "given", b"xxx"),
    }


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["echo", '"00"', "-s", "1"], "there is none"),
        (["null", "-s", "1"], "there is none"),
        (["both", "7", "-s", "9"], "args[2]"),  # over the string's limit
        (["note", "-s", "1"], "needs 'number'"),
        (["echo"], "takes 1 values, not 0"),
        (["echo", "-s", "-1"], "--size"),
        (["null", "-c", "1001"], "--connections"),
        (["null", "-d", "0"], "--depth"),
        (["null", "-t", "3601"], "--duration"),
        (["null", "--timeout", "0"], "--timeout"),
        (["null", "--vers", "2"], "no version 2"),
        (["nothing"], "no procedure"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line(served: Served, words: list[str], why: str) -> None:
    done = invoke("bench", served.urls["tcp"], served.file, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr


def test_refusals_are_counted(served: Served) -> None:
    target = served.urls["tcp"]
    done = invoke("bench", target, served.file, "fail", "1", "-t", "0.1", "--json")
    assert done.exit_code == 68  # what call would have said
    report = json.loads(done.stdout)
    assert report["calls"] == 0
    assert report["errors"].keys() == {"GarbageArgs"}


def test_silence_is_given_up(served: Served) -> None:
    words = ["-d", "2", "-t", "0.5", "--timeout", "0.1"]
    for url in served.urls.values():
        done = invoke("bench", url, served.file, "silent", "1", *words)
        assert done.exit_code == 3
        assert "TimedOut" in done.stdout
        assert "in time" in done.stderr


def test_silence_for_longer_than_it_took(served: Served) -> None:
    done = invoke("bench", served.urls["tcp"], served.file, "silent", "1", "-t", "0.1")
    assert done.exit_code == 3
    assert "1 at the end" in done.stdout


def test_nobody_there(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    done = invoke("bench", f"tcp://127.0.0.1:{port}", served.file, "null")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize("noise", [b"", b"\x80\x00\x00\x04spam", b"\xff\xff\xff\xff"])
def test_a_connection_that_is_lost_is_opened_again(served: Served, noise: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = 0

        def close_all() -> None:
            nonlocal accepted
            while True:
                sock, _ = listener.accept()
                with sock:
                    if sock.recv(4) == b"stop":
                        return
                    accepted += 1
                    sock.sendall(noise)

        thread = threading.Thread(target=close_all)
        thread.start()
        target = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        done = invoke("bench", target, served.file, "null", "-d", "4", "-t", "0.6", "--json")
        with socket.create_connection(listener.getsockname()) as last:
            last.sendall(b"stop")
        thread.join()
    errors = json.loads(done.stdout)["errors"]
    assert done.exit_code in (3, 4)
    assert accepted > 1
    assert set(errors) <= {"NotReached", "BadReply"}
    assert sum(errors.values()) >= accepted


def test_ctrl_c_ends_it_with_what_there_is(served: Served) -> None:
    argv = [*RPCSERVER, "bench", served.urls["tcp"], served.file, "echo", "-s", "1", "-t", "60"]
    with subprocess.Popen(
        [*argv, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        until("calls", lambda: served.calls > 10, timeout=30)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, b"")
    report = json.loads(stdout)
    assert report["interrupted"]
    assert report["calls"] > 0
    assert report["seconds"] < 60


def test_a_bar_on_a_terminal(served: Served) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*RPCSERVER, "bench", served.urls["tcp"], served.file, "null", "-t", "0.5", "--json"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=environment({"TERM": "xterm"}),
            timeout=30,
            check=True,
        )
        os.close(theirs)
        assert b"calls/s" in os.read(ours, 1 << 16)
    finally:
        os.close(ours)
    assert json.loads(done.stdout)["calls"] > 0
