"""serve(): several listeners, one loop, registration, and a clean end."""

import logging
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import NotReached, UsageError
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.portmap import Portmapper
from rpcserver.servers.serve import serve
from rpcserver.servers.server import KINDS
from tests.peers import wire
from tests.rpc.echo import PROG, Echo, Echo5, EchoClient

CALL = wire.call(PROG, 2, 1, wire.opaque(b"hello"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("kind", KINDS)
def test_one_loop_drives_every_listener(kind: str, tmp_path: Path) -> None:
    urls = [
        "tcp://127.0.0.1:0",
        "udp://127.0.0.1:0",
        "tcp://[::1]:0",
        "udp://[::1]:0",
        f"unix://{tmp_path}/sock",
        f"unixgram://{tmp_path}/datagrams",
    ]
    with serve(Echo(), Echo5(), listen=urls, register=False, kind=kind) as server:
        server.start()
        for url, asked in zip(server.endpoints, urls, strict=True):
            assert url.rpartition(":")[0] == asked.rpartition(":")[0]
            with rpcserver.connect(EchoClient, url) as client:
                assert client.echo("hello") == "hello"


def test_by_default_it_is_loopback_tcp_and_udp() -> None:
    with serve(Echo(), register=False) as server:
        places = [parse_url(url) for url in server.endpoints]
        assert [(place.transport, place.host) for place in places] == [
            ("tcp", "127.0.0.1"),
            ("udp", "127.0.0.1"),
        ]
        assert all(place.port for place in places)


@pytest.mark.parametrize("kind", KINDS)
def test_shutdown_ends_serve_forever_though_a_client_idles(kind: str) -> None:
    with serve(Echo(), register=False, kind=kind) as server:
        server.start()
        place = parse_url(server.endpoints[0])
        with wire.Stream((place.host, place.port)) as stream:
            stream.send(wire.frame(CALL))
            assert wire.parse_reply(stream.read_record()).accept_stat == wire.SUCCESS
            server.close()
            assert stream.is_closed()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((place.host, place.port), 1)


def test_shutdown_from_a_signal_handler() -> None:
    with serve(Echo(), register=False, kind="sync") as server:
        place = parse_url(server.endpoints[0])
        before = signal.signal(signal.SIGUSR1, lambda *_: server.shutdown())
        try:
            with wire.Stream((place.host, place.port)) as stream:

                def stop() -> None:
                    stream.send(wire.frame(CALL))
                    stream.read_record()  # the main thread is now inside of this connection
                    os.kill(os.getpid(), signal.SIGUSR1)

                thread = threading.Thread(target=stop)
                thread.start()
                server.serve_forever()
                thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)


def test_what_is_wrong_is_said_in_one_line() -> None:
    with serve(Echo(), register=False) as server:
        taken = server.endpoints[0]
        cases: list[tuple[Any, str]] = [
            ({"listen": [taken]}, f"cannot listen on {taken}: .*in use"),
            ({"listen": ["tcp://203.0.113.7:0"]}, "cannot listen on tcp://203.0.113.7:0"),
            ({"listen": ["tcp://no-such-host.invalid:0"]}, "cannot listen on"),
            ({"listen": ["http://127.0.0.1:0"]}, "is no address"),
            ({"kind": "fibres"}, "unknown kind of server 'fibres': it is one of sync, threads"),
        ]
        for arguments, message in cases:
            with pytest.raises(UsageError, match=message):
                serve(Echo(), register=False, **arguments)
        with pytest.raises(UsageError, match="no service to serve"):
            serve()
        # What was opened before the mistake is closed again.
        port = free_port()
        with pytest.raises(UsageError):
            serve(Echo(), register=False, listen=[f"tcp://127.0.0.1:{port}", taken])
        socket.create_server(("127.0.0.1", port)).close()


def test_registered_while_it_lives() -> None:
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap:
        portmap.start()
        (url,) = portmap.endpoints

        def registered() -> set[tuple[int, str]]:
            with open_rpcbind(url) as rpcbind:
                return {(each.vers, each.netid) for each in rpcbind.dump() if each.prog == PROG}

        with serve(Echo(), Echo5(), rpcbind=url) as server:
            server.start()
            assert registered() == {(2, "tcp"), (2, "udp"), (5, "tcp"), (5, "udp")}
            for transport in ("tcp", "udp"):
                with rpcserver.connect(
                    EchoClient, "localhost", rpcbind=url, transport=transport
                ) as client:
                    assert client.echo("x") == "x"
            with pytest.raises(UsageError, match=r"program \d+ version 2 \(tcp\) is served at"):
                serve(Echo(), rpcbind=url)
            assert len(registered()) == 4
        assert registered() == set()
        with pytest.raises(NotReached, match="not registered"):
            rpcserver.connect(EchoClient, "localhost", rpcbind=url)


def test_no_rpcbind_is_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setenv("RPCSERVER_RPCBIND", url)
    with serve(Echo()) as server:
        server.start()
        (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert record.getMessage().startswith(f"not registered: no rpcbind reached ({url}: ")
        with rpcserver.connect(EchoClient, server.endpoints[0]) as client:
            assert client.echo("x") == "x"


def test_portmap_starts_one_where_none_runs() -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    with serve(Echo(), rpcbind=url, portmap=True) as server:
        server.start()
        with rpcserver.connect(EchoClient, "127.0.0.1", rpcbind=url) as client:
            assert client.echo("x") == "x"
        # A second service uses the one that runs now.
        with serve(Echo5(), rpcbind=url, portmap=True), open_rpcbind(url) as rpcbind:
            assert {each.vers for each in rpcbind.dump() if each.prog == PROG} == {2, 5}
    with pytest.raises(NotReached):
        open_rpcbind(url)
