"""What servers may send to a client: replies to calls that wait, and anything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

from fuzz.codec import same
from fuzz.targets.mechanism import MIC, spoken
from fuzz.targets.mechanism import Protection as Fake
from fuzz.targets.messages import join, split
from fuzz.targets.records import pieces
from generated import nfs3_prot
from rpcserver.auth import NoneClient, SysClient, SysCredential
from rpcserver.auth.gss_calls import Context, protect_call
from rpcserver.auth.gss_client import GssClient, GssSession
from rpcserver.errors import CallError, RecordError
from rpcserver.protocols.rpcb_prot import RPCBVERS4
from rpcserver.protocols.rpcsec_gss import RpcGssServiceT
from rpcserver.rpc import calls, pending
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.record import SCRATCH, RecordReader
from tests.peers.wire import frame, opaque, words
from tests.rpc.echo import ECHO_V2

_SCRATCH = memoryview(bytearray(SCRATCH))
_ASKED: tuple[tuple[Any, Any, tuple[Any, ...]], ...] = (
    (ECHO_V2, ECHO_V2.ADD, (1, 2)),
    (ECHO_V2, ECHO_V2.ECHO, ("x",)),
    (ECHO_V2, ECHO_V2.FAIL, (0,)),
    (RPCBVERS4, RPCBVERS4.RPCBPROC_DUMP, ()),
    (
        nfs3_prot.NFS_V3,
        nfs3_prot.NFS_V3.NFSPROC3_LOOKUP,
        (nfs3_prot.LOOKUP3args(nfs3_prot.Diropargs3(nfs3_prot.NfsFh3(b"h"), "n")),),
    ),
    (ECHO_V2, ECHO_V2.WHO, ()),
)


def _waiting(flavor: ClientFlavor) -> tuple[ClientEngine, list[PendingCall]]:
    """Calls with the xids 1, 2, 3 ..., each with another result; the last two are lenient."""
    engine = ClientEngine(flavor, 0)
    asked = [
        engine.begin(*each, lenient=number >= len(_ASKED) - 2) for number, each in enumerate(_ASKED)
    ]
    return engine, asked


def _taken(stream: bytes, how: bytes, flavor: ClientFlavor) -> list[Any]:
    """What became of each call when ``stream`` came in pieces."""
    engine, asked = _waiting(flavor)
    reader = RecordReader(100_000)
    made: list[bytes] = []
    broken = False
    try:
        for piece in pieces(stream, how):
            left = piece
            while left:
                room = reader.room(_SCRATCH)
                count = min(len(room), len(left))
                room[:count] = left[:count]
                reader.filled(count)
                left = left[count:]
                engine.take(reader, made.append)
        if (fragments := reader.unmarked) is not None:
            engine.receive_unmarked(fragments)
    except RecordError:
        broken = True
    return [broken, made, *map(_outcome, asked)]


def _outcome(call: PendingCall) -> Any:
    if not call.done:
        return None
    try:
        return ["value", call.result()]
    except CallError as error:
        return [type(error).__name__, str(error)]


def _flavor(how: int) -> ClientFlavor:
    return SysClient(SysCredential(7, 7)) if how & 8 else NoneClient()


def received(data: bytes) -> None:
    """Each call ends with a value or a ``CallError``, and the same one whoever looks: the native
    code or Python's, and however the stream was cut. Datagrams raise nothing."""
    if not data:
        return
    count = data[0] % 8
    how, stream = data[1 : 1 + count], data[1 + count :]
    native = _taken(stream, how, _flavor(data[0]))
    with mock.patch.multiple(
        calls,
        settle_stream=pending.python_settle_stream,
        settle_record=pending.python_settle_record,
    ):
        plain = _taken(stream, b"", _flavor(data[0]))
    assert same(native, plain), f"{native!r:.1000}\n{plain!r:.1000}"
    engine, asked = _waiting(NoneClient())
    engine.receive(stream)
    engine.receive(stream[4:])
    for call in asked:
        _outcome(call)


