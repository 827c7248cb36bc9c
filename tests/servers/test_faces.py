"""What lies around the kinds: asyncio's face, access lists, numbers, executors of processes."""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver import aio, rpc, servers
from rpcserver.errors import AuthError, SystemErr, UsageError
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import serve
from rpcserver.servers.server import KINDS
from tests.peers import wire
from tests.peers.process import until
from tests.servers.facts import FACTS_V3, PROG, Facts, FactsClient, running

LISTEN = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
ECHO = wire.call(PROG, 3, 1, wire.opaque(b"x"))


class Cooperative(Facts):
    def __init__(self) -> None:
        super().__init__()
        self.loops: set[Any] = set()
        self.go_on: asyncio.Event | None = None

    async def asynchronous(self, call: rpc.Call, text: str) -> str:
        self.loops.add(asyncio.get_running_loop())
        if self.go_on is not None:
            await self.go_on.wait()
        return text


def test_asyncios_face() -> None:
    service = Cooperative()

    async def main() -> None:
        service.go_on = asyncio.Event()
        async with aio.serve(service, listen=LISTEN, register=False) as server:
            for url in server.endpoints:

                def call(procedure: Any, url: str = url) -> Any:
                    with rpcserver.connect(FactsClient, url, timeout=10) as client:
                        return client.call(procedure, url)

                waiting = asyncio.create_task(asyncio.to_thread(call, FACTS_V3.ASYNC))
                assert await asyncio.to_thread(call, FACTS_V3.ECHO) == url
                assert not waiting.done()
                service.go_on.set()
                assert await waiting == url
                service.go_on.clear()
            assert service.loops == {asyncio.get_running_loop()}
            assert server.stats().requests == 4
            asyncio.get_running_loop().call_soon(server.shutdown)
            await server.serve_forever()

    asyncio.run(main())


def test_leaving_asyncios_face_finishes_what_is_in_flight() -> None:
    service = Cooperative()

    async def main() -> wire.Reply:
        service.go_on = asyncio.Event()
        async with aio.serve(service, listen=LISTEN[:1], register=False) as server:
            place = parse_url(server.endpoints[0])
            reader, writer = await asyncio.open_connection(place.host, place.port)
            writer.write(wire.frame(wire.call(PROG, 3, 3, wire.opaque(b"x"))))
            while not service.loops:
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.1, service.go_on.set)
        data = await reader.read()
        writer.close()
        return wire.parse_reply(wire.unframe(data)[0])

    assert asyncio.run(main()).accept_stat == wire.SUCCESS


def test_asyncios_face_raises_what_serve_raises() -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match="there is no service"):
            async with aio.serve():
                pass

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_access_lists(kind: str, tmp_path: Path) -> None:
    urls = [*LISTEN, f"unix://{tmp_path}/sock", f"unixgram://{tmp_path}/datagrams"]
    nobody = rpc.Access(networks=["192.0.2.0/24", "2001:db8::/32"], uids=[os.getuid() + 1])
    with serve(Facts(), listen=urls, register=False, kind=kind, access=nobody) as server:
        server.start()
        for url in server.endpoints:
            place = parse_url(url)
            if place.stream:
                address: Any = (place.host, place.port) if place.internet else place.path
                with wire.Stream(address) as stream:
                    assert stream.is_closed()
            else:
                with pytest.raises(rpcserver.errors.TimedOut):
                    with rpcserver.connect(FactsClient, url, timeout=0.2) as client:
                        client.call(FACTS_V3.ECHO, "x")
        assert server.stats().limits["access"] >= 4
        assert server.stats().calls == []
    somebody = rpc.Access(networks=["127.0.0.0/8"], uids=[os.getuid()])
    with serve(Facts(), listen=urls, register=False, kind=kind, access=somebody) as server:
        server.start()
        for url in server.endpoints:
            with rpcserver.connect(FactsClient, url) as client:
                assert client.call(FACTS_V3.ECHO, "x") == "x"


def test_a_list_for_a_program() -> None:
    lists = {PROG: rpc.Access(networks=["::1"])}
    with serve(Facts(), listen=LISTEN, register=False, program_access=lists) as server:
        server.start()
        for url in server.endpoints:
            with rpcserver.connect(FactsClient, url) as client:
                with pytest.raises(AuthError) as caught:
                    client.call(FACTS_V3.ECHO, "x")
                assert caught.value.stat == 5  # AUTH_TOOWEAK


