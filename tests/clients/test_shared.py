"""What threads that share a connection do to it: large calls, signals, ends, and late threads."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver import aio, connect, errors, rpc, serve, using, xdr
from rpcserver.clients import receiving
from rpcserver.clients.receiving import python_receive, receive
from tests.clients.test_aio import AsyncEcho
from tests.clients.test_blocking import reply, tcp
from tests.peers import wire
from tests.peers.process import until
from tests.rpc.echo import EchoClient


class BYTES(rpc.Version, prog=0x20000778, vers=1):
    BACK: rpc.Procedure[bytes] = rpc.Procedure(1, "back", [xdr.Opaque()], xdr.Opaque())


class BytesService(rpc.Service, version=BYTES):
    def back(self, call: rpc.Call, data: bytes) -> bytes:
        return data


class BytesClient(rpc.Client, version=BYTES):
    def back(self, data: bytes) -> bytes:
        return self._call(BYTES.BACK, data)


class AsyncBytes(rpc.AsyncClient, version=BYTES):
    async def back(self, data: bytes) -> bytes:
        return await self._call(BYTES.BACK, data)


SIZES = [0, 100, 3 << 20, 5, 40 << 10, 40 << 10, 7, 32 << 10, 1 << 20, 100]
LARGE_AND_SMALL = [bytes([number]) * size for number, size in enumerate(SIZES)] * 3


@pytest.fixture(params=["tcp://127.0.0.1:0", "unix://{}/sock"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    place = request.param.format(tmp_path)
    with serve(BytesService(), listen=[place], register=False) as server:
        yield server.start().endpoints[0]


def test_large_and_small_calls_of_a_batch(url: str) -> None:
    with connect(BytesClient, url) as client:
        with client.channel.batch() as batch:
            calls = [batch.call(client.back, data) for data in LARGE_AND_SMALL]
        assert [each.result() for each in calls] == LARGE_AND_SMALL
        assert client.back(bytes(4_000_000)) == bytes(4_000_000)


def test_large_and_small_calls_of_asyncio(url: str) -> None:
    async def main() -> None:
        async with aio.connect(AsyncBytes, url) as client:
            async with client.channel.batch() as batch:
                calls = [batch.call(client.back, data) for data in LARGE_AND_SMALL]
            assert [each.result() for each in calls] == LARGE_AND_SMALL
            found = await asyncio.gather(*(client.back(data) for data in LARGE_AND_SMALL))
            assert list(found) == LARGE_AND_SMALL

    asyncio.run(main())


def test_calls_of_one_moment_are_one_piece_on_asyncio() -> None:
    seen: list[int] = []

    def handle(stream: Any) -> None:
        seen.append(len(stream.socket.recv(1 << 16)))

    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url, timeout=5) as client:
            async with client.channel.batch() as batch:
                calls = [batch.call(client.add, 1, 1) for _ in range(10)]
            for call in calls:
                with pytest.raises(errors.NotReached):
                    call.result()

    with tcp(handle) as endpoint:
        asyncio.run(main(str(endpoint)))
    # The first one goes at once if nobody else calls yet.
    assert sum(seen) == 10 * 52 or seen == [52]


def test_a_oneway_call_on_asyncio_is_sent_before_the_channel_is_closed() -> None:
    seen: list[bytes] = []
    done = threading.Event()

    def handle(stream: Any) -> None:
        try:
            for _ in range(4):
                seen.append(stream.read_record())
        finally:
            done.set()

    async def main(url: str) -> None:
        async with aio.connect(AsyncEcho, url) as client:
            told = using(client, oneway=True)
            await asyncio.gather(*(told.add(n, n) for n in range(4)))

    with tcp(handle) as endpoint:
        asyncio.run(main(str(endpoint)))
        assert done.wait(5)
    assert len(seen) == 4


@contextmanager
def alarms(handler: Any) -> Iterator[None]:
    """Signals, every few milliseconds."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def slowly(stream: Any) -> None:
    """Replies that take their time, in two pieces."""
    while True:
        whole = wire.frame(reply(stream.read_record(), wire.words(42)))
        time.sleep(0.1)
        stream.send(whole[:13])
        time.sleep(0.1)
        stream.send(whole[13:])


def test_signals_do_not_end_a_call() -> None:
    seen: list[int] = []
    with tcp(slowly) as endpoint, connect(EchoClient, str(endpoint), timeout=10) as client:
        with alarms(lambda *_: seen.append(1)):
            assert client.add(1, 1) == 42
        assert len(seen) > 2


def test_a_signal_that_raises_ends_the_call_and_not_the_channel() -> None:
    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise Stop

    with tcp(slowly) as endpoint, connect(EchoClient, str(endpoint), timeout=10) as client:
        for _ in range(3):
            with alarms(stop), pytest.raises(Stop):
                client.add(1, 1)
            assert client.channel._engine.idle
            assert client.add(1, 1) == 42


def test_signals_do_not_move_the_deadline() -> None:
    def silent(stream: Any) -> None:
        while stream.socket.recv(4096):
            pass

    with tcp(silent) as endpoint, connect(EchoClient, str(endpoint)) as client:
        begun = time.monotonic()
        with alarms(lambda *_: None), pytest.raises(errors.TimedOut):
            using(client, timeout=0.3).add(1, 1)
        assert 0.3 <= time.monotonic() - begun < 5


def test_the_socket_is_closed_when_its_reader_is_done_with_it() -> None:
    """Until then no other file may have its number."""
    asked = threading.Event()

    def handle(stream: Any) -> None:
        while stream.socket.recv(4096):
            asked.set()

    with tcp(handle) as endpoint:
        client = connect(EchoClient, str(endpoint), timeout=10)
        ends: list[Exception] = []

        def call() -> None:
            try:
                client.add(1, 1)
            except errors.CallError as error:
                ends.append(error)

        callers = [threading.Thread(target=call) for _ in range(3)]
        for each in callers:
            each.start()
        assert asked.wait(5)
        until("somebody reads", lambda: client.channel._reading)
        sock = client.channel._socket
        with client.channel._lock:
            client.channel.close()
            assert sock.fileno() != -1
        for each in callers:
            each.join(5)
        assert sock.fileno() == -1
        assert [type(each) for each in ends] == [errors.NotReached] * 3


@pytest.mark.parametrize("read", [receive, python_receive])
def test_receive(read: Any) -> None:
    room = memoryview(bytearray(8))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        begun = time.monotonic()
        assert read(ours, room, 0) is None
        assert read(ours, room, 20) is None
        assert time.monotonic() - begun >= 0.02
        theirs.send(b"0123456789")
        assert (read(ours, room, 1000), bytes(room)) == (8, b"01234567")
        assert (read(ours, room, -1), bytes(room[:2])) == (2, b"89")
        theirs.close()
        assert read(ours, room, -1) == 0
    with pytest.raises((OSError, ValueError)):
        read(ours, room, 0)


def test_a_receiver_waits_as_long_as_it_is_told() -> None:
    room = memoryview(bytearray(8))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        receiver = receiving.Receiver(ours)
        for seconds in (0.05, 0.0, 0.01):
            begun = time.monotonic()
            assert receiver.receive(room, begun + seconds) is None
            assert seconds <= time.monotonic() - begun < 2
        theirs.send(b"x")
        assert receiver.receive(room, receiving.FOREVER) == 1
        theirs.send(b"x")
        assert receiver.receive(room, 0.0) == 1
        with pytest.raises(BlockingIOError):
            ours.recv(1, receiving.NOW)