def _replies() -> Iterator[bytes]:
    accepted = words(1, 0, 0, 0)
    yield words(1) + accepted + words(0, 3)
    yield words(2) + accepted + words(0) + opaque(b"abc")
    yield words(3) + accepted + words(0)
    entry = words(1, 77, 1) + opaque(b"udp") + opaque(b"127.0.0.1.8.1") + opaque(b"superuser")
    yield words(4) + accepted + words(0) + entry * 2 + words(0)
    attributes = words(1) + words(2, 0o755, 2, 0, 0) + bytes(64)
    yield words(5) + accepted + words(0, 0) + opaque(b"handle") + attributes + words(0)
    yield words(6) + accepted + words(0) + opaque(b"who")[:-1]
    yield words(1, 1, 0, 2, 24) + words(2, 16) + bytes(16) + words(0, 3)
    for stat in (1, 2, 3, 4, 5):
        yield words(stat) + accepted + words(stat) + (words(2, 5) if stat == 2 else b"")
    yield words(1, 1, 1, 0, 2, 2)
    for stat in (1, 2, 5, 13, 14):
        yield words(2, 1, 1, 1, stat)
    yield words(9, 0, 2, 100, 1, 0, 0, 0, 0, 0)


def received_seeds() -> Iterator[bytes]:
    """Replies of each kind, whole and in fragments, alone and together."""
    found = list(_replies())
    for number, reply in enumerate(found):
        yield b"\0" + frame(reply)
        yield b"\x09" + bytes([number]) + frame(reply, 12)
    yield b"\2\2\3" + b"".join(map(frame, found))
    yield b"\0" + frame(found[5], 30)[:-34]


# --- RPCSEC_GSS -------------------------------------------------------------------------------


class _InContext:
    """A flavor that has a context already."""

    def __init__(self, service: RpcGssServiceT) -> None:
        self._service = service
        self._context = Context(1, b"h", Fake(), 8)  # type: ignore[arg-type]

    def protect(self, header: bytes, arguments: bytes) -> Any:
        return protect_call(self._context, self._service, header, arguments)

    def refused(self, stat: int) -> bool:
        return False


def opened(data: bytes) -> None:
    """Replies under RPCSEC_GSS, in each service, and those to a client that wants a context."""
    if not data:
        return
    if data[0] & 4:
        with spoken():
            _negotiated(data[0], [each for _, each in split(data[1:])])
        return
    service = tuple(RpcGssServiceT)[data[0] & 3]
    for record in (data[1:], words(1) + data[1:]):
        engine, asked = _waiting(_InContext(service))
        engine.receive(record)
        for call in asked:
            _outcome(call)


def _negotiated(how: int, replies: list[bytes]) -> None:
    client = GssClient(
        "host@x",
        "privacy" if how & 8 else "none",
        bindings=b"tls-exporter:x" if how & 16 else None,
    )
    session = GssSession(client, "host@x")
    engine = ClientEngine(session, 0)
    engine._asked = ECHO_V2
    session.moved(None)
    steps = session.negotiate()
    try:
        step = next(steps)
        for number, reply in enumerate(replies):
            call = engine.own(step)
            engine.wait([call])
            engine.receive(words(number + 1) + reply)
            if not call.done:
                return
            try:
                value = call.result()
            except CallError as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration:
        assert session.ready
        session.farewell()
    except CallError:
        pass


def opened_seeds() -> Iterator[bytes]:
    """Results of each service, and legs."""
    signed = words(1, 0, 6) + opaque(MIC) + words(0)
    for result in (words(3), opaque(b"abc"), b""):
        body = words(1) + result
        yield b"\0" + signed + result
        yield b"\1" + signed + opaque(body) + opaque(MIC)
        yield b"\2" + signed + opaque(b"W" + body)
        yield b"\3" + words(1, 0, 0, 0, 0) + result
    yield b"\1" + words(1, 1, 1, 13)
    more = words(1, 0, 0, 0, 0) + opaque(b"h") + words(1, 0, 8) + opaque(b"C")
    done = signed + opaque(b"h") + words(0, 0, 8) + opaque(b"D")
    failed = words(1, 0, 0, 0, 0) + opaque(b"") + words(13 << 16, 0, 0) + opaque(b"")
    bound = words(1, 0, 6) + opaque(words(0) + opaque(MIC)) + words(0)
    refused = words(1, 1, 1, 1)
    for how in (4, 12, 20, 28):
        for legs in ([done], [more, done], [failed], [more] * 20, [done, bound], [refused]):
            yield bytes([how]) + join([(0, each) for each in legs])
