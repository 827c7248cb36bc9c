"""The initiator's side of RPCSEC_GSS by hand: GSS-API and ``wire``, and nothing of ours."""

import hashlib
import logging
import struct
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from tests.peers import wire
from tests.peers.wire import opaque, words
from tests.rpc.echo import PROG

RPCSEC_GSS = 6
DATA, INIT, CONTINUE_INIT, DESTROY, BIND_CHANNEL = range(5)
NONE, INTEGRITY, PRIVACY, CHANNEL = range(1, 5)
CREDPROBLEM, CTXPROBLEM = 13, 14
MAXSEQ = 0x80000000
SHA256 = bytes.fromhex("608648016503040201")

PEER = Peer("tcp", ("192.0.2.1", 1023))
OTHER = Peer("tcp", ("192.0.2.9", 1023))

gssapi: Any = pytest.importorskip("gssapi", exc_type=ImportError)
raw: Any = gssapi.raw
Flag = gssapi.RequirementFlag


def credential(
    proc: int, seq: int = 0, service: int = NONE, handle: bytes = b"", version: int = 1
) -> bytes:
    """The body of a credential."""
    return words(version, proc, seq, service) + opaque(handle)


def header(body: bytes, proc: int, xid: int = 1) -> bytes:
    """A call from its first byte to the end of its credential."""
    start = words(xid, wire.CALL, 2, PROG, 2, proc)
    return start + words(RPCSEC_GSS) + opaque(body)


def verifier(mic: bytes | None) -> bytes:
    return words(0, 0) if mic is None else words(RPCSEC_GSS) + opaque(mic)


@dataclass
class Answer:
    """What an RPCSEC_GSS_INIT brings."""

    reply: wire.Reply
    handle: bytes = b""
    major: int = 0
    minor: int = 0
    window: int = 0
    token: bytes = b""

    @classmethod
    def of(cls, record: bytes | None) -> "Answer":
        assert record is not None
        reply = wire.parse_reply(record)
        data = reply.results
        assert data is not None, reply
        (size,) = struct.unpack_from(">I", data)
        at = 4 + size + -size % 4
        major, minor, window, length = struct.unpack_from(">4I", data, at)
        token = data[at + 16 : at + 16 + length]
        assert len(data) == at + 16 + length + -length % 4
        return cls(reply, data[4 : 4 + size], major, minor, window, token)


def ask(
    engine: ServerEngine, record: bytes, peer: Peer = PEER, connection: Connection | None = None
) -> bytes | None:
    """What the server answers."""
    outcome = engine.begin(record, peer, connection)
    if not isinstance(outcome, Invocation):
        return outcome
    try:
        return outcome.reply(outcome.run())
    except Exception as error:  # noqa: BLE001
        return outcome.fail(error)


@dataclass
class Caller:
    """An initiator; ``open`` makes a context."""

    engine: ServerEngine
    version: int = 1
    flags: list[Any] = field(default_factory=lambda: [Flag.mutual_authentication])
    peer: Peer = PEER
    connection: Connection | None = None
    context: Any = None
    handle: bytes = b""
    window: int = 0
    seq: int = 0

    def leg(self, token: bytes | None = None) -> tuple[bytes, bool]:
        """The next token, and whether more are needed."""
        name = raw.import_name(b"nfs@localhost", gssapi.NameType.hostbased_service)
        mech = gssapi.MechType.kerberos
        done = raw.init_sec_context(name, None, self.context, mech, self.flags, input_token=token)
        self.context = done.context
        return done.token or b"", done.more_steps

    def init(self, token: bytes, control: int = INIT, handle: bytes = b"", proc: int = 0) -> bytes:
        """The call that brings a token."""
        body = credential(control, handle=handle, version=self.version)
        return header(body, proc) + verifier(None) + opaque(token)

    def ask(self, record: bytes) -> bytes | None:
        return ask(self.engine, record, self.peer, self.connection)

    def open(self) -> Self:
        token, _ = self.leg()
        answer = Answer.of(self.ask(self.init(token)))
        while answer.major == 1:
            token, _ = self.leg(answer.token)
            call = self.init(token, CONTINUE_INIT, answer.handle)
            answer = Answer.of(self.ask(call))
        assert answer.major == 0, answer
        if answer.token:
            token, more = self.leg(answer.token)
            assert not more
        assert answer.reply.verf_flavor == RPCSEC_GSS
        raw.verify_mic(self.context, words(answer.window), answer.reply.verf_body)
        self.handle, self.window = answer.handle, answer.window
        return self

    def mic(self, message: bytes) -> bytes:
        return bytes(raw.get_mic(self.context, message))

    def body(self, seq: int, service: int, args: bytes) -> bytes:
        data = words(seq) + args
        if service == INTEGRITY:
            return opaque(data) + opaque(self.mic(data))
        if service == PRIVACY:
            return opaque(raw.wrap(self.context, data, True).message)
        return args

    def call(
        self,
        args: bytes,
        service: int = NONE,
        seq: int | None = None,
        *,
        proc: int = 1,
        control: int = DATA,
        handle: bytes | None = None,
        body: bytes | None = None,
        mic: bytes | None = None,
        xid: int = 1,
    ) -> bytes:
        """A call; whatever is given is not as it should be."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        known = self.handle if handle is None else handle
        head = header(credential(control, seq, service, known, self.version), proc, xid)
        sealed = self.body(seq, service, args) if body is None else body
        return head + verifier(self.mic(head) if mic is None else mic) + sealed

    def opened(self, record: bytes | None, seq: int, service: int = NONE) -> bytes:
        """The results in a reply, all checked."""
        assert record is not None
        reply = wire.parse_reply(record)
        assert (reply.accept_stat, reply.verf_flavor) == (wire.SUCCESS, RPCSEC_GSS), reply
        raw.verify_mic(self.context, words(seq), reply.verf_body)
        data = reply.results
        assert data is not None
        if service == NONE:
            return data
        (size,) = struct.unpack_from(">I", data)
        first, rest = data[4 : 4 + size], data[4 + size + -size % 4 :]
        if service == INTEGRITY:
            (size,) = struct.unpack_from(">I", rest)
            raw.verify_mic(self.context, first, rest[4 : 4 + size])
            assert len(rest) == 4 + size + -size % 4
        else:
            assert not rest
            first = raw.unwrap(self.context, first).message
        assert first[:4] == words(seq)
        return bytes(first[4:])

    def binding(
        self, bindings: bytes, seq: int, *, prefix: bytes | None = None, oid: bytes = SHA256
    ) -> bytes:
        """The call that binds the context to a channel (RFC 5403 section 3.3)."""
        head = header(credential(BIND_CHANNEL, seq, NONE, self.handle, self.version), 0)
        mic = self.mic(head + opaque(hashlib.sha256(bindings).digest()))
        if prefix is None:
            prefix = bindings.partition(b":")[0]
        return head + verifier(opaque(prefix) + opaque(oid) + opaque(mic))


def refusal(record: bytes | None) -> int | None:
    """The auth_stat of a refusal."""
    assert record is not None
    return wire.parse_reply(record).auth_stat


def lines(caplog: Any) -> list[str]:
    """What was logged at INFO and above; debugging is not counted."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.INFO]