@pytest.mark.parametrize(
    ("access", "address", "admitted"),
    [
        ({}, ("192.0.2.1", 5000), True),
        ({"networks": []}, ("192.0.2.1", 5000), False),
        ({"networks": ["192.0.2.0/24"]}, ("192.0.2.1", 5000), True),
        ({"networks": ["192.0.2.0/24"]}, ("192.0.3.1", 5000), False),
        ({"networks": ["192.0.2.0/24"]}, ("::ffff:192.0.2.1", 5000, 0, 0), True),
        ({"networks": ["192.0.2.0/24"]}, ("2001:db8::1", 5000, 0, 0), False),
        ({"networks": ["fe80::/10"]}, ("fe80::1%eth0", 5000, 0, 2), True),
        ({"privileged_port": True}, ("192.0.2.1", 1023), True),
        ({"privileged_port": True}, ("192.0.2.1", 1024), False),
    ],
)
def test_who_is_on_a_list(access: Any, address: Any, admitted: bool) -> None:
    assert rpc.Access(**access).admits(rpc.Peer("tcp", address)) is admitted
    assert rpc.Access(**access).admits(rpc.Peer("unix", "")) is True
    with pytest.raises(UsageError, match="an access list of networks: 192.0.2.1/24 has"):
        rpc.Access(networks=["192.0.2.1/24"])


def test_settings_are_class_variables() -> None:
    with serve(Facts(), listen=LISTEN, register=False, max_connections=7, time_limit=3) as server:
        tcp, udp = server.listeners
        assert (tcp.max_connections, tcp.time_limit, udp.time_limit) == (7, 3, 3)
    for wrong in ("max_conections", "serve_forever", "_requests"):
        setting: dict[str, Any] = {wrong: 1}
        with pytest.raises(UsageError, match=f"has no setting '{wrong}'"):
            serve(Facts(), listen=LISTEN, register=False, **setting)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers(kind: str) -> None:
    with serve(Facts(), listen=LISTEN, register=False, kind=kind) as server:
        server.start()
        for url in server.endpoints:
            with rpcserver.connect(FactsClient, url) as client:
                client.call(FACTS_V3.ECHO, "x")
                with pytest.raises(SystemErr):
                    client.call(FACTS_V3.FAIL, 0)
        until("all is done", lambda: server.stats().open == 0)
        stats = server.stats()
        assert stats.requests == 3  # a connection and two datagrams
        first, second = stats.calls
        assert (first.prog, first.vers, first.proc, first.calls) == (PROG, 3, 1, 2)
        assert (second.proc, second.outcomes) == (5, {"SYSTEM_ERR": 2})
        assert 0 < first.seconds < 1


def test_the_time_limit_is_told() -> None:
    with serve(Facts(), listen=LISTEN, register=False, time_limit=5) as server:
        server.start()
        with rpcserver.connect(FactsClient, server.endpoints[0]) as client:
            deadline = float(client.call(FACTS_V3.ABOUT).split()[-1])
    import time

    assert 0 < deadline - time.monotonic() < 5


def processes(count: int) -> Any:
    method = "forkserver" if sys.version_info >= (3, 14) else "spawn"
    return partial(ProcessPoolExecutor, count, mp_context=multiprocessing.get_context(method))


def test_an_executor_of_processes(tmp_path: Path) -> None:
    service = rpcserver.load_service("tests.servers.facts:Facts")
    path = tmp_path / "go-on"
    with serve(service, listen=LISTEN, register=False, executor=processes(1)) as server:
        server.start()
        url = server.endpoints[0]
        place = parse_url(url)
        pids = []
        for number in range(2):
            with wire.Stream((place.host, place.port)) as stream:
                stream.socket.settimeout(30)
                record = wire.call(PROG, 3, 4, wire.opaque(str(path).encode()), xid=number)
                stream.send(wire.frame(record))
                until("it begins", Path(f"{path}.begun").exists, timeout=30)
                with rpcserver.connect(FactsClient, url) as client:
                    assert client.call(FACTS_V3.ECHO, "meanwhile") == "meanwhile"
                path.touch()
                results = wire.parse_reply(stream.read_record()).results
                assert results is not None
                pids.append(int.from_bytes(results))
            path.unlink()
            Path(f"{path}.begun").unlink()
        assert pids[0] == pids[1] != os.getpid()


