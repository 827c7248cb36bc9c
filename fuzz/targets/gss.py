"""Tokens and credentials for a server of RPCSEC_GSS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, product

from fuzz.targets.mechanism import HANDLE, MIC, spoken
from fuzz.targets.messages import answer, join, split
from rpcserver.auth.gss_server import GssServer
from rpcserver.protocols.rpcsec_gss import RpcGssCredTRpcsecGssVers1
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import FlavorsOwn
from rpcserver.rpc.message import parse_call
from rpcserver.xdr.codec import decode
from tests.peers.wire import call, opaque, words
from tests.rpc.echo import PROG, Echo

PEERS = (Peer("tcp", ("192.0.2.1", 700)), Peer("udp", ("192.0.2.1", 701)))
BINDINGS = b"tls-exporter:" + bytes(32)
MAX_CONTEXTS, MAX_HALF_OPEN = 4, 2
RPCSEC_GSS = 6
DATA, INIT, CONTINUE, DESTROY, BIND = range(5)
SHA256 = bytes.fromhex("608648016503040201")


_echo = Echo()
_engine = ServerEngine([_echo], [])


def accepted(data: bytes) -> None:
    """Answers; contexts within their limits, and counted right; no sequence number twice."""
    flavor = GssServer(
        window=8,
        max_contexts=MAX_CONTEXTS,
        max_half_open=MAX_HALF_OPEN,
        bindings=lambda connection: BINDINGS,
    )
    engine, now = _engine, 0.0
    engine.flavors = {flavor.flavor: flavor}
    _echo.calls.clear()
    flavor.share(lambda: flavor._lock, lambda: now)
    connections = Connection(), Connection()
    seen: set[tuple[bytes, int]] = set()
    with spoken():
        for who, record in split(data):
            now += who >> 4
            connection = connections[who >> 1 & 1] if who & 1 == 0 else None
            invocation, _ = answer(engine, record, PEERS[who & 1], connection)
            for table, limit in (
                (flavor._contexts, MAX_CONTEXTS),
                (flavor._acceptor._half_open, MAX_HALF_OPEN),
            ):
                assert len(table) <= limit
                owners = Counter(each.owner for each in table._all.values())
                assert owners == table._counts
            if invocation is None or isinstance(invocation, FlavorsOwn):
                continue
            parsed = parse_call(record)
            assert parsed is not None
            if parsed.credential.flavor == RPCSEC_GSS:
                cred = decode(RpcGssCredTRpcsecGssVers1, parsed.credential.body).rgc_cred_v1
                assert (cred.handle, cred.seq_num) not in seen, "a replay ran"
                seen.add((cred.handle, cred.seq_num))


def message(
    control: int,
    seq: int = 0,
    service: int = 1,
    handle: int = 0,
    *,
    proc: int = 0,
    version: int = 1,
    verifier: bytes | None = MIC,
    args: bytes = b"",
) -> bytes:
    """A call; ``handle`` is the number of the context."""
    own = handle.to_bytes(HANDLE) if handle else b""
    body = words(version, control, seq, service) + opaque(own)
    verf = {} if verifier is None else {"verf_flavor": RPCSEC_GSS, "verf_body": verifier}
    return call(PROG, 2, proc, args, flavor=RPCSEC_GSS, body=body, **verf)  # type: ignore[arg-type]


def init(token: bytes, control: int = INIT, handle: int = 0, version: int = 1) -> bytes:
    """The call that brings a token."""
    return message(control, 0, 1, handle, version=version, verifier=None, args=opaque(token))


def wrapped(service: int, seq: int, args: bytes) -> bytes:
    """Arguments as they travel."""
    body = words(seq) + args
    if service == 2:
        return opaque(body) + opaque(MIC)
    return opaque(b"W" + body) if service == 3 else args


def accepted_seeds() -> Iterator[bytes]:
    """Contexts in one and in more legs, calls of each kind, replays, bindings, ends."""
    echo = opaque(b"hello")
    for version, service, who in product((1, 2), (1, 2, 3, 4), (0, 1)):
        calls = [
            (who, message(DATA, n, service, 1, proc=1, version=version,
                          args=wrapped(service, n, echo)))
            for n in (1, 3, 2, 2, 20, 5, 0x80000001)
        ]  # fmt: skip
        mic = opaque(b"tls-exporter") + opaque(SHA256) + opaque(MIC)
        bound = message(BIND, 1, 1, 1, version=version, verifier=mic)
        over = (who, message(DESTROY, 30, 1, 1, version=version))
        start = (who, init(b"Aalice", version=version))
        yield join([start, *calls, over, calls[0]])
        yield join([start, (who, bound), *calls[1:], over])
    for token in (b"", b"F", b"Ebob", b"0bob", b"5bob", b"\xff\xff"):
        start = (0, init(token))
        yield join([start, (0x70, message(DATA, 1, 1, 1, proc=1, args=echo))])
    legs = [(0, init(b"C"))]
    legs += [(0, init(b"C", CONTINUE, number)) for number in (1, 2)]
    yield join([*legs, (0, init(b"Acarol", CONTINUE, 3))])
    yield join([*legs, (2, init(b"Acarol", CONTINUE, 3)), (0, init(b"A", CONTINUE, 3))])
    many = [(n % 4, init(b"A" + bytes([65 + n % 3]))) for n in range(12)]
    yield join(many)
    for left, right in pairwise(many):
        yield join([left, right, left])
