"""Calls to everybody, on a network of two hosts: ours and rpcinfo's, to the system's and ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rpcserver import broadcast, errors
from rpcserver.clients.interfaces import EVERYWHERE, broadcast_addresses
from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import until
from tests.peers.rpcbind import RPCSERVER, Rpcbind, embedded, listen, rpcinfo
from tests.rpc.echo import ECHO_V2, EchoClient

HERE, THERE = "198.51.100.1", "198.51.100.2"

ASK = """
import json, sys
from rpcserver import broadcast
from tests.rpc.echo import EchoClient
how = json.loads(sys.argv[1])
for answer in broadcast(EchoClient, *how.pop("call"), timeout=1.5, **how):
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def near(namespace: Namespace) -> Namespace:
    """Where the caller is."""
    return namespace


@pytest.fixture
def far(near: Namespace) -> Iterator[Namespace]:
    """Another host on the same network."""
    with Namespace() as other:
        near.join(other, f"{HERE}/24", f"{THERE}/24")
        yield other


@contextmanager
def echo(namespace: Namespace) -> Iterator[dict[str, str]]:
    """A service there: transport -> URL, as it is seen from here."""
    urls = listen(["tcp://0.0.0.0:0", "udp://0.0.0.0:0"])
    with namespace.popen(*RPCSERVER, "serve", "tests.rpc.echo:Echo", *urls) as process:
        process.wait_for("^ready$")
        ports = {each: process.wait_for(rf"^listening {each}://.*:(\d+)$")[1] for each in URLS}
        yield {each: f"{each}://{THERE}:{port}" for each, port in ports.items()}


URLS = ("tcp", "udp")


def asked(namespace: Namespace, *call: object, **how: object) -> list[list[object]]:
    output = namespace.python(ASK, json.dumps({"call": call, **how}))
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("rpcbind", ["system", "ours"])
def test_where_it_is(near: Namespace, far: Namespace, rpcbind: str) -> None:
    with Rpcbind(far) if rpcbind == "system" else embedded(far), echo(far) as urls:
        found = asked(near)
        assert sorted(found) == [[urls["tcp"], None], [urls["udp"], None]]
        assert asked(near, transport="tcp") == [[urls["tcp"], None]]


@pytest.mark.parametrize("rpcbind", ["system", "ours"])
def test_one_host_is_asked_over_udp_alone(near: Namespace, far: Namespace, rpcbind: str) -> None:
    source = f"""
from rpcserver import connect
from tests.rpc.echo import EchoClient
for transport in ("tcp", "udp"):
    how = {{"rpcbind": "udp://{THERE}:111", "transport": transport}}
    with connect(EchoClient, "{THERE}", **how) as client:
        print(client.channel.endpoint, client.add(20, 22))
"""
    with Rpcbind(far) if rpcbind == "system" else embedded(far), echo(far) as urls:
        assert near.python(source).split() == [urls["tcp"], "42", urls["udp"], "42"]


@pytest.mark.parametrize("rpcbind", ["system", "ours"])
def test_a_call_that_is_passed_on(near: Namespace, far: Namespace, rpcbind: str) -> None:
    passing = Rpcbind(far, "-r") if rpcbind == "system" else embedded(far, "--forward-calls")
    with passing, echo(far) as urls:
        assert asked(near, "add", 20, 22) == [[urls["udp"], 42]]
        assert asked(near, "fail", 0) == []  # whose program fails says nothing


def test_nothing_is_passed_on_unless_asked_for(near: Namespace, far: Namespace) -> None:
    with embedded(far), echo(far):
        assert asked(near, "add", 20, 22) == []


def test_rpcinfo_finds_who_passes_calls_on(near: Namespace, far: Namespace) -> None:
    need("rpcbind", "rpcinfo")
    with embedded(far, "--forward-calls"), embedded(near), echo(far):
        shown = rpcinfo(near, "-b", str(ECHO_V2._prog), "2").stdout
        assert THERE in shown, shown
        counted = rpcinfo(far, "-m").stdout
        assert "CALLIT" in counted or "RMTCALL" in counted.upper(), counted


def test_no_network(namespace: Namespace) -> None:
    code = "from rpcserver.clients.interfaces import *; print(broadcast_addresses())"
    assert namespace.python(code) == f"['{EVERYWHERE}']\n"
    with pytest.raises(Exception, match="returned non-zero"):
        asked(namespace)


def test_the_networks_of_this_host(near: Namespace, far: Namespace) -> None:
    code = "from rpcserver.clients.interfaces import *; print(broadcast_addresses())"
    assert near.python(code) == "['198.51.100.255']\n"
    assert all(address.count(".") == 3 for address in broadcast_addresses())


def test_what_makes_no_sense() -> None:
    with pytest.raises(errors.UsageError, match="unknown transport"):
        broadcast(EchoClient, transport="unix")
    with pytest.raises(errors.UsageError, match="no method 'nothing'"):
        broadcast(EchoClient, "nothing")
    with pytest.raises(errors.UsageError, match="passed on over UDP"):
        broadcast(EchoClient, "add", 1, 2, transport="tcp")
    with pytest.raises(errors.XdrError):
        broadcast(EchoClient, "add", 1, "two")


def test_a_long_answer_is_not_sent_to_who_may_be_somebody_else(
    near: Namespace, far: Namespace
) -> None:
    """Over UDP, from another host: no list, and no result far larger than its question."""
    source = f"""
from tests.peers import wire
for vers, proc in ((2, 4), (3, 4), (4, 4), (4, 11), (4, 12)):
    arguments = wire.words(100000, 4) + wire.words(0, 0, 0) if proc == 11 else b""
    call = wire.call(100000, vers, proc, arguments)
    answer = wire.udp_exchange(("{THERE}", 111), call)
    assert wire.parse_reply(answer).auth_stat == 5 and len(answer) <= len(call)
    answer = wire.tcp_exchange(("{THERE}", 111), call)
    assert wire.parse_reply(answer).accept_stat == 0
print("right")
"""
    with embedded(far):
        assert near.python(source) == "right\n"


def test_a_flood_is_passed_on_at_a_rate(near: Namespace, far: Namespace) -> None:
    source = f"""
import socket
from tests.peers import wire
with socket.socket(type=socket.SOCK_DGRAM) as sock:
    for xid in range(1000):
        arguments = wire.words({ECHO_V2._prog}, 2, 0, 0)
        sock.sendto(wire.call(100000, 2, 5, arguments, xid=xid), ("{THERE}", 111))
    sock.settimeout(1)
    count = 0
    try:
        while sock.recv(1000):
            count += 1
    except TimeoutError:
        print(count)
"""
    with embedded(far, "--forward-calls") as process, echo(far):
        answers = int(near.python(source))
        assert 0 < answers <= 150
        assert process.returncode is None
        until("an answer", lambda: "100000" in rpcinfo(near, "-p", THERE).stdout)
