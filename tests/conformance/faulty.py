"""A server with one fault, to see whether the probes find it."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from rpcserver.auth.none import NoneServer
from rpcserver.auth.sys import SysServer
from rpcserver.rpc.call import Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from tests.peers import wire
from tests.rpc.echo import Echo

CLOSE = "close"

Fault: TypeAlias = Callable[[bytes, bytes | None], list[bytes] | str]
"""From a message and the right reply (``None``: silence) to what is sent instead"""


def sound(message: bytes, reply: bytes | None) -> list[bytes] | str:
    """No fault."""
    return [] if reply is None else [reply]


class _Engine:
    def __init__(self) -> None:
        self._engine = ServerEngine([Echo()], [NoneServer(), SysServer()])

    def __call__(self, message: bytes) -> bytes | None:
        outcome = self._engine.begin(message, Peer("tcp", ("127.0.0.1", 1)))
        if isinstance(outcome, Invocation):
            return outcome.reply(outcome.run())
        return outcome


class _Stream(socketserver.StreamRequestHandler):
    server: Any
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while self._one():
                pass
        except OSError:
            return

    def _one(self) -> bool:
        message, last = b"", False
        while not last:
            mark = self.rfile.read(4)
            last, size = mark[:1] >= b"\x80", int.from_bytes(mark) & 0x7FFFFFFF
            if len(mark) < 4 or size > 1 << 21:
                return False
            message += self.rfile.read(size)
        replies = self.server.fault(message, self.server.engine(message))
        if replies == CLOSE:
            return False
        self.wfile.write(b"".join(map(wire.frame, replies)))
        return True


class _Datagrams(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        message, sock = self.request
        for reply in self.server.fault(message, self.server.engine(message)):
            sock.sendto(reply, self.client_address)


class _TCP(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


class _UDP(socketserver.UDPServer):
    max_packet_size = 65535


@contextmanager
def serving(fault: Fault, transport: str = "tcp") -> Iterator[str]:
    """Such a server's URL; the program is that of ``tests.rpc.echo``, version 2."""
    server: Any
    if transport == "tcp":
        server = _TCP(("127.0.0.1", 0), _Stream)
    else:
        server = _UDP(("127.0.0.1", 0), _Datagrams)
    server.fault, server.engine = fault, _Engine()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{transport}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
