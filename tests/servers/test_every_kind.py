"""One service and one suite over every kind of server, socket type and address family.

Each server class of socketserver's diagram is there by its own name, the kinds of ``serve()``
that have no class of their own by theirs, and the in-memory channel.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver import servers, testing
from rpcserver.errors import AuthError, ProcUnavail, SystemErr
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import serve
from tests.peers import wire
from tests.peers.process import until
from tests.rpc.echo import Echo
from tests.servers.facts import FACTS_V3, PROG, Facts, FactsClient, Place, running

Opener = Callable[[Path], AbstractContextManager[Place]]

MIXINS = ("", "Threading", "Forking", "Multiplexing")
TYPES = ("TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer")


def opener(name: str, host: str) -> Opener:
    def open_it(directory: Path) -> AbstractContextManager[Place]:
        server_class = getattr(servers, name)
        address: Any = (host, 0)
        if "Unix" in name:
            address = str(directory / "sock")
        if host == "::":
            server_class = type(name, (server_class,), {"dual_stack": True})
        return running(server_class(address, [Facts(), Echo()]))

    return open_it


def opener_of_kind(kind: str, url: str) -> Opener:
    @contextmanager
    def open_it(directory: Path) -> Iterator[Place]:
        listen = [url.format(path=directory / "sock")]
        with serve(Facts(), Echo(), listen=listen, register=False, kind=kind) as server:
            server.start()
            (found,) = server.endpoints
            place = parse_url(found)
            yield Place(
                found,
                place.transport,
                lambda **options: servers_connect(found, **options),
                server.listeners[0],
            )

    return open_it


def servers_connect(url: str, **options: Any) -> FactsClient:
    import rpcserver

    return rpcserver.connect(FactsClient, url, **{"timeout": 10, **options})


@contextmanager
def memory(directory: Path) -> Iterator[Place]:
    service = Facts()
    yield Place("", "memory", lambda **options: testing.connect(FactsClient, service, **options))


PLACES: dict[str, Opener] = {
    f"{mixin}{kind}-{host}": opener(mixin + kind, host)
    for mixin in MIXINS
    for kind in TYPES
    for host in (("path",) if "Unix" in kind else ("127.0.0.1", "::1", "::"))
}
PLACES |= {
    f"asyncio-{url}": opener_of_kind("asyncio", url)
    for url in (
        "tcp://127.0.0.1:0",
        "tcp://[::1]:0",
        "udp://127.0.0.1:0",
        "udp://[::1]:0",
        "unix://{path}",
        "unixgram://{path}",
    )
}
SERVERS = dict(PLACES)
PLACES["memory"] = memory


def alone(name: str) -> bool:
    """Whether one request at a time is served."""
    return name.startswith(("TCP", "UDP", "Unix"))


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as found:
        yield found


def socket_to(place: Place) -> socket.socket:
    where = parse_url(place.url)
    family: int = socket.AF_UNIX
    address: Any = where.path
    if where.internet:
        family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
        address = where.host, where.port
    sock = socket.socket(family, socket.SOCK_STREAM if where.stream else socket.SOCK_DGRAM)
    try:
        sock.settimeout(10)
        if family == socket.AF_UNIX:
            sock.bind("")
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Raw:
    """Calls and replies as bytes, over whatever it is."""

    def __init__(self, place: Place) -> None:
        self.stream = parse_url(place.url).stream
        self.socket = socket_to(place)

    def send(self, record: bytes) -> None:
        self.socket.sendall(wire.frame(record) if self.stream else record)

    def receive(self) -> wire.Reply:
        if not self.stream:
            return wire.parse_reply(self.socket.recv(1 << 18))
        (mark,) = self._exactly(4)
        return wire.parse_reply(b"".join(self._exactly(int.from_bytes(mark) & 0x7FFFFFFF)))

    def _exactly(self, count: int) -> list[bytes]:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            assert part, "the connection was closed"
            data += part
        return [data]

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()


def test_answers_and_refusals(place: Place) -> None:
    with place.open() as client:
        for text in ("", "hello", "grüße\udcff", "x" * 8000):
            assert client.call(FACTS_V3.ECHO, text) == text
            assert client.call(FACTS_V3.ASYNC, text) == text
        assert client.call(FACTS_V3.CHILD, "") > 0
        for how, error in ((0, SystemErr), (1, AuthError), (2, SystemErr)):
            with pytest.raises(error):
                client.call(FACTS_V3.FAIL, how)
        with pytest.raises(ProcUnavail):
            client.call(FACTS_V3.MISSING)
        assert client.call(FACTS_V3.ECHO, "still there") == "still there"


def test_what_a_method_knows(place: Place) -> None:
    lasting = place.transport in ("tcp", "unix", "memory")
    with place.open(credentials="sys") as client:
        assert client.call(FACTS_V3.ABOUT) == (
            f"{place.transport} {PROG:#x} 3 ABOUT True {os.getuid()} {lasting} "
            + client.call(FACTS_V3.ABOUT).split()[-1]
        )


def test_a_connection_has_state_and_an_end(place: Place, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with place.open() as client:
        counts = [client.call(FACTS_V3.COUNT, str(gone)) for _ in range(3)]
        if place.transport in ("udp", "unixgram"):
            assert counts == [-1, -1, -1]
            return
        assert counts == [1, 2, 3]
        assert not gone.exists()
    until("the connection's end", gone.exists)
    with place.open() as client:
        assert client.call(FACTS_V3.COUNT, str(gone)) == 1


@pytest.mark.parametrize("name", SERVERS)
def test_a_oneway_call_gets_no_reply(name: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with SERVERS[name](tmp_path) as place, Raw(place) as raw:
        raw.send(wire.call(PROG, 3, 6, wire.opaque(str(told).encode()), xid=1))
        until("it was told", told.exists)
        raw.send(wire.call(PROG, 3, 6, b"garbage", xid=2))  # nor for a broken one
        raw.send(wire.call(PROG, 3, 1, wire.opaque(b"x"), xid=3))
        assert raw.receive().xid == 3


@pytest.mark.parametrize("name", SERVERS)
def test_what_cannot_be_answered_well(name: str, tmp_path: Path) -> None:
    with SERVERS[name](tmp_path) as place, Raw(place) as raw:
        raw.send(wire.call(PROG, 9, 1, xid=1))
        reply = raw.receive()
        assert (reply.xid, reply.accept_stat, reply.low, reply.high) == (
            1, wire.PROG_MISMATCH, 3, 3
        )  # fmt: skip
        raw.send(wire.call(PROG, 3, 1, wire.words(2**31), xid=2))
        assert raw.receive().accept_stat == wire.GARBAGE_ARGS
        raw.send(b"nonsense")
        raw.send(wire.call(PROG, 3, 0, xid=3))
        assert raw.receive().xid == 3


@pytest.mark.parametrize("name", SERVERS)
def test_a_slow_method(name: str, tmp_path: Path) -> None:
    """The synchronous servers serve others only afterwards, all others meanwhile."""
    path = tmp_path / "go-on"
    finished: list[str] = []
    with SERVERS[name](tmp_path) as place:

        def call(what: str, procedure: Any, argument: str) -> None:
            with place.open(timeout=20) as client:
                client.call(procedure, argument)
            finished.append(what)

        slow = threading.Thread(target=call, args=("slow", FACTS_V3.SLOW, str(path)))
        fast = threading.Thread(target=call, args=("fast", FACTS_V3.ECHO, "x"))
        slow.start()
        until("the slow one is in", Path(f"{path}.begun").exists)
        fast.start()
        if not alone(name):
            fast.join(10)
            assert finished == ["fast"]
        path.touch()
        slow.join(10)
        fast.join(10)
        assert sorted(finished) == ["fast", "slow"]
        if alone(name):
            assert place.server.engine.services[0].log == ["slow", "fast"]


@pytest.mark.parametrize("name", [each for each in SERVERS if each.startswith(("M", "asyncio"))])
def test_a_later_fast_call_is_answered_first(name: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    with SERVERS[name](tmp_path) as place, Raw(place) as raw:
        raw.send(wire.call(PROG, 3, 4, wire.opaque(str(path).encode()), xid=1))
        for xid in (2, 3, 4):
            raw.send(wire.call(PROG, 3, 1, wire.opaque(b"fast"), xid=xid))
        assert [raw.receive().xid for _ in range(3)] == [2, 3, 4]
        path.touch()
        assert raw.receive().xid == 1


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_left_to_a_child_holds_up_nobody(name: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    with SERVERS[name](tmp_path) as place, Raw(place) as raw:
        raw.send(wire.call(PROG, 3, 7, wire.opaque(str(path).encode()), xid=1))
        until("the rest of the work begins", Path(f"{path}.begun").exists)
        with Raw(place) as other:
            other.send(wire.call(PROG, 3, 1, wire.opaque(b"x"), xid=7))
            assert other.receive().xid == 7
        path.touch()
        reply = raw.receive()
        assert reply.xid == 1
        in_this_process = reply.results == wire.words(os.getpid())
        assert in_this_process != (alone(name) or name.startswith("Forking"))
        if place.transport in ("tcp", "unix"):  # the child goes on with the connection
            raw.send(wire.call(PROG, 3, 1, wire.opaque(b"x"), xid=2))
            assert raw.receive().xid == 2


@pytest.mark.parametrize("name", [each for each in SERVERS if each.endswith("-::")])
def test_an_ipv6_socket_takes_ipv4_only_if_asked(name: str, tmp_path: Path) -> None:
    with SERVERS[name](tmp_path) as place:
        port = parse_url(place.url).port
        mapped = Place(f"{place.transport}://127.0.0.1:{port}", place.transport, place.open)
        with Raw(mapped) as raw:
            raw.send(wire.call(PROG, 3, 0, xid=5))
            assert raw.receive().xid == 5
    server_class = getattr(servers, name.removesuffix("-::"))
    with running(server_class(("::", 0), [Facts()])) as place:
        # Not bound to see: another process may have that port of IPv4.
        assert place.server.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@pytest.mark.parametrize("name", SERVERS)
def test_calls_are_counted_in_whatever_process(name: str, tmp_path: Path) -> None:
    with SERVERS[name](tmp_path) as place:
        with place.open() as client:
            for _ in range(3):
                client.call(FACTS_V3.ECHO, "x")
            with pytest.raises(SystemErr):
                client.call(FACTS_V3.FAIL, 2)
        counted = {each.proc: each.outcomes for each in place.server.engine.counters.counts()}
        assert counted == {1: {"SUCCESS": 3}, 5: {"SYSTEM_ERR": 1}}


@pytest.mark.parametrize("name", SERVERS)
def test_closing_finishes_what_is_in_flight(name: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    slow = wire.call(PROG, 3, 4, wire.opaque(str(path).encode()))
    with ExitStack() as stack:
        place = stack.enter_context(SERVERS[name](tmp_path))
        with Raw(place) as raw:
            raw.send(slow)
            until("it is in", Path(f"{path}.begun").exists)
            closing = threading.Thread(target=stack.close)
            closing.start()
            if raw.stream:
                until("nobody is let in", lambda: refused(place))
            assert closing.is_alive()
            path.touch()
            assert raw.receive().accept_stat == wire.SUCCESS
            closing.join(10)
            assert not closing.is_alive()
            if raw.stream:
                assert raw.socket.recv(1) == b""


def refused(place: Place) -> bool:
    try:
        Raw(place).socket.close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("mixin", MIXINS[1:])
@pytest.mark.parametrize("kind", TYPES)
def test_closing_does_not_wait_for_ever(mixin: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "never-there"
    slow = wire.call(PROG, 3, 4, wire.opaque(str(path).encode()))
    base = getattr(servers, mixin + kind)
    impatient = type("Impatient", (base,), {"close_timeout": 0.2})
    address: Any = str(tmp_path / "sock") if "Unix" in kind else ("127.0.0.1", 0)
    with running(impatient(address, [Facts()])) as place, Raw(place) as raw:
        raw.send(slow)
        until("it is in", Path(f"{path}.begun").exists)
        begun = time.monotonic()
        place.server.end_requests()
        place.server.shutdown()
        place.server.server_close()
        assert time.monotonic() - begun < 5
        path.touch()  # for the thread that is still in it
