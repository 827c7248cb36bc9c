"""Every limit of a connection, reached from a raw socket, in each kind that can be reached."""

import logging
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver import servers
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import serve
from tests.cli.command import RPCSERVER, environment
from tests.peers import wire
from tests.peers.process import Process, until
from tests.servers.facts import PROG, Facts, Place, running

ECHO = wire.call(PROG, 3, 1, wire.opaque(b"x"))
KINDS = ("Threading", "Forking", "Multiplexing", "asyncio")


@contextmanager
def limited(
    kind: str, transport: str = "TCP", service: type[Facts] = Facts, **limits: Any
) -> Iterator[Place]:
    """A server of that kind with other limits."""
    prefix = "Multiplexing" if kind == "asyncio" else kind
    base = getattr(servers, f"{prefix}{transport}Server")
    limited_class = type("Limited", (base,), limits)
    if kind != "asyncio":
        with running(limited_class(("127.0.0.1", 0), [service()])) as place:
            yield place
        return
    with serve(service(), listen=[], register=False, kind="asyncio") as server:
        listener = limited_class(("127.0.0.1", 0), server.engine)
        server.listeners.append(listener)
        server.start()
        yield Place(server.endpoints[0], listener.transport, lambda **_: None, listener)  # type: ignore[arg-type]


def connect(place: Place) -> wire.Stream:
    where = parse_url(place.url)
    return wire.Stream((where.host, where.port))


def still_serves(place: Place) -> bool:
    with connect(place) as stream:
        stream.send(wire.frame(ECHO))
        return wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS


