"""Blocking channels against servers by hand that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcserver import errors, rpc
from rpcserver.auth import SysClient, SysCredential
from rpcserver.clients import blocking
from rpcserver.clients.blocking import open_channel
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.servers.serve import serve
from tests.peers import wire
from tests.rpc.echo import Echo, EchoClient


def reply(record: bytes, results: bytes) -> bytes:
    return record[:4] + wire.words(1, 0, 0, 0, 0) + results


@contextmanager
def tcp(handle: Callable[[Any], None]) -> Iterator[Endpoint]:
    """A server that treats each connection as ``handle`` likes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                stream = wire.Stream.__new__(wire.Stream)
                stream.socket = connection
                connection.settimeout(5)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    handle(stream)
                except (EOFError, OSError):
                    pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Endpoint("tcp", *listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


PLACES = [
    "tcp://127.0.0.1:0",
    "udp://127.0.0.1:0",
    "tcp://[::1]:0",
    "udp://[::1]:0",
    "unix://{}/sock",
    "unixgram://{}/sock",
]


@pytest.mark.parametrize("listen", PLACES)
def test_calls(listen: str, tmp_path: Path) -> None:
    with serve(Echo(), listen=[listen.format(tmp_path)], register=False) as server:
        server.start()
        (url,) = server.endpoints
        with EchoClient(open_channel(parse_url(url))) as client:
            assert client.echo("ä") == "ä"
            assert client.add(-5, 3) == -2
            assert client.who() == "None"
            with pytest.raises(errors.SystemErr):
                client.fail(0)
            with pytest.raises(errors.AuthError):
                client.fail(2)
            assert client.add(1, 1) == 2
        flavor = SysClient(SysCredential(5, 6, (7,), "m", 8))
        with EchoClient(open_channel(parse_url(url), flavor=flavor)) as client:
            assert eval(client.who(), {"SysCredential": SysCredential}) == flavor.credential


def test_many_threads_share_a_connection() -> None:
    with serve(Echo(), register=False) as server:
        server.start()
        for url in server.endpoints:
            with EchoClient(open_channel(parse_url(url))) as client:
                answers: dict[int, int] = {}

                def work(
                    first: int, client: EchoClient = client, to: dict[int, int] = answers
                ) -> None:
                    for n in range(first, first + 50):
                        to[n] = client.add(n, 1)

                threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(10)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert answers == {n: n + 1 for n in range(500)}


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(errors.NotReached, match=f"tcp://127.0.0.1:{port}: Connection refused"):
            open_channel(Endpoint("tcp", "127.0.0.1", port))
    with EchoClient(open_channel(Endpoint("udp", "127.0.0.1", port))) as client:
        with pytest.raises(errors.NotReached, match="refused"):
            client.who()
    with pytest.raises(errors.NotReached):
        open_channel(Endpoint("tcp", "no-such-host.invalid", 1))
    with pytest.raises(errors.NotReached):
        open_channel(Endpoint("unix", path="/nonexistent/socket"))


def test_no_answer_in_time_and_late_answers_are_skipped() -> None:
    def handle(stream: Any) -> None:
        first = stream.read_record()
        second = stream.read_record()
        stream.send(wire.frame(reply(first, wire.words(1))))
        stream.send(wire.frame(reply(second, wire.words(2))))
        stream.read_record()

    with tcp(handle) as endpoint, EchoClient(open_channel(endpoint)) as client:
        start = time.monotonic()
        with pytest.raises(errors.TimedOut, match="no answer to ADD"):
            rpc.using(client, timeout=0.1).add(0, 0)
        assert time.monotonic() - start < 5
        assert client.add(0, 0) == 2


def test_a_lost_connection_fails_the_calls_and_the_next_call_opens_another() -> None:
    served: list[int] = []

    def handle(stream: Any) -> None:
        served.append(1)
        while True:
            record = stream.read_record()
            if len(served) == 1:
                return
            stream.send(wire.frame(reply(record, wire.words(7))))

    with tcp(handle) as endpoint, EchoClient(open_channel(endpoint)) as client:
        with pytest.raises(errors.NotReached, match="closed the connection"):
            client.add(0, 0)
        assert client.add(0, 0) == 7


@pytest.mark.parametrize(
    "answer",
    [wire.words(0xFFFFFFFF), wire.words(0) * 5000, wire.frame(bytes(3) + b"\1" + bytes(40))],
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    def handle(stream: Any) -> None:
        stream.read_record()
        stream.send(answer)
        while stream.socket.recv(4096):
            pass

    with tcp(handle) as endpoint:
        with EchoClient(open_channel(endpoint, timeout=0.3)) as client:
            with pytest.raises((errors.BadReply, errors.TimedOut)):
                client.add(0, 0)


def test_a_result_that_cannot_be_decoded() -> None:
    def handle(stream: Any) -> None:
        while True:
            stream.send(wire.frame(reply(stream.read_record(), wire.words(1, 2))))

    with tcp(handle) as endpoint, EchoClient(open_channel(endpoint)) as client:
        for _ in range(2):
            with pytest.raises(errors.BadReply, match="result: 4 bytes left over"):
                client.add(0, 0)


def test_replies_in_fragments() -> None:
    def handle(stream: Any) -> None:
        while True:
            stream.send(wire.frame(reply(stream.read_record(), wire.words(9)), 3))

    with tcp(handle) as endpoint, EchoClient(open_channel(endpoint)) as client:
        assert client.add(0, 0) == 9


def test_lost_datagrams_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "FIRST_RETRY", 0.05)
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        seen: list[bytes] = []

        def lose_two() -> None:
            while len(seen) < 3:
                data, address = server.recvfrom(65535)
                seen.append(data)
            server.sendto(wire.words(1, 1), address)
            server.sendto(reply(b"\0\0\0\0", wire.words(3)), address)
            server.sendto(reply(data, wire.words(4)), address)

        thread = threading.Thread(target=lose_two)
        thread.start()
        with EchoClient(open_channel(Endpoint("udp", *server.getsockname()))) as client:
            assert client.add(2, 2) == 4
        thread.join()
        assert seen[0] == seen[1] == seen[2]


def test_a_closed_channel_says_so() -> None:
    with serve(Echo(), register=False) as server:
        server.start()
        for url in server.endpoints:
            client = EchoClient(open_channel(parse_url(url)))
            client.channel.close()
            with pytest.raises(errors.NotReached, match="closed"):
                client.who()


def test_closing_wakes_who_waits() -> None:
    waiting = threading.Event()

    def handle(stream: Any) -> None:
        stream.read_record()
        waiting.set()
        stream.read_record()

    with tcp(handle) as endpoint:
        client = EchoClient(open_channel(endpoint))
        caught: list[BaseException] = []

        def call() -> None:
            try:
                client.who()
            except errors.NotReached as error:
                caught.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        assert waiting.wait(5)
        client.channel.close()
        thread.join(5)
        assert "closed" in str(caught[0])


@pytest.mark.parametrize("listen", PLACES)
def test_a_batch_is_sent_together(listen: str, tmp_path: Path) -> None:
    with serve(Echo(), listen=[listen.format(tmp_path)], register=False) as server:
        server.start()
        with EchoClient(open_channel(parse_url(server.endpoints[0]))) as client:
            with client.channel.batch() as batch:
                sums = [batch.call(client.add, n, b=1) for n in range(50)]
                broken = batch.call(client.fail, 0)
                with pytest.raises(errors.XdrError):
                    batch.call(client.echo, "x" * 65)
                with pytest.raises(errors.TimedOut):
                    sums[0].result()  # not sent yet
            assert [each.result() for each in sums] == list(range(1, 51))
            with pytest.raises(errors.SystemErr):
                broken.result()
            with client.channel.batch():
                pass
            with pytest.raises(errors.UsageError, match="no method of a client on this channel"):
                client.channel.batch().call(print, 1)
            assert client.add(1, 1) == 2


def test_a_batch_is_one_piece_and_fails_together() -> None:
    seen: list[int] = []

    def handle(stream: Any) -> None:
        seen.append(len(stream.socket.recv(1 << 16)))

    with tcp(handle) as place, EchoClient(open_channel(place)) as client:
        with client.channel.batch(timeout=5) as batch:
            calls = [batch.call(client.add, 1, 1) for _ in range(10)]
        assert seen == [10 * 52]
        for call in calls:
            with pytest.raises(errors.NotReached):
                call.result()


@pytest.mark.parametrize("listen", PLACES)
def test_oneway_calls_wait_for_nothing(listen: str, tmp_path: Path) -> None:
    class Told(Echo):
        @rpc.oneway
        def fail(self, call: rpc.Call, how: int) -> None:
            told.append(how)

    told: list[int] = []
    with serve(Told(), listen=[listen.format(tmp_path)], register=False) as server:
        server.start()
        with EchoClient(open_channel(parse_url(server.endpoints[0]))) as client:
            for number in range(5):
                rpc.using(client, oneway=True).fail(number)
            assert rpc.using(client, oneway=True).add(1, 1) is None  # its reply is nobody's
            assert client.add(2, 2) == 4
            assert sorted(told) == [0, 1, 2, 3, 4]
            with client.channel.batch() as batch:  # and a last one that waits for all before it
                calls = [batch.call(rpc.using(client, oneway=True).fail, n) for n in range(5, 9)]
                last = batch.call(client.add, 3, 3)
            assert [each.result() for each in calls] == [None] * 4
            assert last.result() == 6
            assert sorted(told) == list(range(9))
            assert client.channel._engine.idle
