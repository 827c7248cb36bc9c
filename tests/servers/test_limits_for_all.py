"""Limits that stand between one client and all others: of an address, of calls in all."""

import gc
import socket
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.held import held_by
from rpcserver.servers.origin import load_service
from rpcserver.servers.per_peer import origin
from rpcserver.servers.serve import serve
from tests.cli.command import run
from tests.peers import wire
from tests.peers.process import until
from tests.servers.facts import PROG, Facts, Place
from tests.servers.test_limits import ECHO, KINDS, limited

LOOPS = ("Multiplexing", "asyncio")


def connect(place: Place, source: str = "127.0.0.1") -> wire.Stream:
    where = parse_url(place.url)
    stream = wire.Stream.__new__(wire.Stream)
    stream.socket = socket.create_connection((where.host, where.port), 10, (source, 0))
    return stream


def is_served(stream: wire.Stream) -> bool:
    try:
        stream.send(wire.frame(ECHO))
        return wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS
    except (OSError, EOFError):
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_connections_of_one_address(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(kind, max_connections_per_peer=2) as place, ExitStack() as stack:
        first, second = (stack.enter_context(connect(place)) for _ in range(2))
        assert is_served(first)
        assert is_served(second)
        for _ in range(5):
            with connect(place) as third:
                assert third.is_closed()
        until("it is said", lambda: "max_connections_per_peer" in caplog.text)
        assert place.server.reached["max_connections_per_peer"] == 5
        assert len(caplog.records) < 5, "a line a second"
        other = stack.enter_context(connect(place, "127.0.0.2"))
        assert is_served(other), "another address is not counted with it"
        assert is_served(first)
        # Children have our end of it, too, so that to close it would not be enough.
        first.socket.shutdown(socket.SHUT_RDWR)

        def another() -> bool:
            with connect(place) as stream:
                served = is_served(stream)
                with suppress(OSError):
                    stream.socket.shutdown(socket.SHUT_RDWR)
                return served

        until("there is room again", another)
        for stream in (second, other):
            stream.socket.shutdown(socket.SHUT_RDWR)
        until("nothing is left", lambda: not place.server.open_requests())
        assert place.server._peers.count("127.0.0.1") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("192.0.2.1", 1), ("192.0.2.1", 2), True),
        (("192.0.2.1", 1), ("192.0.2.2", 1), False),
        (("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:0:0:1", 1, 0, 0), True),
        (("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0), False),
        (("::ffff:192.0.2.1", 1, 0, 0), ("::ffff:192.0.2.2", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth0", 1, 0, 2), False),
        ((3, 1024), (3, 1025), True),
        ((3, 1024), (4, 1024), False),
    ],
)
def test_what_one_host_is(one: Any, other: Any, same: bool) -> None:
    assert (origin(one) == origin(other)) is same
    assert origin(one) is not None


def test_unix_sockets_have_no_address(tmp_path: Path) -> None:
    assert origin("") is None
    path = tmp_path / "socket"
    service = load_service("tests.servers.facts:Facts")
    listen = [f"unix://{path}"]
    with serve(service, listen=listen, register=False, max_connections_per_peer=1) as server:
        server.start()
        with wire.Stream(path) as first, wire.Stream(path) as second:
            assert is_served(first)
            assert is_served(second)


def slow(path: Path, xid: int) -> bytes:
    return wire.call(PROG, 3, 4, wire.opaque(str(path).encode()), xid=xid)


@pytest.mark.parametrize("kind", LOOPS)
def test_calls_in_all(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "go-on"
    with limited(kind, max_calls=3) as place, connect(place) as one, connect(place) as other:
        one.send(b"".join(wire.frame(slow(path, xid)) for xid in range(2)))
        until("they begin", Path(f"{path}.begun").exists)
        other.send(b"".join(wire.frame(slow(path, xid)) for xid in range(2, 9)))
        refused = [wire.parse_reply(other.read_record()) for _ in range(6)]
        assert {each.accept_stat for each in refused} == {wire.SYSTEM_ERR}
        assert {each.xid for each in refused} == set(range(3, 9)), "at once, and the first waits"
        assert is_served(other), "what needs no thread is served"
        path.touch()
        assert wire.parse_reply(other.read_record()).accept_stat == wire.SUCCESS
        for _ in range(2):
            assert wire.parse_reply(one.read_record()).accept_stat == wire.SUCCESS
        assert place.server.reached["max_calls"] == 6
        assert "Facts.slow was not begun" in caplog.text
        one.send(wire.frame(slow(path, 10)))
        assert wire.parse_reply(one.read_record()).accept_stat == wire.SUCCESS


@pytest.mark.parametrize("kind", LOOPS)
def test_datagrams_in_all(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    with limited(kind, "UDP", max_calls=2) as place:
        where = parse_url(place.url)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.connect((where.host, where.port))
            for xid in range(4):
                sock.send(slow(path, xid))
            until("two are not begun", lambda: place.server.reached["max_calls"] == 2)
            path.touch()
            assert {wire.parse_reply(sock.recv(1000)).xid for _ in range(2)} == {0, 1}
            sock.send(slow(path, 2))  # as a client does that had no answer
            assert wire.parse_reply(sock.recv(1000)).xid == 2, "and nothing before it"


def one_thread() -> Executor:
    return ThreadPoolExecutor(1)


@pytest.mark.parametrize("kind", LOOPS)
def test_an_answer_in_time(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, never = tmp_path / "go-on", tmp_path / "never"
    if kind == "asyncio":
        server = serve(
            load_service("tests.servers.facts:Facts"),
            listen=["tcp://127.0.0.1:0"],
            register=False,
            kind="asyncio",
            executor=one_thread,
            start_timeout=0.3,
        )
        with server:
            server.start()
            nobody: Any = None
            place = Place(server.endpoints[0], "tcp", nobody, server.listeners[0])
            check_in_time(place, path, never)
        return
    executor = staticmethod(one_thread)
    with limited(kind, executor=executor, start_timeout=0.3) as place:
        check_in_time(place, path, never)
    assert "start_timeout" in caplog.text


def check_in_time(place: Place, path: Path, never: Path) -> None:
    with connect(place) as stream:
        stream.send(wire.frame(slow(path, 1)))
        until("it begins", Path(f"{path}.begun").exists)
        stream.send(b"".join(wire.frame(slow(never, xid)) for xid in range(2, 7)))
        late = [wire.parse_reply(stream.read_record()) for _ in range(5)]
        assert {each.xid for each in late} == set(range(2, 7))
        assert {each.accept_stat for each in late} == {wire.SYSTEM_ERR}
        methods = place.server.methods
        assert len(methods._pending) == 6, "they count for as long as the executor has them"
        gc.collect()
        kept = [each for each in gc.get_objects() if isinstance(each, Invocation)]
        assert len(kept) == 1, "and are not kept: that may be long"
        path.touch()
        reply = wire.parse_reply(stream.read_record())
        assert (reply.xid, reply.accept_stat) == (1, wire.SUCCESS)
        until("the executor is through with them", lambda: not methods._pending)
        assert not Path(f"{never}.begun").exists(), "what was refused is not done later"
        assert place.server.reached["start_timeout"] == 5


class Never(Executor):
    """It begins nothing: processes that are all busy."""

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        return Future()


def test_an_answer_in_time_from_other_executors() -> None:
    service = load_service("tests.servers.facts:Facts")
    urls = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
    with serve(service, listen=urls, register=False, executor=Never, start_timeout=0.2) as server:
        server.start()
        where = parse_url(server.endpoints[0])
        with wire.Stream((where.host, where.port)) as stream:
            stream.send(wire.frame(slow(Path("x"), 7)))
            reply = wire.parse_reply(stream.read_record())
            assert (reply.xid, reply.accept_stat) == (7, wire.SYSTEM_ERR)
        where = parse_url(server.endpoints[1])
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect((where.host, where.port))
            sock.send(slow(Path("x"), 8))
            until("it is late", lambda: server.stats().limits.get("start_timeout") == 2)
            until("it is not kept", lambda: server.stats().open == 0)
            sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                sock.recv(100)


def test_the_command_line_sets_limits() -> None:
    words = ["serve", "tests.servers.facts:Facts", "--no-register", "--limit"]
    for wrong in ("max_connections", "max_connections=x", "access=1", "max_record=-1"):
        done = run(*words, wrong)
        assert done.returncode == 2
        assert "not like max_connections=100" in done.stderr
    done = run(*words, "max_conections=1")
    assert done.returncode == 1
    assert "no setting 'max_conections'" in done.stderr


class Waits(Facts):
    """``slow`` waits until ``go`` is set, whatever its argument is."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.begun = 0

    @rpcserver.blocking
    def slow(self, call: Any, path: str) -> int:
        self.begun += 1
        self.go.wait(20)
        return 0


@pytest.mark.parametrize("kind", LOOPS)
def test_bytes_of_calls_in_all(kind: str) -> None:
    service = Waits()
    large = wire.frame(wire.call(PROG, 3, 4, wire.opaque(b"x" * 60_000)))
    with limited(kind, service=lambda: service, max_calls_bytes=100_000) as place:  # type: ignore[arg-type]
        with connect(place) as one, connect(place) as other:
            one.send(large * 5)
            until("two are begun", lambda: service.begun == 2)
            other.send(large * 5)
            until("one of somebody else is", lambda: service.begun == 3)
            with connect(place) as third:
                assert is_served(third)
            assert place.server.methods.bytes in range(180_000, 181_000)
            service.go.set()
            for stream in (one, other):
                for _ in range(5):
                    reply = wire.parse_reply(stream.read_record())
                    assert reply.accept_stat == wire.SUCCESS
        assert service.begun == 10
        until("nothing is left", lambda: place.server.methods.bytes == 0)


@pytest.mark.parametrize("kind", LOOPS)
def test_bytes_held_in_all(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(kind, max_held=1 << 20) as place, ExitStack() as stack:
        half = wire.words(0x8000_0000 + 400_000) + ECHO[:40] + wire.words(399_956) + bytes(200_000)
        patient = stack.enter_context(connect(place, "127.0.0.2"))
        patient.send(half)
        greedy = [stack.enter_context(connect(place)) for _ in range(6)]
        for stream in greedy[:4]:
            stream.send(half)
        # With the fifth it is too much, and the host that has the most loses some.
        greedy[4].send((wire.words(100) + bytes(100)) * 2000)
        until("one is closed", lambda: place.server.reached["max_held"])
        until("it is said", lambda: "max_held" in caplog.text)
        until("the rest fits", lambda: sum(map(held_by, list(place.server.streams))) <= 1 << 20)
        assert sum(map(held_by, list(place.server.streams))) > 600_000, "no more than was too much"
        patient.send(bytes(199_956))
        assert len(wire.parse_reply(patient.read_record()).results or b"") == 399_960
        assert is_served(greedy[5])


@pytest.mark.parametrize("kind", LOOPS)
def test_replies_held_in_all(kind: str) -> None:
    echo = wire.frame(wire.call(PROG, 3, 1, wire.opaque(b"x" * 900_000)))
    with limited(kind, max_held=4 << 20) as place, ExitStack() as stack:
        for _ in range(16):
            stream = stack.enter_context(connect(place))
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.socket.settimeout(0.1)
            try:
                for _ in range(20):  # the kernel takes some MiB
                    stream.send(echo)
            except OSError:
                pass
        until("some are closed", lambda: place.server.reached["max_held"])
        until("the rest fits", lambda: sum(map(held_by, list(place.server.streams))) <= 4 << 20)
        assert is_served(stack.enter_context(connect(place, "127.0.0.2")))
