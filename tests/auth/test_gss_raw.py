"""RPCSEC_GSS servers and raw bytes: what RFCs 2203 and 5403 answer, or keep silent about."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

from rpcserver.auth import GssCredential, GssServer
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.servers.methods import add_flavor, engine_for
from tests.auth.gss_by_hand import (
    BIND_CHANNEL,
    CHANNEL,
    CONTINUE_INIT,
    CREDPROBLEM,
    CTXPROBLEM,
    DESTROY,
    INTEGRITY,
    MAXSEQ,
    NONE,
    OTHER,
    PRIVACY,
    RPCSEC_GSS,
    SHA256,
    Answer,
    Caller,
    Flag,
    ask,
    credential,
    header,
    lines,
    raw,
    refusal,
    verifier,
)
from tests.peers import wire
from tests.peers.realm import Realm
from tests.peers.wire import opaque, words
from tests.rpc.echo import ECHO_V2, Echo

ECHO = opaque(b"hello")
BINDINGS = b"tls-server-end-point:" + bytes(range(32))


@pytest.fixture
def flavor() -> GssServer:
    return GssServer("nfs@localhost", bindings=lambda connection: BINDINGS)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def engine(flavor: GssServer, echo: Echo, kerberos: Realm) -> ServerEngine:
    made = engine_for([echo])
    add_flavor(made, flavor)
    return made


@pytest.fixture
def caller(engine: ServerEngine) -> Caller:
    return Caller(engine).open()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the decoder of the method's arguments gets to see."""
    seen: list[bytes] = []
    codec: Any = ECHO_V2.ECHO.arguments_codec

    class Watched:
        def unpack_whole(self, data: bytes, start: int = 0, **options: Any) -> Any:
            seen.append(bytes(data[start:]))
            return codec.unpack_whole(data, start, **options)

        pack = codec.pack
        unpack = codec.unpack

    monkeypatch.setitem(vars(ECHO_V2.ECHO), "arguments_codec", Watched())
    return seen


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, "rpcserver"):
        yield caplog


@pytest.mark.parametrize("service", [NONE, INTEGRITY, PRIVACY])
def test_a_call(caller: Caller, echo: Echo, decoded: list[bytes], service: int) -> None:
    reply = caller.ask(caller.call(ECHO, service))
    assert caller.opened(reply, 1, service) == ECHO
    assert decoded == [ECHO]
    name = {NONE: "none", INTEGRITY: "integrity", PRIVACY: "privacy"}[service]
    assert echo.calls[0].credential == GssCredential("alice@RPC.TEST", "krb5", name)
    if service == PRIVACY:
        assert reply is not None and b"hello" not in reply


def test_null_and_what_is_refused_is_signed(caller: Caller) -> None:
    assert caller.opened(caller.ask(caller.call(b"", PRIVACY, proc=0)), 1, PRIVACY) == b""
    record = caller.ask(caller.call(b"", NONE, proc=99))
    assert record is not None
    reply = wire.parse_reply(record)
    assert (reply.accept_stat, reply.verf_flavor) == (wire.PROC_UNAVAIL, RPCSEC_GSS)
    raw.verify_mic(caller.context, words(2), reply.verf_body)


# --- the window ---------------------------------------------------------------------------------


def test_replays_and_what_comes_too_late_are_dropped(
    caller: Caller, echo: Echo, decoded: list[bytes], log: pytest.LogCaptureFixture
) -> None:
    window = caller.window
    first = caller.call(ECHO, seq=5)
    assert caller.opened(caller.ask(first), 5) == ECHO
    assert len(decoded) == 1
    log.clear()
    assert caller.ask(first) is None
    assert caller.ask(caller.call(ECHO, PRIVACY, seq=5)) is None
    assert len(lines(log)) == 2
    # Reordered, and each once.
    for number in (9, 7, 8, 6, 1, 0):
        assert caller.opened(caller.ask(caller.call(ECHO, seq=number)), number) == ECHO
        assert caller.ask(caller.call(ECHO, seq=number)) is None
    # The lower edge of the window.
    assert caller.opened(caller.ask(caller.call(ECHO, seq=1000)), 1000) == ECHO
    assert caller.ask(caller.call(ECHO, seq=1000 - window)) is None
    lowest = 1000 - window + 1
    assert caller.opened(caller.ask(caller.call(ECHO, seq=lowest)), lowest) == ECHO
    assert caller.ask(caller.call(ECHO, seq=lowest)) is None
    assert len(echo.calls) == len(decoded) == 9


