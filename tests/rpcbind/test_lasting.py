"""What stays registered: not the dead, but all else over a restart; and what is passed on to it."""

import socket
from pathlib import Path

import pytest

from rpcserver import Portmapper, connect, serve
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import CallError, NoReply, NotReached, ProgUnavail, TimedOut, UsageError
from rpcserver.protocols.pmap_prot import CallArgs, PmapVersClient
from rpcserver.protocols.rpcb_prot import (
    RPCBPROG,
    RpcbRmtcallargs,
    Rpcbvers4Client,
    RpcbversClient,
)
from rpcserver.rpcbind import forwarding, state
from rpcserver.rpcbind.forwarding import Forwarder
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.probing import Prober
from rpcserver.rpcbind.table import Registration, Table
from rpcserver.servers.sockets import is_own_address
from tests.peers import wire
from tests.peers.process import until
from tests.rpc.echo import ECHO_V2, Echo

PROG = ECHO_V2._prog
LIVE = Registration(PROG, 2, "udp", "127.0.0.1.4.1", "superuser")


def test_the_dead_are_dropped(tmp_path: Path) -> None:
    """A server that was killed leaves its registrations; somebody else's answers."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        free = f"tcp://127.0.0.1:{sock.getsockname()[1]}"
    with Portmapper(["tcp://127.0.0.1:0"], probe=0.05) as portmap:
        (url,) = portmap.start().endpoints
        with serve(Echo(), rpcbind=url) as server, open_rpcbind(url) as asked:
            server.start()
            assert asked.set(77, 1, parse_url(free))
            assert asked.set(78, 1, Endpoint("unix", path=str(tmp_path / "gone.sock")))
            assert asked.set(79, 1, parse_url("tcp://198.51.100.77:1"))  # not this host's
            assert asked.set(80, 1, parse_url(server.endpoints[0]))  # another program has it
            until("the sweep", lambda: programs(portmap) == {PROG, 79, RPCBPROG})
            portmap.table.on_change = lambda: pytest.fail("one too many")
            for _ in range(3):
                next(iter(portmap._regular))._function()
            assert programs(portmap) == {PROG, 79, RPCBPROG}
            portmap.table.on_change = lambda: None


def programs(portmap: Portmapper) -> set[int]:
    return {each.prog for each in portmap.table.dump()}


@pytest.mark.parametrize(
    ("error", "stays"), [(NotReached(), False), (ProgUnavail(), False), (TimedOut(), True)]
)
def test_once_is_not_enough(error: CallError, stays: bool) -> None:
    table = Table()
    table.set(LIVE)

    def ping(place: Endpoint, prog: int, vers: int) -> None:
        raise error

    prober = Prober(table, ping, is_own_address)
    prober.look()
    assert table.dump() == [LIVE]
    prober.look()
    assert (table.dump() == [LIVE]) is stays


def test_own_addresses() -> None:
    assert is_own_address("127.0.0.1") and is_own_address("0.0.0.0") and is_own_address("::1")
    assert not is_own_address("198.51.100.77") and not is_own_address("2001:db8::1")


def test_what_is_registered_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state"
    entry = parse_url("tcp://198.51.100.77:4000")
    with Portmapper(["tcp://127.0.0.1:0"], state=path) as portmap:
        (url,) = portmap.start().endpoints
        with open_rpcbind(url) as asked:
            assert asked.set(PROG, 1, entry) and asked.set(PROG, 2, entry)
            assert asked.unset(PROG, 1, "tcp")
        before = [each for each in portmap.table.dump() if each.prog == PROG]
    assert path.stat().st_mode & 0o777 == 0o600
    with Portmapper(["tcp://127.0.0.1:0"], state=path) as portmap:
        assert [each for each in portmap.table.dump() if each.prog == PROG] == before
        own = [each.address for each in portmap.table.dump() if each.prog == RPCBPROG]
        assert own and own[0].endswith(uaddr_port(portmap))  # its own are those of now


def uaddr_port(portmap: Portmapper) -> str:
    port = parse_url(portmap.endpoints[0]).port
    return f".{port >> 8}.{port & 255}"


def test_a_state_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"\0\0\0\1\0")
    with pytest.raises(UsageError, match="is no state of an rpcbind"):
        Portmapper(["tcp://127.0.0.1:0"], state=tmp_path / "state")


def test_a_disk_that_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Portmapper(["tcp://127.0.0.1:0"], state=tmp_path / "no" / "state") as portmap:
        portmap.table.set(LIVE)
        assert "cannot be saved" in caplog.text
        assert LIVE in portmap.table.dump()
    with pytest.raises(OSError):
        state.save(tmp_path / "no" / "state", [])


def test_kinds() -> None:
    with pytest.raises(UsageError, match="forks has many"):
        Portmapper(["tcp://127.0.0.1:0"], kind="forks")


def test_calls_are_passed_on_in_all_versions() -> None:
    with Portmapper(["tcp://127.0.0.1:0"], forward_calls=True) as portmap:
        (url,) = portmap.start().endpoints
        with serve(Echo(), rpcbind=url) as server:
            server.start()
            arguments = wire.words(20, 22)
            with connect(PmapVersClient, url) as v2:
                answer = v2.callit(CallArgs(PROG, 2, 2, arguments))
                assert (answer.port, answer.res) == (
                    parse_url(server.endpoints[1]).port,
                    wire.words(42),
                )
            call = RpcbRmtcallargs(PROG, 2, 2, arguments)
            with connect(RpcbversClient, url) as v3, connect(Rpcbvers4Client, url) as v4:
                for method in (v3.callit, v4.bcast, v4.indirect):
                    assert method(call).results == wire.words(42)
                counted = v4.getstat()[2].rmtinfo
                assert [(each.prog, each.success, each.indirect) for each in counted] == [
                    (PROG, 2, 1)
                ]
            with connect(Rpcbvers4Client, url, timeout=0.3) as v4:
                for wrong in ((PROG, 2, 99), (PROG, 3, 2), (1, 1, 0), (RPCBPROG, 2, 4)):
                    with pytest.raises(TimedOut):  # and no error
                        v4.indirect(RpcbRmtcallargs(*wrong, arguments))


def test_programs_that_trust_their_host_are_not_called() -> None:
    called: list[int] = []

    def forward(place: Endpoint, prog: int, vers: int, proc: int, data: bytes) -> bytes:
        called.append(prog)
        return data

    table = Table()
    for prog in (100003, 100005, RPCBPROG, PROG):
        table.set(Registration(prog, 1, "udp", "0.0.0.0.4.1", "superuser"))
    table.set(Registration(77, 1, "udp", "198.51.100.77.4.1", "superuser"))
    forwarder = Forwarder(table, forward, is_own_address)
    with pytest.raises(NoReply, match="no address of this host"):
        forwarder.pass_on(77, 1, 1, b"", None)
    for prog in (100003, 100005, RPCBPROG):
        with pytest.raises(NoReply):
            forwarder.pass_on(prog, 1, 1, b"", None)
    with pytest.raises(NoReply, match="too many"):
        forwarder.pass_on(PROG, 1, 1, bytes(400), 300)
    assert forwarder.pass_on(PROG, 1, 1, bytes(400), None)[1] == bytes(400)
    assert called == [PROG, PROG]


def test_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    table = Table()
    table.set(LIVE)
    forwarder = Forwarder(table, lambda *call: b"", is_own_address)

    def passed(tries: int) -> int:
        count = 0
        for _ in range(tries):
            try:
                forwarder.pass_on(PROG, 2, 1, b"", None)
                count += 1
            except NoReply:
                pass
        return count

    assert passed(200) == forwarding.RATE
    now += 0.5
    assert passed(200) == forwarding.RATE // 2