def test_a_process_that_dies_takes_only_its_own_call_with_it(tmp_path: Path) -> None:
    service = rpcserver.load_service("tests.servers.facts:Facts")
    path = tmp_path / "go-on"
    others = multiprocessing.active_children()  # of an executor that is not waited for
    with serve(service, listen=LISTEN, register=False, executor=processes(1)) as server:
        server.start()
        place = parse_url(server.endpoints[0])
        slow = wire.frame(wire.call(PROG, 3, 4, wire.opaque(str(path).encode())))
        with wire.Stream((place.host, place.port)) as stream:
            stream.socket.settimeout(30)
            stream.send(slow)
            until("it begins", Path(f"{path}.begun").exists, timeout=30)
            (child,) = [
                each
                for each in multiprocessing.active_children()
                if "Process" in each.name and each not in others
            ]
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SYSTEM_ERR
            path.touch()
            stream.send(slow)  # by a new process
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS


def test_an_instance_cannot_be_made_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    with serve(Facts(), listen=LISTEN, register=False, executor=processes(1)) as server:
        server.start()
        with rpcserver.connect(FactsClient, server.endpoints[0]) as client:
            with pytest.raises(SystemErr):
                client.call(FACTS_V3.SLOW, "nowhere")
    assert 'rpcserver.load_service("MODULE:NAME")' in caplog.text


def test_handle_request_takes_one(tmp_path: Path) -> None:
    for name in ("TCPServer", "ThreadingTCPServer", "MultiplexingTCPServer", "UDPServer"):
        timeouts: list[int] = []

        class Timed(getattr(servers, name)):  # type: ignore[misc]
            timeout = 0.05

            def handle_timeout(self, timeouts: list[int] = timeouts) -> None:
                timeouts.append(1)

        with Timed(("127.0.0.1", 0), [Facts()]) as server:
            server.handle_request()
            assert timeouts == [1]
            kind = socket.SOCK_DGRAM if "UDP" in name else socket.SOCK_STREAM
            with socket.socket(type=kind) as sock:
                sock.settimeout(5)
                sock.connect(server.server_address)
                sock.send(ECHO if "UDP" in name else wire.frame(ECHO))
                if kind == socket.SOCK_STREAM:
                    sock.shutdown(socket.SHUT_WR)
                server.timeout = 5
                server.handle_request()
                if name.startswith("Multiplexing"):  # what is open is served by the next one
                    server.timeout = 0.1
                    server.handle_request()
                assert sock.recv(1000)


def test_a_whole_service_may_be_blocking() -> None:
    @rpcserver.blocking
    class Slow(Facts):
        def about(self, call: rpc.Call) -> str:
            return threading.current_thread().name

    with running(servers.MultiplexingUDPServer(("127.0.0.1", 0), [Slow()])) as place:
        with place.open() as client:
            assert client.call(FACTS_V3.ABOUT).startswith("rpcserver-method")


@pytest.mark.parametrize("kind", KINDS)
def test_vsock(kind: str) -> None:
    try:
        with socket.socket(socket.AF_VSOCK) as probe, socket.socket(socket.AF_VSOCK) as client:
            probe.bind((1, socket.VMADDR_PORT_ANY))
            probe.listen()
            client.settimeout(2)
            client.connect(probe.getsockname())
    except (OSError, AttributeError) as error:
        pytest.skip(f"no vsock to this machine itself (the module vsock_loopback): {error}")
    with serve(Facts(), listen=["vsock://1:0"], register=False, kind=kind) as server:
        server.start()
        with rpcserver.connect(FactsClient, server.endpoints[0]) as client:
            assert client.call(FACTS_V3.ABOUT).startswith("vsock ")


def test_vsock_is_said_to_be_missing() -> None:
    with pytest.raises(UsageError, match="^cannot listen on vsock://77:1024: "):
        serve(Facts(), listen=["vsock://77:1024"], register=False)
    for wrong in ("vsock://1", "vsock://host:5", "vsock://1:4294967296", "vsock://:"):
        with pytest.raises(UsageError, match="a machine's number and a port are needed"):
            parse_url(wrong)
    assert str(parse_url("vsock://2:4294967295")) == "vsock://2:4294967295"
