"""Several messages in one input, so that what one leaves behind is there for the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from rpcserver.servers.methods import finish
from tests.peers import wire

LARGEST = 0xFFFF


def join(messages: Sequence[tuple[int, bytes]]) -> bytes:
    """The input with these messages, each with a number that says who sends it."""
    return b"".join(
        bytes([who]) + len(data).to_bytes(2) + data
        for who, data in messages
        if len(data) <= LARGEST
    )


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of an input."""
    at = 0
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3])
        yield data[at], data[at + 3 : at + 3 + size]
        at += 3 + size


def answer(
    engine: ServerEngine, record: bytes, peer: Peer, connection: Connection | None = None
) -> tuple[Invocation | None, wire.Reply | None]:
    """What ``begin`` made of a record, if a method had to run, and the reply, which must be one
    of the RFC's, and to this call."""
    outcome = engine.begin(record, peer, connection)
    invocation = outcome if isinstance(outcome, Invocation) else None
    reply = outcome if not isinstance(outcome, Invocation) else finish(outcome)
    if reply is None:
        return invocation, None
    parsed = wire.parse_reply(reply)
    assert parsed.xid == int.from_bytes(record[:4]), "the reply is to another call"
    return invocation, parsed
