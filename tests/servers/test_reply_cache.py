"""Calls that come again, on servers of every kind: while the first runs, when it is over, and when
it ended badly."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.errors import UsageError
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers import ThreadingUDPServer
from rpcserver.servers.server import Server
from tests.cli.command import running as running_verb
from tests.peers import wire
from tests.peers.proc import children as workers_of
from tests.peers.process import until
from tests.servers.facts import FACTS_V3, PROG, Facts, running

KINDS = ("sync", "threads", "forks", "select", "asyncio")
UDP, TCP = "udp://127.0.0.1:0", "tcp://127.0.0.1:0"
SYS = {"flavor": wire.AUTH_SYS, "body": wire.auth_sys(1, 1, stamp=4)}


@contextmanager
def serving(*listen: str, **settings: Any) -> Iterator[tuple[Server, list[Any]]]:
    """The service, and where it is."""
    with rpcserver.serve(Facts(), listen=listen, register=False, **settings) as server:
        server.start()
        places = [parse_url(url) for url in server.endpoints]
        yield server, [place.path or (place.host, place.port) for place in places]


def call(procedure: rpc.Procedure[Any], text: object, **more: Any) -> bytes:
    return wire.call(PROG, 3, procedure.number, wire.opaque(str(text).encode()), **more)


def runs_of(server: Any, procedure: rpc.Procedure[Any]) -> int:
    found = [each.calls for each in server.stats().calls if each.proc == procedure.number]
    return sum(found)


class Datagrams:
    """A client that sends datagrams as they are."""

    def __init__(self, address: Any) -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.socket.settimeout(10)

    def again(self, record: bytes) -> bytes:
        self.socket.send(record)
        return self.socket.recv(65535)

    def __enter__(self) -> "Datagrams":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_datagram_again(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = call(FACTS_V3.SLOW, path)
    with serving(UDP, kind=kind) as (server, [address]), Datagrams(address) as client:
        client.socket.send(record)
        until("it to run", Path(f"{path}.begun").exists)
        client.socket.send(record)
        if kind != "sync":  # which reads nothing meanwhile
            until("it to be dropped", lambda: server.stats().duplicates["dropped"])
        path.touch()
        reply = client.socket.recv(65535)
        assert wire.parse_reply(reply).accept_stat == wire.SUCCESS
        assert client.again(record) == reply  # in a child the process would be another
        until("the call to be counted", lambda: runs_of(server, FACTS_V3.SLOW))
        assert runs_of(server, FACTS_V3.SLOW) == 1
        assert server.stats().duplicates["answered"] >= 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sync"])
def test_over_another_connection_it_waits(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = wire.frame(call(FACTS_V3.SLOW, path, **SYS))
    with serving(TCP, kind=kind, reply_cache=True) as (server, [address]):
        with wire.Stream(address) as one, wire.Stream(address) as two:
            one.send(record)
            until("it to run", Path(f"{path}.begun").exists)
            two.send(record)
            # The other connections have their turn.
            with wire.Stream(address) as three:
                three.send(wire.frame(call(FACTS_V3.ECHO, "others")))
                assert b"others" in three.read_record()
            path.touch()
            reply = two.read_record()
            assert one.read_record() == reply
        until("the call to be counted", lambda: runs_of(server, FACTS_V3.SLOW))
        assert runs_of(server, FACTS_V3.SLOW) == 1
        assert server.stats().duplicates["answered"] == 1


def test_who_sent_it_last_waits(tmp_path: Path) -> None:
    """A client that comes again and again has one that waits."""
    path = tmp_path / "file"
    record = wire.frame(call(FACTS_V3.SLOW, path, **SYS))
    with serving(TCP, reply_cache=True) as (server, [address]):
        streams = [wire.Stream(address) for _ in range(5)]
        streams[0].send(record)
        until("it to run", Path(f"{path}.begun").exists)
        for number, stream in enumerate(streams[1:]):
            stream.send(record)
            until("it to wait", lambda n=number: server.stats().duplicates["dropped"] == n)  # type: ignore[misc]
        streams[1].send(wire.frame(call(FACTS_V3.ECHO, "alive")))
        assert b"alive" in streams[1].read_record()
        path.touch()
        assert streams[4].read_record() == streams[0].read_record()
        for stream in streams:
            stream.socket.close()


@pytest.mark.parametrize("kind", ["threads", "select"])
def test_it_waits_no_longer_than_the_time_limit(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = wire.frame(call(FACTS_V3.SLOW, path, **SYS))
    with serving(TCP, kind=kind, reply_cache=True, time_limit=0.1) as (server, [address]):
        with wire.Stream(address) as one, wire.Stream(address) as two:
            one.send(record)
            until("it to run", Path(f"{path}.begun").exists)
            two.send(record + wire.frame(call(FACTS_V3.ECHO, "next")))
            assert b"next" in two.read_record()
            until("it to be given up", lambda: server.stats().duplicates["dropped"])
            path.touch()
            one.read_record()


def test_what_a_method_left_to_a_child(tmp_path: Path) -> None:
    path = tmp_path / "file"
    record = call(FACTS_V3.CHILD, path)
    with serving(UDP, kind="sync") as (server, [address]), Datagrams(address) as client:
        client.socket.send(record)
        until("the child to run", Path(f"{path}.begun").exists)
        client.socket.send(record)
        until("it to be dropped", lambda: server.stats().duplicates["dropped"])
        path.touch()
        reply = client.socket.recv(65535)
        assert client.again(record) == reply


def test_unix_datagrams(tmp_path: Path) -> None:
    record = call(FACTS_V3.CHILD, "")
    with serving(f"unixgram://{tmp_path}/sock") as (server, [path]):
        replies = [wire.unixgram_exchange(path, record, tmp_path / "own") for _ in range(2)]
        assert replies[0] == replies[1] is not None
        assert runs_of(server, FACTS_V3.CHILD) == 1


def test_off() -> None:
    record = call(FACTS_V3.CHILD, "")
    with serving(UDP, reply_cache=False) as (server, [address]), Datagrams(address) as client:
        assert client.again(record) == client.again(record)
        assert runs_of(server, FACTS_V3.CHILD) == 2
        assert server.stats().duplicates == {}


def test_by_default_streams_do_without() -> None:
    with serving(TCP) as (server, [address]), wire.Stream(address) as stream:
        stream.send(2 * wire.frame(call(FACTS_V3.CHILD, "", **SYS)))
        assert stream.read_record() == stream.read_record()
        assert runs_of(server, FACTS_V3.CHILD) == 2
        assert server.engine.replies is None


def test_one_that_is_too_small() -> None:
    with pytest.raises(UsageError, match="65536 bytes or more"):
        rpcserver.serve(Facts(), listen=[UDP], register=False, reply_cache_size=1000)


# --- what ends badly ------------------------------------------------------------------------------


class BAD_V1(rpc.Version, prog=0x20000411, vers=1):
    EXIT: rpc.Procedure[None] = rpc.Procedure(1, "leave", [], xdr.Void)
    KILL: rpc.Procedure[None] = rpc.Procedure(2, "kill", [], xdr.Void)


class Bad(rpc.Service, version=BAD_V1):
    def leave(self, call: rpc.Call) -> None:
        sys.exit(1)

    def kill(self, call: rpc.Call) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def bad(procedure: rpc.Procedure[Any]) -> bytes:
    return wire.call(BAD_V1._prog, 1, procedure.number)


def test_a_thread_that_could_not_be_started() -> None:
    """The call has not run, so it runs when it comes again."""

    class Poor(ThreadingUDPServer):
        poor = True

        def process_request(self, request: Any, client_address: Any) -> None:
            if self.poor:
                self.poor = False
                raise RuntimeError("can't start new thread")
            super().process_request(request, client_address)

    with running(Poor(("127.0.0.1", 0), [Facts()])) as place:
        server = place.server
        with Datagrams(server.server_address) as client:
            client.socket.send(call(FACTS_V3.CHILD, ""))
            until("it to fail", lambda: not server.poor)
            reply = client.again(call(FACTS_V3.CHILD, ""))
            assert wire.parse_reply(reply).accept_stat == wire.SUCCESS
            assert runs_of(server, FACTS_V3.CHILD) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_method_that_ends_its_thread() -> None:
    with rpcserver.serve(Bad(), listen=[UDP], register=False, kind="threads") as server:
        server.start()
        place = parse_url(server.endpoints[0])
        with Datagrams((place.host, place.port)) as client:
            client.socket.send(bad(BAD_V1.EXIT))
            until("it to end", lambda: any(each.calls for each in server.stats().calls))
            reply = wire.parse_reply(client.again(bad(BAD_V1.EXIT)))
            assert reply.accept_stat == wire.SYSTEM_ERR
            # What it raises would be taken for the next test's.
            until("its thread to be gone", lambda: not any(map(serves, threading.enumerate())))


def serves(thread: threading.Thread) -> bool:
    """Whether it is socketserver's, for a request."""
    return "process_request_thread" in thread.name