def test_a_number_that_is_not_signed_moves_no_window(caller: Caller) -> None:
    assert refusal(caller.ask(caller.call(ECHO, seq=100_000, mic=bytes(28)))) == CREDPROBLEM
    assert caller.opened(caller.ask(caller.call(ECHO, seq=1)), 1) == ECHO


def test_the_last_number(caller: Caller) -> None:
    assert refusal(caller.ask(caller.call(ECHO, seq=MAXSEQ + 1))) == CTXPROBLEM
    assert caller.opened(caller.ask(caller.call(ECHO, seq=MAXSEQ)), MAXSEQ) == ECHO


# --- what is wrong ------------------------------------------------------------------------------


def test_credentials_cut_off_anywhere_and_over_long(
    caller: Caller, decoded: list[bytes], log: pytest.LogCaptureFixture
) -> None:
    whole = credential(0, 1, NONE, caller.handle)
    for body in [*(whole[:size] for size in range(len(whole))), whole + words(0), whole + b"x"]:
        log.clear()
        head = header(body, 1)
        assert refusal(caller.ask(head + verifier(caller.mic(head)) + ECHO)) == 1
        assert len(lines(log)) == 1
    too_long = header(credential(0, 1, NONE, bytes(400)), 1) + verifier(None)
    assert refusal(caller.ask(too_long)) == 1
    assert decoded == []
    assert caller.opened(caller.ask(caller.call(ECHO, seq=1)), 1) == ECHO


@pytest.mark.parametrize(
    "body",
    [
        words(0, 0, 1, NONE, 0),
        words(3, 0, 1, NONE, 0),
        words(1, 5, 1, NONE, 0),
        words(1, 0, 1, 0, 0),
        words(1, 0, 1, 5, 0),
        words(1, 0, 1, CHANNEL, 0),
        words(1, BIND_CHANNEL, 1, NONE, 0),
    ],
    ids=["version 0", "version 3", "procedure 5", "service 0", "service 5", "channel", "bind"],
)
def test_values_that_there_are_not(caller: Caller, body: bytes) -> None:
    assert refusal(caller.ask(header(body, 0) + verifier(None))) == 1


def test_verifiers_that_are_wrong(
    caller: Caller, engine: ServerEngine, decoded: list[bytes], log: pytest.LogCaptureFixture
) -> None:
    other = Caller(engine).open()
    head = header(credential(0, 1, NONE, caller.handle), 1)
    good = caller.mic(head)
    tampered = bytearray(good)
    tampered[-1] ^= 1
    for mic in (b"", bytes(28), good[:-1], bytes(tampered), other.mic(head), caller.mic(head[:-1])):
        log.clear()
        assert refusal(caller.ask(head + verifier(mic) + ECHO)) == CREDPROBLEM
        assert len(lines(log)) == 1
        assert caller.handle.hex() not in log.text
    assert refusal(caller.ask(head + verifier(None) + ECHO)) == 3
    assert refusal(caller.ask(head + words(1) + opaque(good) + ECHO)) == 3
    assert decoded == []
    assert caller.opened(caller.ask(head + verifier(good) + ECHO), 1) == ECHO


def test_arguments_that_are_not_what_was_sent(
    caller: Caller, engine: ServerEngine, decoded: list[bytes], log: pytest.LogCaptureFixture
) -> None:
    other = Caller(engine).open()
    data = words(0) + ECHO
    bodies = [
        (INTEGRITY, ECHO),
        (INTEGRITY, b""),
        (INTEGRITY, opaque(data)),
        (INTEGRITY, opaque(data) + opaque(other.mic(data))),
        (INTEGRITY, opaque(data + b"xxxx") + opaque(caller.mic(data))),
        (INTEGRITY, caller.body(999, INTEGRITY, ECHO)),
        (PRIVACY, ECHO),
        (PRIVACY, b""),
        (PRIVACY, other.body(0, PRIVACY, ECHO)),
        (PRIVACY, caller.body(999, PRIVACY, ECHO)),
        (PRIVACY, opaque(raw.wrap(caller.context, data, False).message)),
        (PRIVACY, caller.body(0, PRIVACY, ECHO)[:-4]),
        (PRIVACY, caller.body(0, PRIVACY, ECHO) + words(0)),
    ]
    for number, (service, body) in enumerate(bodies, 1):
        log.clear()
        record = caller.ask(caller.call(b"", service, seq=number, body=body))
        assert record is not None
        reply = wire.parse_reply(record)
        assert reply.accept_stat == wire.GARBAGE_ARGS
        raw.verify_mic(caller.context, words(number), reply.verf_body)
        assert len(lines(log)) == 1
    assert decoded == []


