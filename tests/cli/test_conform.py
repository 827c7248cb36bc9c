"""``rpcserver conform``"""

import json

import pytest

from rpcserver.conform import probes_for
from rpcserver.servers.serve import serve
from tests.cli.command import invoke
from tests.conformance import faulty
from tests.peers import wire
from tests.rpc.echo import PROG, Echo


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_all_pass(transport: str) -> None:
    with serve(Echo(), listen=[f"{transport}://127.0.0.1:0"], register=False) as server:
        server.start()
        result = invoke("conform", server.endpoints[0], hex(PROG), "2")
    probes = probes_for(transport == "tcp", False)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:-1]] == [["passed", each.name] for each in probes]
    assert lines[-1] == f"{len(probes)} of {len(probes)} probes passed"


def test_json_with_arguments() -> None:
    echo = ["--procedure", "1", "--arguments", wire.opaque(b"probe").hex()]
    with serve(Echo(), listen=["tcp://127.0.0.1:0"], register=False) as server:
        server.start()
        result = invoke("conform", server.endpoints[0], str(PROG), "2", *echo, "--json")
    assert result.exit_code == 0, result.output
    found = {each["probe"]: each for each in json.loads(result.stdout)}
    assert found.keys() == {each.name for each in probes_for(True, True)}
    assert all(each["passed"] for each in found.values())
    assert found["arguments-cut"] == {
        "probe": "arguments-cut",
        "section": "RFC 5531 9",
        "sends": "Good arguments that end at each byte before their end.",
        "wanted": "GARBAGE_ARGS",
        "came": "GARBAGE_ARGS",
        "wrong": "",
        "passed": True,
    }


def test_what_failed() -> None:
    def fault(message: bytes, reply: bytes | None) -> list[bytes] | str:
        if message[8:12] == wire.words(3):
            return [message[:4] + wire.words(1, 0, 0, 0, 0)]
        return faulty.sound(message, reply)

    with faulty.serving(fault, "udp") as url:
        result = invoke("conform", url, str(PROG), "2", "--timeout", "1")
    assert result.exit_code == 1
    failed = [line.split() for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert failed[0] == ["FAILED", "rpcvers", "RFC", "5531", "9", "SUCCESS", "(3)", "RPC_MISMATCH"]
    assert len(failed) == 3


def test_command_lines_that_are_wrong() -> None:
    for words in (
        ["udp://127.0.0.1:1", str(PROG), "2", "--arguments", "abc", "--procedure", "1"],
        ["udp://127.0.0.1:1", "no such program", "2"],
        ["udp://127.0.0.1:1", str(PROG), "version"],
    ):
        assert invoke("conform", *words).exit_code == 2
    result = invoke("conform", "udp://127.0.0.1:1", str(PROG), "2", "--arguments", "00000000")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: the arguments are for a procedure: say which\n",
    )


def test_who_cannot_be_probed() -> None:
    with faulty.serving(faulty.sound) as url:
        assert invoke("conform", url, str(PROG), "9").exit_code == 66  # PROG_MISMATCH
    assert invoke("conform", url, str(PROG), "2").exit_code == 3
