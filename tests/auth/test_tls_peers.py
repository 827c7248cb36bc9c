"""gnutls-cli and openssl s_client complete STARTTLS with our servers, and make calls inside."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from tests.auth.certs import Certs
from tests.auth.secure import AUTH_TLS, KINDS, STARTTLS, address, null, served
from tests.peers import wire
from tests.peers.need import need
from tests.peers.process import until

every_kind = pytest.mark.parametrize("kind", KINDS)


class Program:
    """A program that carries bytes to and fro."""

    def __init__(self, *command: str) -> None:
        # It begins when Popen is through: a child of the server's, forked in between, would hold
        # the pipe that Popen waits for.
        held = ("sh", "-c", 'read -r begin; exec "$@"', "sh", *command)
        self.process = subprocess.Popen(
            held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.output = bytearray()
        assert self.process.stdin is not None
        self.stdin: IO[bytes] = self.process.stdin
        self.send(b"\n")
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while data := self.process.stdout.read1(65536):  # type: ignore[attr-defined]
            self.output += data

    def send(self, data: bytes) -> None:
        """To its standard input."""
        self.stdin.write(data)
        self.stdin.flush()

    def wait_for(self, wanted: bytes) -> None:
        """Until that is in its output."""
        until(repr(wanted), lambda: wanted in self.output)

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self.stdin.close()
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def program(*command: str) -> Iterator[Program]:
    running = Program(*command)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def splice(where: Any) -> Iterator[int]:
    """A relay that makes the AUTH_TLS call and then hands the raw connection on: its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, wire.Stream(where) as upstream:
        upstream.send(null(AUTH_TLS))
        assert wire.parse_reply(upstream.read_record()).verf_body == STARTTLS
        upstream.socket.settimeout(None)

        def pump(source: socket.socket, to: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    to.sendall(data)
            for each in (source, to):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

        def relay() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    back = threading.Thread(target=pump, args=(upstream.socket, connection))
                    back.start()
                    pump(connection, upstream.socket)
                    back.join()

        thread = threading.Thread(target=relay)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            for each in (listener, upstream.socket):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            thread.join()


def s_client(port: int, certs: Certs, *more: str) -> tuple[str, ...]:
    return (
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "sunrpc"),
        *("-CAfile", certs.ca, "-verify_return_error", "-verify_hostname", "localhost"),
        *more,
    )


@every_kind
@pytest.mark.parametrize("cert", [False, True])
def test_openssl(kind: str, cert: bool, certs: Certs) -> None:
    need("openssl", "openssl")
    mine = ("-cert", certs.client, "-key", certs.client) if cert else ()
    settings: dict[str, Any] = {"tls_ca": certs.ca} if cert else {}
    with served(kind, tls_cert=certs.server, **settings) as server:
        with splice(address(server)) as port:
            with program(*s_client(port, certs, "-quiet", *mine)) as peer:
                peer.send(null(proc=1))
                peer.wait_for(b"TLSv1.3 sunrpc True alice" if cert else b"TLSv1.3 sunrpc False")


@pytest.mark.parametrize("kind", ["threads", "select"])
def test_openssl_is_refused(kind: str, certs: Certs) -> None:
    need("openssl", "openssl")
    strange = ("-cert", certs.strange_client, "-key", certs.strange_client)
    for more, alert in (
        (("-tls1_2",), b"protocol version"),
        ((), b"certificate required"),
        (strange, b"unknown ca"),
    ):
        with served(kind, tls_cert=certs.server, tls_ca=certs.ca) as server:
            with splice(address(server)) as port:
                with program(*s_client(port, certs, *more)) as peer:
                    peer.wait_for(b"alert " + alert)


@pytest.mark.parametrize("kind", ["threads", "select"])
def test_key_updates(kind: str, certs: Certs, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is fine; if nothing else comes, there is an end of it."""
    need("openssl", "openssl")
    with served(kind, tls_cert=certs.server) as server:
        with splice(address(server)) as port:
            with program(*s_client(port, certs)) as peer:
                peer.wait_for(b"Verify return code: 0")
                for number in range(3):
                    peer.send(b"K\n")
                    until("update", lambda: peer.output.count(b"KEYUPDATE") > number)  # noqa: B023
                peer.send(null(proc=1))
                peer.wait_for(b"TLSv1.3 sunrpc")
        monkeypatch.setattr("rpcserver.auth.tls_session.MAX_BARREN", 64)
        with splice(address(server)) as port:
            with program(*s_client(port, certs)) as peer:
                peer.wait_for(b"Verify return code: 0")
                for number in range(3):
                    peer.send(b"K\n")
                    until("update", lambda: peer.output.count(b"KEYUPDATE") > number)  # noqa: B023
                until("the end", lambda: peer.process.poll() is not None)


@every_kind
@pytest.mark.parametrize("cert", [False, True])
def test_gnutls(kind: str, cert: bool, certs: Certs, tmp_path: Path) -> None:
    """The whole STARTTLS is on one connection, that of gnutls-cli."""
    need("gnutls-bin", "gnutls-cli")
    mine = ("--x509certfile", certs.client, "--x509keyfile", certs.client) if cert else ()
    settings: dict[str, Any] = {"tls_ca": certs.ca} if cert else {}
    with served(kind, tls_cert=certs.server, **settings) as server:
        command = (
            *("gnutls-cli", "--starttls", "--alpn=sunrpc", f"--x509cafile={certs.ca}"),
            *("--verify-hostname=localhost", f"--logfile={tmp_path / 'log'}", *mine),
            *("-p", str(address(server)[1]), "127.0.0.1"),
        )
        with program(*command) as peer:
            peer.send(null(AUTH_TLS))
            peer.wait_for(STARTTLS)
            peer.process.send_signal(signal.SIGALRM)
            peer.wait_for(b"Starting TLS handshake")  # and reads nothing before that is over
            peer.send(null(proc=1))
            peer.wait_for(b"TLSv1.3 sunrpc True alice" if cert else b"TLSv1.3 sunrpc False")