def test_wrapped_bytes_that_change_on_the_way(caller: Caller, decoded: list[bytes]) -> None:
    for number, service in enumerate((INTEGRITY, PRIVACY), 1):
        good = caller.call(ECHO, service, seq=number)
        start = len(header(credential(0, number, service, caller.handle), 1))
        start += len(verifier(caller.mic(b"")))
        for at in range(start, len(good), 5):
            # The number was used by the first of them: each needs one of its own.
            number += 2
            whole = caller.call(ECHO, service, seq=number)
            bad = bytearray(whole)
            bad[at] ^= 0x40
            record = caller.ask(bytes(bad))
            assert record is not None
            assert wire.parse_reply(record).accept_stat == wire.GARBAGE_ARGS, at
    assert decoded == []


def test_services_that_are_not_enough(echo: Echo, kerberos: Realm, decoded: list[bytes]) -> None:
    engine = engine_for([echo])
    add_flavor(engine, GssServer("nfs@localhost", services=["privacy"]))
    caller = Caller(engine).open()
    for service in (NONE, INTEGRITY):
        assert refusal(caller.ask(caller.call(ECHO, service))) == 5
    assert decoded == []
    assert caller.opened(caller.ask(caller.call(ECHO, PRIVACY)), caller.seq, PRIVACY) == ECHO


# --- contexts -----------------------------------------------------------------------------------


def test_a_destroyed_context(caller: Caller, flavor: GssServer) -> None:
    good = caller.call(ECHO, seq=3)
    forged = caller.call(b"", seq=1, control=DESTROY, proc=0, mic=bytes(28))
    assert refusal(caller.ask(forged)) == CREDPROBLEM
    assert caller.opened(caller.ask(caller.call(b"", seq=1, control=DESTROY, proc=0)), 1) == b""
    assert len(flavor) == 0
    assert refusal(caller.ask(good)) == CTXPROBLEM
    assert refusal(caller.ask(caller.call(b"", seq=4, control=DESTROY, proc=0))) == CTXPROBLEM


def test_handles_that_there_are_not(caller: Caller) -> None:
    for handle in (b"", bytes(16), caller.handle[:-1], caller.handle + b"\0", bytes(380)):
        assert refusal(caller.ask(caller.call(ECHO, handle=handle))) == CTXPROBLEM
    two = Caller(caller.engine, version=2, context=caller.context, handle=caller.handle)
    assert refusal(two.ask(two.call(ECHO, seq=77))) == CTXPROBLEM  # RFC 5403 section 4


def test_tokens_that_are_garbage(
    caller: Caller, flavor: GssServer, log: pytest.LogCaptureFixture
) -> None:
    token, _ = Caller(caller.engine).leg()
    tokens = [b"", b"x", bytes(2000), token[:-20], token[:20], b"`" + token, token[1:]]
    for bad in tokens:
        log.clear()
        answer = Answer.of(caller.ask(caller.init(bad)))
        assert answer.major >> 16 and answer.handle == b"" and answer.token == b""
        assert answer.reply.verf_flavor == 0
        assert len(lines(log)) == 1
        assert token[-20:].hex() not in log.text and repr(token[-20:]) not in log.text
    for args in (b"", words(5), opaque(token) + words(0), opaque(token)[:-4]):
        record = header(credential(1), 0) + verifier(None) + args
        reply = caller.ask(record)
        assert reply is not None
        assert wire.parse_reply(reply).accept_stat == wire.GARBAGE_ARGS
    assert refusal(caller.ask(caller.init(token, handle=b"mine"))) == 1
    assert refusal(caller.ask(caller.init(token, proc=1))) == 1
    assert refusal(caller.ask(caller.call(b"", control=DESTROY, proc=1))) == 1
    assert len(flavor) == 1


def test_a_token_again(caller: Caller, flavor: GssServer) -> None:
    other = Caller(caller.engine)
    token, _ = other.leg()
    assert Answer.of(other.ask(other.init(token))).major == 0
    # On a connection it is a replay; a datagram that was sent again has the first one's answer.
    assert Answer.of(ask(other.engine, other.init(token), PEER_TCP, Connection())).major != 0
    third = Caller(caller.engine, peer=Peer("udp", ("192.0.2.3", 700)))
    token, _ = third.leg()
    first = third.ask(third.init(token))
    count = len(flavor)
    assert third.ask(third.init(token)) == first
    assert len(flavor) == count


