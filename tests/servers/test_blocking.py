"""The servers on socketserver's classes, spoken to in raw bytes."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver import rpc
from rpcserver.servers import blocking
from tests.peers import wire
from tests.peers.process import until
from tests.rpc.echo import PROG, Echo, Echo5
from tests.rpc.failures import CASES

ECHO = wire.opaque(b"hello")
CALL = wire.call(PROG, 2, 1, ECHO)


@contextmanager
def running(server_class: Any, address: Any, *services: rpc.Service) -> Iterator[Any]:
    server = server_class(address, services or [Echo(), Echo5()])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.end_requests()
        server.shutdown()
        thread.join()
        server.server_close()


TCP_KINDS = [blocking.TCPServer, blocking.ThreadingTCPServer]
UDP_KINDS = [blocking.UDPServer, blocking.ThreadingUDPServer]
LOOPBACK = ("127.0.0.1", 0)


@pytest.mark.parametrize("kind", TCP_KINDS)
def test_every_answer_over_tcp(kind: Any) -> None:
    with running(kind, LOOPBACK) as server, wire.Stream(server.server_address) as stream:
        for name, record, expected in CASES:
            # The call behind one that gets no answer shows that the connection lives on.
            stream.send(wire.frame(record) + wire.frame(CALL))
            if expected is not None:
                reply = vars(wire.parse_reply(stream.read_record()))
                assert {key: reply[key] for key in expected} == expected, name
            assert wire.parse_reply(stream.read_record()).results == ECHO, name


@pytest.mark.parametrize("kind", UDP_KINDS)
def test_every_answer_over_udp(kind: Any) -> None:
    with running(kind, LOOPBACK) as server, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(server.server_address)
        for number, (name, record, expected) in enumerate(CASES):
            xid = 1000 + number
            sock.send(record)
            if expected is not None:
                reply = vars(wire.parse_reply(sock.recv(65535)))
                assert {key: reply[key] for key in expected} == expected, name
            sock.send(wire.call(PROG, 2, 1, ECHO, xid=xid))
            # An answer to what should get none would arrive here.
            assert wire.parse_reply(sock.recv(65535)).xid == xid, name


@pytest.mark.parametrize("kind", [blocking.UnixStreamServer, blocking.ThreadingUnixStreamServer])
def test_unix_stream(kind: Any, tmp_path: Path) -> None:
    path, service = tmp_path / "sock", Echo()
    with running(kind, str(path), service):
        assert wire.parse_reply(wire.unix_exchange(path, CALL)).results == ECHO
        peer = service.calls[0].peer
        assert (peer.transport, peer.uid) == ("unix", __import__("os").getuid())
    assert not path.exists()


def test_a_dead_socket_file_is_taken_over_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with running(blocking.ThreadingUnixStreamServer, path):
        with pytest.raises(OSError, match="in use"):
            blocking.UnixStreamServer(path, [Echo()])
        assert wire.parse_reply(wire.unix_exchange(path, CALL)).results == ECHO


@pytest.mark.parametrize("kind", TCP_KINDS)
def test_fragments_and_batches(kind: Any) -> None:
    with running(kind, LOOPBACK) as server:
        address = server.server_address
        for fragment in (1, 3, 4, 39):
            (reply,) = wire.stream_exchange(address, CALL, fragment=fragment)
            assert wire.parse_reply(reply).results == ECHO
        calls = [wire.call(PROG, 2, 1, ECHO, xid=n) for n in range(3000)]
        replies = wire.stream_exchange(address, *calls)
        assert [wire.parse_reply(reply).xid for reply in replies] == list(range(3000))
        with wire.Stream(address) as stream:
            for byte in wire.frame(CALL, 7):
                stream.send(bytes([byte]))
            assert wire.parse_reply(stream.read_record()).results == ECHO


@pytest.mark.parametrize("mark", [wire.words(0xFFFFFFFF), wire.words(0) * 5000])
def test_a_record_over_a_limit_ends_the_connection_only(mark: bytes) -> None:
    with running(blocking.ThreadingTCPServer, LOOPBACK) as server:
        with wire.Stream(server.server_address) as stream:
            stream.send(wire.frame(CALL) + mark)
            assert wire.parse_reply(stream.read_record()).results == ECHO
            assert stream.is_closed()
        reply = wire.tcp_exchange(server.server_address, CALL)
        assert wire.parse_reply(reply).results == ECHO


def test_threads_serve_others_meanwhile() -> None:
    with running(blocking.ThreadingTCPServer, LOOPBACK) as server:
        with wire.Stream(server.server_address) as idle:
            idle.send(wire.frame(CALL)[:7])
            reply = wire.tcp_exchange(server.server_address, CALL)
            assert wire.parse_reply(reply).results == ECHO


def test_any_mixin_of_the_standard_library_works() -> None:
    class Mine(socketserver.ThreadingMixIn, blocking.UDPServer):
        pass

    with running(Mine, LOOPBACK) as server:
        reply = wire.udp_exchange(server.server_address, CALL)
        assert reply is not None
        assert wire.parse_reply(reply).results == ECHO


def test_verify_request_turns_callers_away() -> None:
    class Closed(blocking.ThreadingTCPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            return False

    with running(Closed, LOOPBACK) as server, wire.Stream(server.server_address) as stream:
        assert stream.is_closed()


def test_udp_answers_from_the_address_that_was_asked() -> None:
    with running(blocking.UDPServer, ("0.0.0.0", 0)) as server:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(CALL, ("127.0.0.9", server.server_address[1]))
            data, address = sock.recvfrom(65535)
        assert address == ("127.0.0.9", server.server_address[1])
        assert wire.parse_reply(data).results == ECHO


def test_ipv6() -> None:
    with running(blocking.UDPServer, ("::1", 0)) as server:
        reply = wire.udp_exchange(server.server_address[:2], CALL)
        assert reply is not None
        assert wire.parse_reply(reply).results == ECHO


def test_large_datagrams_are_not_cut() -> None:
    with running(blocking.UDPServer, LOOPBACK) as server:
        record = wire.call(PROG, 2, 1, ECHO + bytes(60_000))
        reply = wire.udp_exchange(server.server_address, record)
        assert reply is not None
        assert wire.parse_reply(reply).accept_stat == wire.GARBAGE_ARGS


def test_a_datagram_over_the_limit_is_dropped_and_counted() -> None:
    class Small(blocking.UDPServer):
        max_packet_size = 100

    with running(Small, LOOPBACK) as server, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(server.server_address)
        sock.send(CALL + bytes(100))
        sock.send(wire.call(PROG, 2, 1, ECHO, xid=9))
        assert wire.parse_reply(sock.recv(65535)).xid == 9
        assert server.truncated == 1


def test_a_reply_that_fits_into_no_datagram_is_a_system_err() -> None:
    class Long(Echo):
        def who(self, call: rpc.Call) -> str:
            return "x" * 70_000

    with running(blocking.UDPServer, LOOPBACK, Long()) as server:
        reply = wire.udp_exchange(server.server_address, wire.call(PROG, 2, 3))
        assert reply is not None
        assert wire.parse_reply(reply).accept_stat == wire.SYSTEM_ERR


def test_closing_lets_a_call_in_flight_finish_and_drops_idle_connections() -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Echo):
        def who(self, call: rpc.Call) -> str:
            inside.set()
            go_on.wait(5)
            return "done"

    with running(blocking.ThreadingTCPServer, LOOPBACK, Slow()) as server:
        address = server.server_address
        with wire.Stream(address) as idle, wire.Stream(address) as busy:
            busy.send(wire.frame(wire.call(PROG, 2, 3)))
            assert inside.wait(5)
            server.shutdown()
            closing = threading.Thread(target=server.server_close)
            closing.start()
            assert idle.is_closed()

            def refused() -> bool:
                try:
                    socket.create_connection(address, 1).close()
                except ConnectionRefusedError:
                    return True
                return False

            until("no new connections", refused)
            go_on.set()
            assert wire.parse_reply(busy.read_record()).results == wire.opaque(b"done")
            assert busy.is_closed()
            closing.join(5)
            assert not closing.is_alive()


def test_closing_does_not_wait_for_a_method_that_never_ends() -> None:
    go_on = threading.Event()

    class Stuck(Echo):
        def who(self, call: rpc.Call) -> str:
            go_on.wait(10)
            return ""

    class Impatient(blocking.ThreadingTCPServer):
        close_timeout = 0.1

    with running(Impatient, LOOPBACK, Stuck()) as server:
        with wire.Stream(server.server_address) as stream:
            stream.send(wire.frame(wire.call(PROG, 2, 3)))
            until("the call arrives", lambda: bool(server._requests))
            server.shutdown()
            server.server_close()
            assert stream.is_closed()
            go_on.set()