def said(place: Place, kind: str, limit: str, caplog: pytest.LogCaptureFixture) -> None:
    """The limit is counted and named in one line; what a child says goes to its own log."""
    if kind != "Forking":
        until(limit, lambda: limit in caplog.text)  # it is counted before
        assert place.server.reached[limit]
        lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
        assert [line for line in lines if limit in line] == lines[:1]
        assert re.match(r"tcp://127\.0\.0\.1:\d+: .*; closed \(\w+\)$", lines[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("limit", "value", "sent"),
    [
        ("max_record", 1000, wire.words(0x80000000 + 1001)),
        ("max_record", 1000, (wire.words(300) + bytes(300)) * 3 + wire.words(101)),
        ("max_fragments", 100, wire.words(0) * 101),
        ("max_fragments", 100, (wire.words(1) + b"x") * 10_000),
    ],
)
def test_records(
    kind: str, limit: str, value: int, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    limits: Any = {limit: value}
    with limited(kind, **limits) as place:
        with connect(place) as stream:
            stream.send(wire.frame(ECHO))
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS
            stream.send(sent)
            assert stream.is_closed()
        said(place, kind, limit, caplog)
        assert still_serves(place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_says_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(kind, idle_timeout=0.2) as place:
        with connect(place) as stream:
            assert stream.is_closed()
        said(place, kind, "idle_timeout", caplog)
        with connect(place) as stream:  # nor may it after a call
            stream.send(wire.frame(ECHO))
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS
            assert stream.is_closed()
        assert still_serves(place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_never_ends(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(kind, record_timeout=0.3) as place:
        with connect(place) as stream:
            stream.socket.settimeout(0.02)
            closed = False
            for byte in wire.frame(ECHO * 1000):  # slowly, so that there is always something new
                try:
                    stream.send(bytes([byte]))
                    closed = stream.is_closed()
                except TimeoutError:
                    continue
                except OSError:
                    closed = True
                break
            assert closed
        said(place, kind, "record_timeout", caplog)
        assert still_serves(place)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_never_reads(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    big = wire.frame(wire.call(PROG, 3, 1, wire.opaque(bytes(b"y" * 60_000))))
    with limited(kind, write_timeout=0.3, max_queued=100_000) as place:
        with connect(place) as stream:
            stream.socket.settimeout(0.2)
            sent = 0
            try:
                while sent < 200 << 20:
                    sent += stream.socket.send(big)
            except OSError:
                pass
            # What is kept for it is bounded: the server has stopped to read.
            assert sent < 50 << 20
            said(place, kind, "write_timeout", caplog)
        assert still_serves(place)


@pytest.mark.parametrize("kind", KINDS)
def test_more_connections_than_allowed(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with limited(kind, max_connections=3) as place, ExitStack() as stack:
        streams = []
        for _ in range(3):
            stream = stack.enter_context(connect(place))
            stream.send(wire.frame(ECHO))
            stream.read_record()
            streams.append(stream)
        with connect(place) as fourth:
            assert fourth.is_closed()
        until("it is said", lambda: "max_connections" in caplog.text)  # it is counted before
        assert place.server.reached["max_connections"] == 1
        for stream in streams:  # nobody else notices
            stream.send(wire.frame(ECHO))
            stream.read_record()
        # Children have our end of it, too, so that to close it would not be enough.
        streams[0].socket.shutdown(socket.SHUT_RDWR)

        def another() -> bool:
            try:
                return still_serves(place)
            except (OSError, EOFError):
                return False

        until("there is room again", another)


def test_turning_away_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with limited("Multiplexing", max_connections=0) as place:
        for _ in range(50):
            with connect(place) as stream:
                assert stream.is_closed()
        assert place.server.reached["max_connections"] == 50
        assert len(caplog.records) < 20
        until(
            "it is said again",
            lambda: turned_away_once_more(place) and "more before" in caplog.text,
        )


def turned_away_once_more(place: Place) -> bool:
    with connect(place) as stream:
        return stream.is_closed()


@pytest.mark.parametrize("kind", ["Multiplexing", "asyncio"])
def test_calls_in_flight_on_a_connection(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    slow = wire.opaque(str(path).encode())
    with limited(kind, max_in_flight=3) as place:
        with connect(place) as stream:
            calls = [wire.call(PROG, 3, 4, slow, xid=n) for n in range(10)]
            stream.send(b"".join(wire.frame(each) for each in calls))
            until("they begin", Path(f"{path}.begun").exists)
            (table,) = place.server.streams
            until("three are in flight", lambda: table._in_flight == 3)
            assert still_serves(place)
            path.touch()
            xids = {wire.parse_reply(stream.read_record()).xid for _ in calls}
            assert xids == set(range(10))


@pytest.mark.parametrize("kind", ["Threading", "Multiplexing", "asyncio"])
def test_datagrams_in_flight(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "go-on"
    slow = wire.opaque(str(path).encode())
    with limited(kind, "UDP", max_in_flight=3) as place:
        where = parse_url(place.url)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.connect((where.host, where.port))
            for n in range(8):
                sock.send(wire.call(PROG, 3, 4, slow, xid=n))
            until("they begin", lambda: len(place.server._requests) == 3)
            path.touch()
            assert {wire.parse_reply(sock.recv(1000)).xid for _ in range(8)} == set(range(8))
            assert len(place.server._requests) <= 3


@pytest.mark.parametrize("kind", ["Threading", "Multiplexing", "asyncio"])
def test_urgent_bytes_are_in_no_record_and_the_hook_has_them(kind: str) -> None:
    seen: list[bytes] = []

    def hook(server: Any, request: Any, client_address: Any, data: bytes) -> None:
        getattr(servers.TCPServer, "handle_out_of_band")(server, request, client_address, data)  # noqa: B009
        seen.append(data)

    with limited(kind, handle_out_of_band=hook) as place, connect(place) as stream:
        record = wire.frame(ECHO)
        for position in (1, 4, 9, len(record) - 1):
            stream.send(record[:position])
            stream.socket.send(bytes([position]), socket.MSG_OOB)
            stream.send(record[position:])
            assert wire.parse_reply(stream.read_record()).results == wire.opaque(b"x")
            until("the hook", lambda at=position: bytes([at]) in seen)  # type: ignore[misc]
        stream.socket.send(b"!", socket.MSG_OOB)  # alone
        until("the hook", lambda: b"!" in seen)
        assert len(seen) == place.server.reached["out_of_band"] == 5


@pytest.mark.parametrize("kind", ["sync", "threads", "select", "asyncio"])
def test_out_of_file_descriptors(kind: str) -> None:
    shell = ["sh", "-c", 'ulimit -n "$0"; exec "$@"', "48"]
    verb = ["serve", "tests.servers.facts:Facts", "--no-register", "--kind", kind]
    argv = [*shell, *RPCSERVER, *verb, "--listen", "tcp://127.0.0.1:0"]
    with Process(argv, env=environment()) as process, ExitStack() as stack:
        url = process.wait_for("^listening (.*)$", timeout=30)[1]
        process.wait_for("^ready$")
        place = Place(url, "tcp", lambda **_: None)  # type: ignore[arg-type]
        first = stack.enter_context(connect(place))
        first.send(wire.frame(ECHO))
        first.read_record()
        others = [stack.enter_context(connect(place)) for _ in range(60)]
        if kind != "sync":  # that one has not accepted the second
            until("it is said", lambda: "RLIMIT_NOFILE" in process.stderr())
        before = cpu_seconds(process.pid)
        for _ in range(20):
            first.send(wire.frame(ECHO))
            first.read_record()
        if kind != "sync":
            lines = process.stderr().count("RLIMIT_NOFILE")
            until("it tries again", lambda: process.stderr().count("RLIMIT_NOFILE") > lines + 2)
            assert cpu_seconds(process.pid) - before < 0.5
        for stream in [first, *others]:
            stream.__exit__(None, None, None)
        until("it accepts again", lambda: still_serves(place))
        assert process.stop() == 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("kind", KINDS)
def test_resets_in_the_middle_of_a_record(kind: str) -> None:
    with limited(kind) as place:
        for cut in (2, 4, 20):
            with connect(place) as stream:
                stream.send(wire.frame(ECHO)[:cut])
                linger = wire.words(1)[::-1] + bytes(4)
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert still_serves(place)
        until("nothing is left", lambda: not place.server._requests)


def test_a_method_that_holds_the_loop_is_named(caplog: pytest.LogCaptureFixture) -> None:
    class Holding(Facts):
        def echo(self, call: Any, text: str) -> str:
            threading.Event().wait(0.12)
            return text

    with running(servers.MultiplexingTCPServer(("127.0.0.1", 0), [Holding()])) as place:
        assert still_serves(place)
        until("the warning", lambda: "held the loop for 1" in caplog.text)
        assert "Holding.echo" in caplog.text
        assert "@rpcserver.blocking" in caplog.text


def test_socketservers_mixins_may_set_their_own_limits() -> None:
    class Few(socketserver.ForkingMixIn, servers.TCPServer):
        max_children = 7

    with Few(("127.0.0.1", 0), [Facts()]) as server:
        assert server.max_children == 7
    with servers.ForkingTCPServer(("127.0.0.1", 0), [Facts()]) as forking:
        assert forking.max_children > forking.max_connections


@pytest.mark.parametrize("kind", ["Multiplexing", "asyncio"])
def test_a_client_with_many_calls_lets_others_have_their_turn(kind: str) -> None:
    class Busy(Facts):
        def echo(self, call: Any, text: str) -> str:
            threading.Event().wait(0.005)
            return super().echo(call, text)

    with limited(kind, service=Busy) as place:
        with connect(place) as greedy:
            greedy.send(wire.frame(ECHO) * 1000)  # five seconds' work
            greedy.read_record()
            assert still_serves(place)
            assert still_serves(place)
            assert len(place.server.engine.services[0].log) < 500


def test_a_mistake_in_a_callback_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    with limited("Multiplexing") as place:
        until("it runs", lambda: place.server._own_loop is not None)
        place.server._own_loop.call_soon_threadsafe(lambda: 1 // 0)
        assert still_serves(place)
        assert "ZeroDivisionError" in caplog.text