PEER_TCP = Peer("tcp", ("192.0.2.7", 1))


def test_several_legs_and_another_in_between(engine: ServerEngine, flavor: GssServer) -> None:
    dce = [Flag.mutual_authentication, Flag.dce_style]
    mine = Caller(engine, flags=dce, connection=Connection())
    token, more = mine.leg()
    assert more
    begun = Answer.of(mine.ask(mine.init(token)))
    assert (begun.major, begun.reply.verf_flavor) == (1, 0)
    last, _ = mine.leg(begun.token)
    leg = mine.init(last, CONTINUE_INIT, begun.handle)
    # Somebody else has seen the handle.
    garbage = mine.init(b"garbage", CONTINUE_INIT, begun.handle)
    assert refusal(ask(engine, garbage, OTHER, Connection())) == CTXPROBLEM
    assert refusal(ask(engine, garbage, OTHER)) == CTXPROBLEM
    assert refusal(ask(engine, leg, OTHER, Connection())) == CTXPROBLEM
    assert refusal(mine.ask(mine.call(ECHO, handle=begun.handle, mic=bytes(28)))) == CTXPROBLEM
    done = Answer.of(mine.ask(leg))
    assert done.major == 0
    raw.verify_mic(mine.context, words(done.window), done.reply.verf_body)
    mine.handle = done.handle
    assert mine.opened(mine.ask(mine.call(ECHO, PRIVACY)), 2, PRIVACY) == ECHO
    assert refusal(mine.ask(leg)) == CTXPROBLEM
    # Garbage of one's own ends it.
    mine = Caller(engine, flags=dce)
    token, _ = mine.leg()
    begun = Answer.of(mine.ask(mine.init(token)))
    assert len(flavor) == 2
    assert Answer.of(mine.ask(mine.init(b"x", CONTINUE_INIT, begun.handle))).major >> 16
    assert len(flavor) == 1


def test_the_end_of_its_time(echo: Echo, kerberos: Realm, decoded: list[bytes]) -> None:
    now = [1000.0]
    engine = engine_for([echo])
    flavor = GssServer("nfs@localhost", max_age=60)
    add_flavor(engine, flavor)
    flavor.share(threading.Lock, lambda: now[0])
    caller = Caller(engine).open()
    now[0] += 59
    assert caller.opened(caller.ask(caller.call(ECHO)), 1) == ECHO
    now[0] += 1
    assert refusal(caller.ask(caller.call(ECHO))) == CTXPROBLEM
    assert len(flavor) == 0
    assert len(decoded) == 1
    # Between two legs.
    half = Caller(engine, flags=[Flag.mutual_authentication, Flag.dce_style])
    begun = Answer.of(half.ask(half.init(half.leg()[0])))
    now[0] += 31
    token, _ = half.leg(begun.token)
    assert refusal(half.ask(half.init(token, CONTINUE_INIT, begun.handle))) == CTXPROBLEM


def test_nobody_fills_the_table_at_anothers_cost(echo: Echo, kerberos: Realm) -> None:
    engine = engine_for([echo])
    flavor = GssServer("nfs@localhost", max_contexts=8, max_half_open=4)
    add_flavor(engine, flavor)
    kerberos.ticket(user="bob", ccache=f"FILE:{kerberos.directory}/bob")
    bob = Caller(engine)
    store = {b"ccache": f"FILE:{kerberos.directory}/bob".encode()}
    creds = raw.acquire_cred_from(store, None, usage="initiate").creds
    leg = bob.leg

    def as_bob(token: bytes | None = None) -> tuple[bytes, bool]:
        name = raw.import_name(b"nfs@localhost", raw.NameType.hostbased_service)
        done = raw.init_sec_context(name, creds, bob.context, flags=bob.flags, input_token=token)
        bob.context = done.context
        return done.token or b"", done.more_steps

    bob.leg = as_bob  # type: ignore[method-assign]
    bob.open()
    assert leg is not bob.leg
    assert bob.opened(bob.ask(bob.call(ECHO)), 1) == ECHO
    assert echo.calls[-1].credential.principal == "bob@RPC.TEST"
    # Who has proved nothing begins contexts, from many places and from one.
    dce = [Flag.mutual_authentication, Flag.dce_style]
    victim = Caller(engine, flags=dce, peer=OTHER)
    begun = Answer.of(victim.ask(victim.init(victim.leg()[0])))
    for number in range(20):
        other = Caller(engine, flags=dce)
        assert Answer.of(other.ask(other.init(other.leg()[0]))).major == 1
        assert Answer.of(other.ask(other.init(bytes([number])))).major != 0
    assert len(flavor) == 1 + 4
    assert bob.opened(bob.ask(bob.call(ECHO)), 2) == ECHO
    token, _ = victim.leg(begun.token)
    assert Answer.of(victim.ask(victim.init(token, CONTINUE_INIT, begun.handle))).major == 0
    # A user with a ticket makes as many as there is room for, and more.
    alices = [Caller(engine).open() for _ in range(30)]
    assert len(flavor) <= 8 + 4
    assert bob.opened(bob.ask(bob.call(ECHO)), 3) == ECHO
    assert refusal(alices[0].ask(alices[0].call(ECHO))) == CTXPROBLEM
    assert alices[-1].opened(alices[-1].ask(alices[-1].call(ECHO)), 1) == ECHO


