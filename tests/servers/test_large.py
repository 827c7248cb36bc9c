"""Calls of any size, many at once: what is read in pieces, in buffers of its own, or as it came."""

import array
import fcntl
import logging
import socket
import sys
import termios
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.rpc.record import SCRATCH
from rpcserver.rpcbind.netid import parse_url
from tests.peers import wire
from tests.peers.process import until

PROG = 0x20000431


class LARGE_V1(rpc.Version, prog=PROG, vers=1):
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(1, "echo", [xdr.Opaque()], xdr.Opaque())
    KINDS: rpc.Procedure[str] = rpc.Procedure(
        2, "kinds", [xdr.Opaque(), xdr.Array(xdr.Float)], xdr.String()
    )
    FAIL: rpc.Procedure[None] = rpc.Procedure(3, "fail", [], xdr.Void)


class Large(rpc.Service, version=LARGE_V1):
    def __init__(self) -> None:
        self.given: list[Any] = []

    def echo(self, call: rpc.Call, data: bytes) -> bytes:
        return data

    @rpcserver.buffers
    def kinds(self, call: rpc.Call, data: memoryview, numbers: "array.array[float]") -> str:
        self.given.append(data)
        return f"{type(data).__name__} {type(numbers).__name__} {sum(numbers)}"

    def fail(self, call: rpc.Call) -> None:
        raise KeyError("the service's own mistake")


class LargeClient(rpc.Client, version=LARGE_V1):
    def echo(self, data: bytes) -> bytes:
        return self._call(LARGE_V1.ECHO, data)

    def kinds(self, data: bytes, numbers: Annotated[list[float], xdr.Array(xdr.Float)]) -> str:
        return self._call(LARGE_V1.KINDS, data, numbers)


@contextmanager
def serving(kind: str, service: Large) -> Iterator[str]:
    listen = ["tcp://127.0.0.1:0"]
    with rpcserver.serve(service, listen=listen, register=False, kind=kind).start() as server:
        yield server.endpoints[0]


def connected(url: str) -> wire.Stream:
    place = parse_url(url)
    return wire.Stream((place.host, place.port), timeout=20)


def echo(data: bytes, xid: int) -> bytes:
    return wire.frame(wire.call(PROG, 1, 1, wire.opaque(data), xid=xid))


EDGES = [SCRATCH + each for each in (-60, -49, -48, -47, -44, -4, -1, 0, 1, 4, 44)]


@pytest.mark.parametrize("kind", ["select", "asyncio", "threads"])
def test_calls_of_any_size_behind_one_another(kind: str) -> None:
    sizes = [0, 1, 5, *EDGES, 3, 1 << 20, 0, 700_000, 2, 3 << 20, 1]
    data = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    with serving(kind, Large()) as url, connected(url) as stream:
        calls = b"".join(echo(each, n) for n, each in enumerate(data))
        sender = threading.Thread(target=stream.send, args=(calls,))
        sender.start()  # the replies must be read meanwhile: nobody keeps all that
        for n, each in enumerate(data):
            reply = wire.parse_reply(stream.read_record())
            assert (reply.xid, reply.results) == (n, wire.opaque(each))
        sender.join()


@pytest.mark.parametrize("step", [1, 3, 1000, SCRATCH - 1])
def test_a_large_call_in_pieces(step: int) -> None:
    data = bytes(range(256)) * (600 if step > 10 else 1)
    call = echo(data, 7)
    with serving("select", Large()) as url, connected(url) as stream:
        for start in range(0, len(call), step):
            stream.send(call[start : start + step])
        assert wire.parse_reply(stream.read_record()).results == wire.opaque(data)


@pytest.mark.parametrize("kind", ["select", "asyncio"])
@pytest.mark.parametrize("size", [4096, 5001, 100_000])
def test_replies_that_are_taken_late(kind: str, size: int) -> None:
    """More parts than the peer's buffers have room for: some go out at once, whole or not."""
    number = (12 << 20) // size
    data = [bytes([n % 251]) * (size + n % 4) for n in range(number)]
    with serving(kind, Large()) as url, connected(url) as stream:
        small = 128 << 10
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, small)
        calls = b"".join(echo(each, n) for n, each in enumerate(data))
        sender = threading.Thread(target=stream.send, args=(calls,))
        sender.start()
        until("replies that wait", lambda: fionread(stream.socket) > small // 2)
        for n, each in enumerate(data):
            reply = wire.parse_reply(stream.read_record())
            assert (reply.xid, reply.results) == (n, wire.opaque(each))
        sender.join()


def fionread(sock: socket.socket) -> int:
    """Bytes that wait to be read."""
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("size", [4, 1 << 20])
def test_buffers_are_not_copied(size: int) -> None:
    service = Large()
    with serving("select", service) as url, rpcserver.connect(LargeClient, url) as client:
        assert client.kinds(bytes(size), [1.5, 2.5]) == "memoryview array 4.0"
    (data,) = service.given
    assert data.nbytes == size
    assert len(data.obj) > size + 40, "it is the record that the call came in"


def test_results_as_buffers() -> None:
    with serving("select", Large()) as url, rpcserver.connect(LargeClient, url) as client:
        data: Any = rpcserver.using(client, buffers=True).echo(b"abc")
        assert isinstance(data, memoryview) and bytes(data) == b"abc"
        again: Any = rpcserver.using(rpcserver.using(client, buffers=True), timeout=9).echo(b"d")
        assert isinstance(again, memoryview)
        assert client.echo(b"abc") == b"abc"


def test_a_traceback_ends_in_the_method(caplog: pytest.LogCaptureFixture) -> None:
    with serving("select", Large()) as url, connected(url) as stream:
        with caplog.at_level(logging.ERROR, "rpcserver"):
            stream.send(wire.frame(wire.call(PROG, 1, 3)))
            reply = wire.parse_reply(stream.read_record())
            assert reply.accept_stat == wire.SYSTEM_ERR
            until("the log", lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.exc_info is not None
    last = traceback.extract_tb(record.exc_info[2])[-1]
    assert (last.name, last.line) == ("fail", 'raise KeyError("the service\'s own mistake")')
