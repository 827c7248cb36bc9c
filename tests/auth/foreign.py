"""A server with TLS, or with less, that is made of ``ssl`` and ``socket`` alone."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.peers import wire

Answer = Callable[[socket.socket, bytes], bool]
"""What becomes of the AUTH_TLS call: whether TLS starts."""


def agree(connection: socket.socket, xid: bytes) -> bool:
    connection.sendall(wire.frame(xid + wire.words(1, 0, 0, 8) + b"STARTTLS" + wire.words(0)))
    return True


def agree_in_pieces(connection: socket.socket, xid: bytes) -> bool:
    reply = wire.frame(xid + wire.words(1, 0, 0, 8) + b"STARTTLS" + wire.words(0), 5)
    for byte in reply:
        connection.sendall(bytes([byte]))
    return True


def agree_and_more(connection: socket.socket, xid: bytes) -> bool:
    """An answer, in the clear, to the call that will be made."""
    agree(connection, xid)
    connection.sendall(wire.frame(wire.words(2, 1, 0, 0, 0, 0) + wire.opaque(b"injected")))
    return True


def reject(connection: socket.socket, xid: bytes) -> bool:
    """What libtirpc says: AUTH_REJECTEDCRED."""
    connection.sendall(wire.frame(xid + wire.words(1, 1, 1, 2)))
    return False


def accept_without(connection: socket.socket, xid: bytes) -> bool:
    """SUCCESS, and nothing of STARTTLS."""
    connection.sendall(wire.frame(xid + wire.words(1, 0, 0, 0, 0)))
    return False


def close(connection: socket.socket, xid: bytes) -> bool:
    connection.shutdown(socket.SHUT_RDWR)
    return False


def say_nothing(connection: socket.socket, xid: bytes) -> bool:
    while connection.recv(4096):
        pass
    return False


def talk(connection: socket.socket, xid: bytes) -> bool:
    connection.sendall(b"\x80\xff\xff\xff" + bytes(100))
    return False


def agree_and_hang(connection: socket.socket, xid: bytes) -> bool:
    agree(connection, xid)
    return say_nothing(connection, xid)


def agree_and_close(connection: socket.socket, xid: bytes) -> bool:
    agree(connection, xid)
    connection.recv(100)
    return close(connection, xid)


def agree_and_babble(connection: socket.socket, xid: bytes) -> bool:
    agree(connection, xid)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    return say_nothing(connection, xid)


@dataclass
class Foreign:
    """``url`` is where it is; ``seen`` has the clients' certificates, ``errors`` what went wrong,
    ``clear`` how many calls came in the clear."""

    url: str
    seen: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    clear: int = 0


def context(cert: str, ca: str | None = None, **settings: Any) -> ssl.SSLContext:
    """A server's."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    made.load_cert_chain(cert)
    made.set_alpn_protocols(["sunrpc"])
    if ca is not None:
        made.verify_mode = ssl.CERT_REQUIRED
    for name, value in settings.items():
        setattr(made, name, value)
    return made


@contextmanager
def foreign(
    secure: ssl.SSLContext | None, answer: Answer = agree, host: str = "127.0.0.1"
) -> Iterator[Foreign]:
    """The server; it echoes the arguments of all other calls, in TLS or not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    port = listener.getsockname()[1]
    found = Foreign(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")

    def serve(connection: socket.socket) -> None:
        try:
            one(connection)
        except (OSError, EOFError) as error:
            found.errors.append(str(error))

    def one(connection: socket.socket) -> None:
        stream = wire.Stream.__new__(wire.Stream)
        stream.socket = connection
        with stream, suppress(EOFError):
            while True:
                record = stream.read_record()
                if record[24:28] == wire.words(7):
                    assert record[28:] == bytes(12), "no body, no verifier"
                    if answer(connection, record[:4]) and secure is not None:
                        # What the server sees of a client that is not content comes when it reads.
                        stream.socket = secure.wrap_socket(connection, server_side=True)
                        found.seen.append(stream.socket.getpeercert())
                    continue
                found.clear += not isinstance(stream.socket, ssl.SSLSocket)
                stream.socket.sendall(
                    wire.frame(record[:4] + wire.words(1, 0, 0, 0, 0) + record[40:])
                )

    with accepting(listener, serve):
        yield found


@contextmanager
def accepting(listener: socket.socket, serve: Callable[[socket.socket], object]) -> Iterator[None]:
    """A thread for each connection, which ``serve`` gets; in the end they are all over."""
    open_now: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                open_now.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for each in open_now:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