# --- version 2 ----------------------------------------------------------------------------------


@pytest.fixture
def bound(engine: ServerEngine) -> Caller:
    """A context of version 2, over a connection, not yet bound."""
    return Caller(engine, version=2, connection=Connection()).open()


def answered(caller: Caller, record: bytes | None, seq: int, result: bytes, hashed: bytes) -> None:
    """Check the answer to RPCSEC_GSS_BIND_CHANNEL."""
    assert record is not None
    reply = wire.parse_reply(record)
    assert (reply.accept_stat, reply.verf_flavor, reply.results) == (0, RPCSEC_GSS, b"")
    assert reply.verf_body is not None and reply.verf_body.startswith(result)
    rest = reply.verf_body[len(result) :]
    mic = rest[4 : 4 + int.from_bytes(rest[:4])]
    raw.verify_mic(caller.context, words(seq) + opaque(hashed) + result, mic)


def test_version_2_calls(bound: Caller) -> None:
    for service in (NONE, INTEGRITY, PRIVACY):
        call = bound.call(ECHO, service)
        assert call[32:36] == words(2)
        assert bound.opened(bound.ask(call), bound.seq, service) == ECHO


def test_a_channel_is_bound(bound: Caller, echo: Echo) -> None:
    import hashlib

    hashed = hashlib.sha256(BINDINGS).digest()
    early = header(credential(0, 1, CHANNEL, bound.handle, 2), 1) + verifier(None) + ECHO
    assert refusal(bound.ask(early)) == CTXPROBLEM
    answered(bound, bound.ask(bound.binding(BINDINGS, 2)), 2, words(0), hashed)
    call = header(credential(0, 3, CHANNEL, bound.handle, 2), 1) + verifier(None) + ECHO
    record = bound.ask(call)
    assert record is not None
    reply = wire.parse_reply(record)
    assert (reply.verf_flavor, reply.verf_body, reply.results) == (0, b"", ECHO)
    assert echo.calls[-1].credential.service == "privacy"
    assert bound.ask(call) is None
    again = header(credential(0, 4, CHANNEL, bound.handle, 2), 1) + verifier(None) + ECHO
    assert refusal(ask(bound.engine, again, OTHER, Connection())) == CTXPROBLEM
    assert refusal(ask(bound.engine, again, OTHER)) == CTXPROBLEM


def test_another_channel(bound: Caller, decoded: list[bytes]) -> None:
    wrong = BINDINGS[:-1] + b"?"
    assert refusal(bound.ask(bound.binding(wrong, 1))) == CREDPROBLEM
    record = bound.ask(bound.binding(b"tls-unique:" + bytes(12), 2))
    pref = words(1, 1) + opaque(b"tls-server-end-point")
    import hashlib

    answered(bound, record, 2, pref, hashlib.sha256(BINDINGS).digest())
    record = bound.ask(bound.binding(BINDINGS, 3, oid=b"\x2b\x0e\x03\x02\x1a"))
    oids = [SHA256, SHA256[:-1] + b"\2", SHA256[:-1] + b"\3"]
    answered(bound, record, 3, words(2, 3) + b"".join(map(opaque, oids)), b"")
    head = header(credential(BIND_CHANNEL, 4, NONE, bound.handle, 2), 0)
    whole = bound.binding(BINDINGS, 4)[len(head) + 8 :]
    for size in range(0, 60, 4):
        assert refusal(bound.ask(head + verifier(whole[:size]))) == 3
    assert refusal(bound.ask(head + verifier(None))) == 3
    for seq in range(1, 6):
        early = header(credential(0, seq, CHANNEL, bound.handle, 2), 1) + verifier(None) + ECHO
        assert refusal(bound.ask(early)) == CTXPROBLEM
    assert decoded == []
