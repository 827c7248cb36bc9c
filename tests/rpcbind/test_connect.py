"""From a host to a client, over real sockets; the rpcbind is ours, on ports of its own."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpcserver.auth import SysCredential, server_flavors
from rpcserver.clients import finding as module
from rpcserver.clients.connect import connect, ping
from rpcserver.clients.finding import locate, open_rpcbind
from rpcserver.clients.registering import Registered
from rpcserver.errors import NotReached, ProgMismatch, ProgUnavail, TimedOut, UsageError
from rpcserver.protocols.pmap_prot import Mapping, PmapVersClient
from rpcserver.protocols.rpcb_prot import Rpcbvers4Client
from rpcserver.rpc.call import Call
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.version import AsyncClient, Client, Procedure, Service, Version
from rpcserver.rpcbind import service
from rpcserver.rpcbind.netid import parse_url
from rpcserver.rpcbind.table import Registration, Table
from rpcserver.servers.server import Server
from rpcserver.xdr import String

PROG = 0x20000102


class WHO(Version, prog=PROG, vers=1):
    WHOPROC_ASK: Procedure[str] = Procedure(1, "ask", [], String())


class WHO_V2(Version, prog=PROG, vers=2):
    WHOPROC_ASK: Procedure[str] = Procedure(1, "ask", [], String())


class Who(Service, version=WHO):
    """Says over which transport it was asked, and by whom."""

    def ask(self, call: Call) -> str:
        return f"{call.peer.transport} {call.credential and call.credential.uid}"


class WhoClient(Client, version=WHO):
    def ask(self) -> str:
        return self._call(WHO.WHOPROC_ASK)


class WhoV2Client(Client, version=WHO_V2):
    def ask(self) -> str:
        return self._call(WHO_V2.WHOPROC_ASK)


class WhoAsyncClient(AsyncClient, version=WHO):
    pass


class Embedded:
    """An rpcbind of ours; `url` finds it."""

    def __init__(self, directory: Path) -> None:
        self.table = Table()
        engine = ServerEngine(service.services(self.table), server_flavors())
        self.path = directory / "rpcbind.sock"
        listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix://{self.path}"]
        self.server = Server(engine, listen).start()
        self.url, self.udp_url, self.unix_url = self.server.endpoints

    def add(self, netid: str, address: str, vers: int = 1) -> None:
        assert self.table.set(Registration(PROG, vers, netid, address, "superuser"))


@pytest.fixture
def rpcbind(tmp_path: Path) -> Iterator[Embedded]:
    made = Embedded(tmp_path)
    with made.server:
        yield made


@pytest.fixture
def who(tmp_path: Path) -> Iterator[Server]:
    engine = ServerEngine([Who()], server_flavors())
    listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix://{tmp_path}/who.sock"]
    with Server(engine, listen).start() as server:
        yield server


@pytest.fixture
def registered(who: Server, rpcbind: Embedded) -> Iterator[None]:
    undo = register([WHO], map(parse_url, who.endpoints), rpcbind=rpcbind.url)
    yield
    undo()
    assert rpcbind.table.dump() == []


def register(*args: Any, **options: Any) -> Callable[[], None]:
    """Register, and return what undoes it."""
    ours = Registered(*args, **options)
    try:
        ours.register()
    except BaseException:
        ours.undo()
        raise
    return ours.undo


def test_a_url(who: Server) -> None:
    for url, transport in zip(who.endpoints, ["tcp", "udp", "unix"], strict=True):
        with connect(WhoClient, url) as client:
            assert client.ask() == f"{transport} None"


def test_credentials(who: Server) -> None:
    with connect(WhoClient, who.endpoints[0], credentials=SysCredential(42, 42)) as client:
        assert client.ask() == "tcp 42"


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("transport", ["tcp", "udp", "unix"])
@pytest.mark.parametrize("over", ["url", "udp_url", "unix_url"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_host(rpcbind: Embedded, host: str, over: str, transport: str) -> None:
    asked = getattr(rpcbind, over)
    with connect(WhoClient, host, rpcbind=asked, transport=transport) as client:
        assert client.ask() == f"{transport} None"


@pytest.mark.usefixtures("registered")
def test_the_environment(rpcbind: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPCSERVER_RPCBIND", rpcbind.url)
    with connect(WhoClient, "localhost", timeout=5) as client:
        assert client.ask() == "tcp None"
    with open_rpcbind() as asked:
        assert len(asked.dump()) == 3


@pytest.mark.usefixtures("registered")
def test_another_version_is_the_servers_to_refuse(rpcbind: Embedded) -> None:
    with (
        connect(WhoV2Client, "localhost", rpcbind=rpcbind.url) as client,
        pytest.raises(ProgMismatch) as caught,
    ):
        client.ask()
    assert (caught.value.low, caught.value.high) == (1, 1)


@pytest.mark.parametrize(
    ("registered_as", "asked", "found"),
    [
        ("0.0.0.0.4.1", "127.0.0.1", "tcp://127.0.0.1:1025"),
        ("127.0.0.2.4.1", "127.0.0.1", "tcp://127.0.0.2:1025"),
        ("192.0.2.7.4.1", "127.0.0.1", "tcp://192.0.2.7:1025"),
        ("192.0.2.7.4.1", "192.0.2.9", "tcp://192.0.2.9:1025"),
        ("127.0.0.1.4.1", "192.0.2.9", "tcp://192.0.2.9:1025"),
    ],
)
def test_the_host_that_the_user_asked(
    rpcbind: Embedded, registered_as: str, asked: str, found: str
) -> None:
    rpcbind.add("tcp", registered_as)
    assert str(locate(asked, PROG, 1, rpcbind=rpcbind.url)) == found


def test_ipv6(rpcbind: Embedded) -> None:
    rpcbind.add("tcp6", "::.4.1")
    assert str(locate("::1", PROG, 1, rpcbind=rpcbind.url)) == "tcp://[::1]:1025"
    with pytest.raises(NotReached, match="not registered"):
        locate("127.0.0.1", PROG, 1, rpcbind=rpcbind.url)


def test_nothing_registered(rpcbind: Embedded) -> None:
    with pytest.raises(NotReached, match=f"localhost: program {PROG} is not registered .* for udp"):
        connect(WhoClient, "localhost", rpcbind=rpcbind.url, transport="udp")


def test_no_rpcbind(rpcbind: Embedded) -> None:
    rpcbind.server.close()
    with pytest.raises(NotReached, match="no rpcbind reached .*refused"):
        connect(WhoClient, "localhost", rpcbind=rpcbind.url)
    with pytest.raises(NotReached, match="no rpcbind reached .*No such file"):
        register([WHO], [], rpcbind=rpcbind.unix_url)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("http://localhost:80", {}, "no address"),
        ("localhost", {"transport": "carrier pigeon"}, "unknown transport"),
        ("localhost", {"rpcbind": "localhost"}, "no address"),
        ("tcp://localhost:1", {"credentials": "magic"}, "unknown authentication"),
    ],
)
def test_local_mistakes(target: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        connect(WhoClient, target, **options)


@pytest.mark.parametrize("wrong", [Who, WhoAsyncClient, None])
def test_no_client_class(wrong: Any) -> None:
    with pytest.raises(UsageError, match="no class of blocking clients"):
        connect(wrong, "localhost")


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(NotReached, match=r"no-such-host\.invalid"):
        connect(WhoClient, "no-such-host.invalid", timeout=5)
    with pytest.raises(NotReached):
        connect(WhoClient, "x" * 300, timeout=5)


def test_where_rpcbind_is_looked_for() -> None:
    def found(*args: Any) -> list[str]:
        return [str(place) for place in module._rpcbinds(*args)]

    assert found(None, "192.0.2.1", False) == ["tcp://192.0.2.1:111", "udp://192.0.2.1:111"]
    assert found(None, "127.0.0.1", False) == [
        "tcp://127.0.0.1:111",
        "unix:///run/rpcbind.sock",
        "udp://127.0.0.1:111",
    ]
    assert found(None, "192.0.2.1", True) == [
        "unix:///run/rpcbind.sock",
        "tcp://127.0.0.1:111",
        "tcp://[::1]:111",
    ]
    assert found("udp://192.0.2.1:9", "x", True) == ["udp://192.0.2.1:9"]
    assert found("unix:///x", "x", False) == ["unix:///x"]
    assert "tcp://127.0.0.1:9" in found("tcp://localhost:9", "x", False)


def test_ping(who: Server, rpcbind: Embedded) -> None:
    for url in who.endpoints:
        ping(parse_url(url), PROG, 1)
        with pytest.raises(ProgMismatch):
            ping(parse_url(url), PROG, 2)
        with pytest.raises(ProgUnavail):
            ping(parse_url(url), PROG + 1, 1)


def test_ping_nobody() -> None:
    for kind, transport in [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")]:
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", 0))
            place = parse_url(f"{transport}://127.0.0.1:{sock.getsockname()[1]}")
            if transport == "udp":
                with pytest.raises(TimedOut):
                    ping(place, PROG, 1, timeout=0.2)
        with pytest.raises(NotReached):
            ping(place, PROG, 1)


def test_a_second_server_steals_nothing(rpcbind: Embedded, who: Server) -> None:
    first = register([WHO], map(parse_url, who.endpoints), rpcbind=rpcbind.url)
    before = rpcbind.table.dump()
    with Server(ServerEngine([Who()], server_flavors()), ["tcp://127.0.0.1:0"]) as second:
        places = [parse_url(url) for url in second.endpoints]
        with pytest.raises(UsageError, match=f"is served at {who.endpoints[0]}"):
            register([WHO], places, rpcbind=rpcbind.url)
        assert rpcbind.table.dump() == before

        undo = register([WHO], places, rpcbind=rpcbind.url, replace=True)
        assert places[0].uaddr in [each.address for each in rpcbind.table.dump()]
        first()
        assert [each.address for each in rpcbind.table.dump()] == [places[0].uaddr]
        undo()
        assert rpcbind.table.dump() == []


def test_the_dead_are_replaced(rpcbind: Embedded, who: Server) -> None:
    with Server(ServerEngine([Who()], server_flavors()), ["tcp://127.0.0.1:0"]) as dead:
        late = register([WHO], map(parse_url, dead.endpoints), rpcbind=rpcbind.url)
    assert len(rpcbind.table.dump()) == 1
    undo = register([WHO], map(parse_url, who.endpoints), rpcbind=rpcbind.url)
    with connect(WhoClient, "localhost", rpcbind=rpcbind.url) as client:
        assert client.ask() == "tcp None"
    there = rpcbind.table.dump()
    late()  # what has another address is another's
    assert rpcbind.table.dump() == there
    undo()
    assert rpcbind.table.dump() == []


def test_unregistering_from_an_rpcbind_that_is_gone(
    rpcbind: Embedded, who: Server, caplog: pytest.LogCaptureFixture
) -> None:
    undo = register([WHO], map(parse_url, who.endpoints), rpcbind=rpcbind.url)
    rpcbind.server.close()
    undo()
    assert "cannot unregister" in caplog.text


def test_a_hanging_rpcbind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimedOut):
            connect(WhoClient, "localhost", rpcbind=url, timeout=0.3)


def test_every_version_over_every_transport(rpcbind: Embedded) -> None:
    rpcbind.add("udp", "127.0.0.1.4.1")
    for url in (rpcbind.url, rpcbind.udp_url, rpcbind.unix_url):
        with connect(PmapVersClient, url) as pmap:
            assert pmap.getport(Mapping(PROG, 1, 17, 0)) == 1025
        with connect(Rpcbvers4Client, url) as rpcb:
            assert len(rpcb.dump()) == 1
