"""``rpcserver call``: the same answers from the Python service and from rpcgen's C server."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.calc import CalcV1, CalcV2
from rpcserver.servers.serve import serve
from tests.cli.command import CALC, invoke, run
from tests.peers import wire
from tests.peers.cc import CalcServer

POINT = {"x": -1, "y": 2}
NUMBER = {"op": "OP_NUMBER", "number": 2.5, "left": None, "right": None}


@pytest.fixture(scope="module")
def python_urls() -> Iterator[dict[str, str]]:
    """The Python calculator: transport -> URL."""
    with serve(CalcV1(), CalcV2(), register=False) as server:
        server.start()
        yield {url.partition(":")[0]: url for url in server.endpoints}


@pytest.fixture(params=["python tcp", "python udp", "c tcp", "c udp"])
def target(request: pytest.FixtureRequest, python_urls: dict[str, str]) -> str:
    """A calculator's URL: ours or C's, over TCP or UDP."""
    language, transport = request.param.split()
    if language == "python":
        return python_urls[transport]
    server: CalcServer = request.getfixturevalue("calc_c_server")
    return f"{transport}://127.0.0.1:{server.port(transport)}"


def result(*args: str) -> Any:
    """What a call answers, as JSON."""
    done = invoke("call", CALC, *args)
    assert done.exit_code == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return json.loads(line)


@pytest.mark.parametrize(
    ("procedure", "arguments", "answer"),
    [
        ("add", [2, -40], -38),
        ("CALCPROC_ADD", [2, -40], -38),
        ("CALCPROC2_ADD", [2**31 - 1, 1], -(2**31)),
        ("null", [], None),
        ("divide", [7, -3], {"status": "CALC_OK", "value": -2}),
        ("divide", [7, 0], {"status": "CALC_DIV_BY_ZERO"}),
        (
            "divide",
            [-(2**31), -1],
            {"status": "CALC_OVERFLOW", "message": "the quotient does not fit"},
        ),
        (
            "eval",
            [{"op": "OP_NEG", "number": 0, "left": NUMBER, "right": None}],
            {"status": "CALC_OK", "value": -2.5},
        ),
        (
            "eval",
            [{"op": "OP_ADD", "number": 0, "left": NUMBER, "right": None}],
            {"status": "CALC_BAD_TREE"},
        ),
        ("sum", [[2**31 - 1, 2**31 - 1, -1]], 2**32 - 3),
        ("statistics", [[]], None),
        ("statistics", [[1, 3]], {"count": 2, "mean": 2.0, "minimum": 1.0, "maximum": 3.0}),
        ("join", [["one", "", "three"]], "one  three"),
        ("pause", [1], None),
        ("echo_hyper", [-(2**63)], -(2**63)),
        ("echo_unsigned_hyper", [2**64 - 1], 2**64 - 1),
        ("echo_float", [0.5], 0.5),
        ("echo_double", ["NaN"], "NaN"),
        ("echo_double", ["-Infinity"], "-Infinity"),
        ("echo_bool", [True], True),
        ("echo_color", ["ULTRAVIOLET"], "ULTRAVIOLET"),
        ("echo_color", [-1], "INFRARED"),
        ("echo_text", ["gr\u00fcn \udcff"], "gr\u00fcn \udcff"),
        ("echo_blob", ["00ff7f"], "00ff7f"),
        ("echo_few_ints", [list(range(8))], list(range(8))),
        ("echo_points", [[POINT, POINT]], [POINT, POINT]),
        ("echo_palette", [["RED", "BLUE"]], ["RED", "BLUE"]),
        ("echo_maybe_point", [None], None),
        ("echo_maybe_point", [POINT], POINT),
        ("reverse", [[{"value": 1}, {"value": 2}]], [{"value": 2}, {"value": 1}]),
        ("echo_node", [[{"value": 1}]], [{"value": 1}]),
        ("echo_paint", [{"kind": "GREEN", "opacity": 0.5}], {"kind": "GREEN", "opacity": 0.5}),
        ("echo_shape", [{"sides": -1, "unknown": "00" * 8}], {"sides": -1, "unknown": "00" * 8}),
        ("echo_shape", [{"sides": 9, "outline": [POINT]}], {"sides": 9, "outline": [POINT]}),
        ("echo_packet", [{"kind": 0x12, "path": []}], {"kind": 0x12, "path": []}),
        ("echo_answer", [{"known": True, "text": "42"}], {"known": True, "text": "42"}),
        ("echo_answer", [{"known": False}], {"known": False}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers(target: str, procedure: str, arguments: list[Any], answer: Any) -> None:
    assert result(target, procedure, *map(json.dumps, arguments)) == answer


def test_what_is_not_ascii_is_escaped(target: str) -> None:
    done = invoke("call", CALC, target, "echo_text", '"\u00fc\\udcff"')
    assert done.stdout == '"\\u00fc\\udcff"\n'


def test_who_calls(target: str) -> None:
    nobody = result(target, "whoami")
    assert (nobody["flavor"], nobody["uid"], nobody["gids"]) == (0, 0xFFFFFFFF, [])
    for vers in ("1", "2"):
        us = result(target, "whoami", "--auth", "sys", "--vers", vers)
        assert (us["flavor"], us["uid"], us["gid"]) == (1, os.getuid(), os.getgid())


def test_a_procedure_that_fails(target: str) -> None:
    done = invoke("call", CALC, target, "fail", '"on purpose"')
    assert (done.exit_code, done.stdout) == (69, "")
    assert "SYSTEM_ERR" in done.stderr


OTHER = """
program OTHER { version FIRST { void OTHER_NULL(void) = 0; } = 1; } = 0x20000198;
program CALC {
    version V2 { int V2_NEW(int) = 4711; int V2_ECHO_WORDS(unsigned int) = 34; } = 2;
    version V7 { void V7_PING(void) = 0; } = 7;
} = 0x20000199;
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["OTHER_NULL"], 65),
        (["V7_PING"], 66),
        (["V2_NEW", "1"], 67),
        (["V2_ECHO_WORDS", "4294967295"], 68),  # so many words, and then none
    ],
)
def test_another_idea_of_the_program(
    target: str, tmp_path: Path, arguments: list[str], status: int
) -> None:
    (tmp_path / "other.x").write_text(OTHER, encoding="utf-8")
    done = invoke("call", str(tmp_path / "other.x"), target, *arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["subtract", "1", "2"], "no procedure 'subtract'"),
        (["add", "1"], "takes 2 values, not 1"),
        (["add", "1", "2", "3"], "takes 2 values, not 3"),
        (["add", "1", "two"], "args[1]: 'two' is no JSON"),
        (["add", "1", '"two"'], "args[1]: expected a whole number"),
        (["add", "1", "2147483648"], "args[1]: 2147483648"),
        (["echo_points", '[{"x": 1}]'], "args[0]: Point needs 'y'"),
        (["echo_color", '"PINK"'], "args: expected a member of Color"),
        (["echo_few_ints", json.dumps([0] * 9)], "args: 9 elements"),
        (["echo_text", r'"\ud800"'], "args: "),
        (["echo_expr", "[" * 100_000], "args: "),
        (["add", "1", "2", "--vers", "3"], "no version 3"),
        (["eval", "{}", "--vers", "1"], "no procedure 'eval'"),
        (["add", "1", "2", "--auth", "gss"], "gss"),
        (["add", "1", "2", "--timeout", "0"], "--timeout"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_wrong_command_line(python_urls: dict[str, str], arguments: list[str], why: str) -> None:
    done = invoke("call", CALC, python_urls["tcp"], *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in done.stderr


def test_a_name_in_two_programs(tmp_path: Path, python_urls: dict[str, str]) -> None:
    source = """
        program A { version A1 { int A_PROC_ADD(int, int) = 1; } = 1; } = 0x20000198;
        program B { version B1 { int B_PROC_ADD(int, int) = 1; } = 1; } = 0x20000199;
    """
    (tmp_path / "two.x").write_text(source, encoding="utf-8")
    call = ["call", str(tmp_path / "two.x"), python_urls["tcp"]]
    assert "A_PROC_ADD of A1, B_PROC_ADD of B1" in invoke(*call, "add", "1", "2").stderr
    assert invoke(*call, "B_PROC_ADD", "1", "2").stdout == "3\n"


@pytest.mark.parametrize(
    ("file", "target", "why"),
    [
        ("missing.x", "tcp://127.0.0.1:1", "cannot read"),
        ("wrong.x", "tcp://127.0.0.1:1", "wrong.x:1:"),
        (CALC, "http://127.0.0.1:1", "unknown transport"),
        (CALC, "tcp://127.0.0.1", "a host and a port"),
    ],
)
def test_a_local_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, target: str, why: str
) -> None:
    (tmp_path / "wrong.x").write_text("struct {", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = invoke("call", file, target, "add", "1", "2")
    assert (done.exit_code, done.stdout) == (1, "")
    assert why in done.stderr


def test_a_host_is_looked_up(python_urls: dict[str, str], rpcbind: str) -> None:
    nowhere = invoke("call", CALC, "localhost", "add", "1", "2", "--rpcbind", rpcbind)
    assert nowhere.exit_code == 3
    assert "not registered" in nowhere.stderr
    with serve(CalcV2(), rpcbind=rpcbind) as server:
        server.start()
        assert result("localhost", "add", "1", "2", "--rpcbind", rpcbind) == 3


def test_an_argument_may_hold_any_bytes(python_urls: dict[str, str]) -> None:
    done = run("call", CALC, python_urls["tcp"], "echo_text", os.fsdecode(b'"\xff\xc3\xbc"'))
    assert (done.returncode, done.stdout) == (0, '"\\udcff\\u00fc"\n')


@contextmanager
def answering(reply: Callable[[bytes], bytes]) -> Iterator[str]:
    """A server on UDP that makes up a reply to each datagram; empty: none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        stop = b"stop"

        def run() -> None:
            while True:
                call, peer = sock.recvfrom(65535)
                if call == stop:
                    return
                if answer := reply(call):
                    sock.sendto(answer, peer)

        thread = threading.Thread(target=run)
        thread.start()
        host, port = sock.getsockname()
        try:
            yield f"udp://{host}:{port}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(stop, (host, port))
            thread.join()


ACCEPTED = (wire.REPLY, wire.MSG_ACCEPTED, wire.AUTH_NONE, 0)
DENIED = (wire.REPLY, wire.MSG_DENIED)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((*ACCEPTED, wire.SUCCESS, 3), 0),
        ((*ACCEPTED, wire.SUCCESS), 4),
        ((*ACCEPTED, wire.SUCCESS, 3, 3), 4),
        ((*ACCEPTED, 17), 4),
        ((wire.REPLY, 5), 4),
        ((*DENIED, wire.RPC_MISMATCH, 2, 2), 64),
        ((*ACCEPTED, wire.PROG_UNAVAIL), 65),
        ((*ACCEPTED, wire.PROG_MISMATCH, 1, 2), 66),
        ((*ACCEPTED, wire.PROC_UNAVAIL), 67),
        ((*ACCEPTED, wire.GARBAGE_ARGS), 68),
        ((*ACCEPTED, wire.SYSTEM_ERR), 69),
        *(((*DENIED, wire.AUTH_ERROR, stat), 80 + stat) for stat in (1, 2, 5, 13, 14)),
    ],
)
def test_every_answer_has_its_exit_status(words: tuple[int, ...], status: int) -> None:
    with answering(lambda call: call[:4] + wire.words(*words)) as url:
        done = invoke("call", CALC, url, "add", "1", "2", "--timeout", "5")
    assert done.exit_code == status, done.stderr
    assert done.stdout == ("3\n" if status == 0 else "")
    assert len(done.stderr.splitlines()) == (0 if status == 0 else 1)


def test_no_answer() -> None:
    with answering(lambda call: b"") as url:
        done = invoke("call", CALC, url, "add", "1", "2", "--timeout", "0.1")
    assert done.exit_code == 3
    assert "in time" in done.stderr


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    done = invoke("call", CALC, f"tcp://127.0.0.1:{port}", "add", "1", "2")
    assert done.exit_code == 3
    assert "Connection refused" in done.stderr
