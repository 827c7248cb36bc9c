"""Somebody in the middle, made of ``ssl`` and ``socket`` alone: who ends the client's TLS, reads
everything, and passes each record on."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from rpcserver.rpcbind.netid import parse_url
from tests.auth import foreign, secure
from tests.peers import wire

Change = Callable[[bytes, bytes], bytes]
"""Of a call and the reply to it: another reply"""


def nothing(call: bytes, reply: bytes) -> bytes:
    return reply


@dataclass
class Middle:
    """Where it is, and the calls and replies that it has read."""

    url: str
    calls: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)


@contextmanager
def middle(
    url: str, *, cert: str | None = None, ca: str | None = None, change: Change = nothing
) -> Iterator[Middle]:
    """In front of the server at ``url``. ``cert``: of its TLS with clients, ``None``: there is
    none; ``ca``: of its own TLS with the server, likewise; ``change``: what becomes of a reply."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Middle(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    place = parse_url(url)
    where = place.host, place.port

    def upstream() -> wire.Stream:
        if ca is None:
            return wire.Stream(where)
        return secure.RawTls(where, secure.context(ca))

    def serve(connection: socket.socket) -> None:
        stream = wire.Stream.__new__(wire.Stream)
        stream.socket = connection
        with stream, suppress(OSError, EOFError), upstream() as server:
            while True:
                record = stream.read_record()
                if cert is not None and record[24:28] == wire.words(secure.AUTH_TLS):
                    foreign.agree(connection, record[:4])
                    wrap: Any = foreign.context(cert).wrap_socket
                    stream.socket = wrap(connection, server_side=True)
                    continue
                found.calls.append(record)
                server.send(wire.frame(record))
                found.replies.append(server.read_record())
                stream.send(wire.frame(change(record, found.replies[-1])))

    with foreign.accepting(listener, serve):
        yield found