def test_a_child_that_was_killed(caplog: pytest.LogCaptureFixture) -> None:
    with rpcserver.serve(Bad(), listen=[UDP], register=False, kind="forks") as server:
        server.start()
        place = parse_url(server.endpoints[0])
        with Datagrams((place.host, place.port)) as client:
            client.socket.settimeout(0.05)

            def answer() -> bytes | None:
                try:
                    return client.again(bad(BAD_V1.KILL))
                except TimeoutError:
                    return None

            reply = wire.parse_reply(until("an answer", answer))
            assert reply.accept_stat == wire.SYSTEM_ERR
    assert "BAD_V1.KILL has run, or may have" in caplog.text


def test_workers_that_were_killed(tmp_path: Path) -> None:
    """Those that take their place know what they were doing."""
    path = tmp_path / "file"
    record = wire.frame(call(FACTS_V3.SLOW, path, **SYS))
    options = ["--workers", "2", "--no-register", "--listen", TCP, "--reply-cache"]
    with running_verb("serve", "tests.servers.facts:Facts", *options) as service:
        place = parse_url(service.urls[0])
        pid = service.process.pid
        until("two workers", lambda: len(workers_of(pid)) == 2)
        with wire.Stream((place.host, place.port)) as one:
            one.send(record)
            until("it to run", Path(f"{path}.begun").exists)
            before = workers_of(pid)
            for worker in before:
                os.kill(worker, signal.SIGKILL)
            assert one.is_closed()
        until("others", lambda: len(workers_of(pid) - before) == 2)
        with wire.Stream((place.host, place.port)) as two:
            two.send(record)
            assert wire.parse_reply(two.read_record()).accept_stat == wire.SYSTEM_ERR
