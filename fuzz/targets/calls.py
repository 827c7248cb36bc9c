"""Records for a server's engine, and streams for what answers the plain calls of it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from fuzz.calls import calls, damaged, difference, stream
from fuzz.targets.messages import answer, join, split
from rpcserver.auth import ShortServer, ShortTable, SysServer
from rpcserver.auth.none import NoneServer
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.plain import PlainCalls, PythonPlainCalls
from tests.peers.wire import opaque
from tests.rpc.echo import Echo, Echo5
from tests.rpc.failures import CASES
from tests.rpc.test_plain import ABOUTS, Engine, Plain

PEERS = (
    Peer("tcp", ("192.0.2.1", 700), ("192.0.2.2", 2049)),
    Peer("udp", ("2001:db8::1", 50_000, 0, 0), ("2001:db8::2", 2049, 0, 0)),
    Peer("unix", "", "/run/sock", uid=1000, gid=1000, groups=(1000,)),
)


_echo, _plain = Echo(), Plain()
_sys = SysServer()
_sys.short = ShortTable(2, float)
_engine = ServerEngine([_echo, Echo5(), _plain], [NoneServer(), _sys, ShortServer(_sys)])


def begun(data: bytes) -> None:
    """Every record gets an answer of the RFC's, or silence."""
    connection = Connection()
    _echo.calls.clear()
    _plain.calls.clear()
    for who, record in split(data):
        answer(_engine, record, PEERS[who % 3], connection if who & 4 else None)
    for hook in connection.closed():
        hook()


def begun_seeds() -> Iterator[bytes]:
    """The table of failures, one by one and together, and streams of calls."""
    messages = [(number % 8, record) for number, (_, record, _) in enumerate(CASES)]
    for message in messages:
        yield join([message])
    yield join(messages)
    random = Random(1)
    for _ in range(20):
        yield join([(4, record[4:]) for record in calls(random)])


_PAIRS = [
    [Engine(kind, trailing=trailing) for kind in (PythonPlainCalls, PlainCalls)]
    for trailing in (False, True)
]


def plain(data: bytes) -> None:
    """Python and C answer the same plain calls, and leave the same ones."""
    if data:
        found = difference(_PAIRS[data[0] & 1], data[1:], ABOUTS[data[0] >> 1 & 3], 1e9)
        assert not found, found


def plain_seeds() -> Iterator[bytes]:
    """Streams of calls, some of them damaged."""
    random = Random(2)
    for number in range(60):
        yield bytes([number % 8]) + stream(random)[:4000]
    yield b"\0" + damaged(opaque(b"no calls"), random)
