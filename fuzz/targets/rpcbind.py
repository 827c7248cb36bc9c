"""The embedded rpcbind, asked by local processes and by strangers."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

from fuzz.targets.messages import answer, join, split
from rpcserver.auth import server_flavors
from rpcserver.errors import NotReached
from rpcserver.protocols.rpcb_prot import RPCBPROG, RpcblistPtr
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpcbind import forwarding
from rpcserver.rpcbind.forwarding import Forwarder
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.service import register_self, services
from rpcserver.rpcbind.table import Registration, Table
from rpcserver.xdr.codec import decode
from tests.peers.wire import call, opaque, words
from tests.rpcbind.memory import ALICE, FAR_UDP, ROOT, STRANGER, TCP, TCP6, UDP

PEERS = (ROOT, ALICE, TCP, UDP, TCP6, STRANGER, FAR_UDP)
LIMIT = 12
DUMP = 4
LARGEST_FAR = 300
"""bytes that a datagram from elsewhere may bring back: what is passed on, and its question"""
OWN = Registration(RPCBPROG, 4, "tcp", "127.0.0.1.0.111", "superuser")


def _forward(place: Endpoint, prog: int, vers: int, proc: int, arguments: bytes) -> bytes:
    if proc > 9:
        raise NotReached("nobody there")
    return arguments * proc


_UNLIMITED = 1 << 30  # what time it is makes no difference
_table = Table(LIMIT)
_engine = ServerEngine(
    services(_table, Forwarder(_table, _forward, lambda host: True)), server_flavors()
)


def asked(data: bytes) -> None:
    """Answers, a table within its limit, what was rpcbind's own still there unless root wanted
    otherwise, and no stranger's registrations."""
    with mock.patch.object(forwarding, "RATE", _UNLIMITED):
        _asked(data)


def _asked(data: bytes) -> None:
    table, engine = _table, _engine
    table._entries.clear()
    register_self(table, [parse_url("tcp://127.0.0.1:111")])
    for who, record in split(data):
        peer = PEERS[who % len(PEERS)]
        before = table.dump()
        _, reply = answer(engine, record, peer)
        assert len(table.dump()) <= LIMIT
        if peer in (STRANGER, FAR_UDP):
            assert table.dump() == before, "a stranger changed the table"
        if peer == ALICE:
            assert OWN in table.dump() or OWN not in before, "not root removed rpcbind itself"
        if peer == FAR_UDP and reply is not None:
            assert len(reply.results or b"") <= len(record) + LARGEST_FAR, "an amplifier"
    _, reply = answer(engine, call(RPCBPROG, 4, DUMP), ROOT)
    assert reply is not None and reply.results is not None
    listed = [each.rpcb_map for each in decode(RpcblistPtr, reply.results)]
    assert [each.r_addr for each in listed] == [each.address for each in table.dump()]


def _rpcb(prog: int, vers: int, netid: bytes, address: bytes, owner: bytes = b"") -> bytes:
    return words(prog, vers) + opaque(netid) + opaque(address) + opaque(owner)


def asked_seeds() -> Iterator[bytes]:
    """Each procedure of each version, by itself and after some registrations."""
    mapping = words(77, 1, 6, 2049)
    remote = words(77, 1, 3) + opaque(b"abcd")
    sets = [
        (0, call(RPCBPROG, 4, 1, _rpcb(77, 1, b"udp", b"127.0.0.1.8.1"))),
        (1, call(RPCBPROG, 3, 1, _rpcb(77, 2, b"tcp6", b"::1.8.1"))),
        (2, call(RPCBPROG, 2, 1, mapping)),
        (1, call(RPCBPROG, 4, 1, _rpcb(78, 1, b"local", b"/run/x.sock"))),
    ]
    two = {1: mapping, 2: mapping, 3: mapping, 5: remote}
    three = {1: _rpcb(77, 1, b"udp", b"0.0.0.0.8.1"), 2: _rpcb(77, 1, b"", b"")}
    three |= {3: three[2], 5: remote, 7: opaque(b"127.0.0.1.8.1"), 8: words(16) + opaque(bytes(16))}
    four = {**three, 6: remote, 9: three[2], 10: remote, 11: three[2]}
    for vers, known in ((2, two), (3, three), (4, four)):
        for proc in range(14):
            for who in range(len(PEERS)):
                message = call(RPCBPROG, vers, proc, known.get(proc, b""))
                yield join([*sets, (who, message)])
    many = [(0, call(RPCBPROG, 2, 1, words(n, 1, 17, 5))) for n in range(20)]
    yield join(many)
    yield join([*many, *((6, call(RPCBPROG, vers, DUMP)) for vers in (2, 3, 4))])
