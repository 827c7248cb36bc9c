"""Plain calls in Python and in C: the same replies, and the same is left to others."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver import rpc, xdr
from rpcserver.auth import SysCredential, server_flavors
from rpcserver.errors import AuthError, NoReply, ProcUnavail
from rpcserver.rpc import dispatch
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.plain import SLOW, About, PlainCalls, PythonPlainCalls
from rpcserver.servers.child import InChild, in_child
from rpcserver.xdr.codec import NATIVE
from tests.peers.wire import auth_sys, opaque, words

PROG = 0x20000410
KINDS: list[Any] = [PythonPlainCalls, PlainCalls] if NATIVE else [PythonPlainCalls]
PEER = rpc.Peer("tcp", ("192.0.2.1", 700))
CONNECTION = rpc.Connection()
FAR = 1e9  # no time is after it
SYS = words(1) + opaque(auth_sys(uid=7)) + words(0, 0)
WHO = SysCredential(7, 7)

both = pytest.mark.parametrize("kind", KINDS)
native_too = pytest.mark.skipif(not NATIVE, reason="there is no native one to compare with")


class PLAIN_V1(rpc.Version, prog=PROG, vers=1):
    ECHO: rpc.Procedure[bytes] = rpc.Procedure(1, "echo", [xdr.Opaque()], xdr.Opaque())
    ADD: rpc.Procedure[int] = rpc.Procedure(2, "add", [xdr.Int, xdr.Int], xdr.Int)
    ODD: rpc.Procedure[str] = rpc.Procedure(3, "odd", [xdr.UnsignedInt], xdr.String(8))
    TELL: rpc.Procedure[None] = rpc.Procedure(4, "tell", [xdr.Int], xdr.Void)
    WAIT: rpc.Procedure[None] = rpc.Procedure(5, "wait", [], xdr.Void)
    COME: rpc.Procedure[None] = rpc.Procedure(6, "come", [], xdr.Void)
    IDLE: rpc.Procedure[None] = rpc.Procedure(7, "idle", [], xdr.Void)


class RefusedHereError(ProcUnavail):
    """A refusal of the service's own."""


class Plain(rpc.Service, version=PLAIN_V1):
    def __init__(self) -> None:
        self.calls: list[rpc.Call] = []
        self.work: Callable[[], object] = lambda: None

    def echo(self, call: rpc.Call, data: bytes) -> bytes:
        self.calls.append(call)
        return data

    def add(self, call: rpc.Call, a: int, b: int) -> int:
        return a + b

    def odd(self, call: rpc.Call, how: int) -> Any:
        """Do what is rare."""
        outcomes: list[Callable[[], Any]] = [
            lambda: "fine",
            lambda: 5,
            lambda: None,
            lambda: "too long for it",
            lambda: in_child(str, how),
            lambda: _Later(),
            lambda: "\udc80",
        ]
        errors = (KeyError("k"), ProcUnavail(), AuthError(5), NoReply(), RefusedHereError("no"))
        if how < len(outcomes):
            return outcomes[how]()
        raise errors[(how - len(outcomes)) % len(errors)]

    @rpc.oneway
    def tell(self, call: rpc.Call, how: int) -> Any:
        if how < 0:
            raise ValueError(how)
        return "nothing" if how > 9 else None

    @rpc.blocking
    def wait(self, call: rpc.Call) -> None:
        return None

    async def come(self, call: rpc.Call) -> None:
        return None

    def idle(self, call: rpc.Call) -> None:
        self.work()


class _Later:
    def __await__(self) -> Iterator[Any]:
        yield


class Clock:
    """Seconds that go by when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """An engine with plain calls of one kind, and the stream that is given to them."""

    def __init__(
        self,
        kind: Any,
        *,
        trailing: bool = False,
        flavors: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = Plain()
        self.engine = ServerEngine(
            [self.service], server_flavors() if flavors is None else flavors, clock
        )
        self.engine.trailing_arguments = trailing
        with mock.patch.object(dispatch, "PlainCalls", kind):
            self.plain = self.engine.plain
        assert type(self.plain) is kind

    def told(self, data: bytes, about: About, until: float = FAR) -> list[Any]:
        """All that came of ``data``, with what is not plain left out."""
        position = 0
        seen: list[Any] = []
        while True:
            before = position
            position, replies, ran = self.plain.answer(data, position, len(data), about, until)
            seen.append((position, joined(replies), comparable(ran)))
            if ran is None and position == before:
                size = int.from_bytes(data[position : position + 4]) & 0x7FFFFFFF
                record = data[position + 4 : position + 4 + size]
                one = self.plain.answer_one(record, about, False)
                seen.append(comparable(one) if isinstance(one, tuple) else joined(one))
                position += 4 + size
                if position >= len(data):
                    return seen

    @property
    def counted(self) -> list[Any]:
        counts = self.engine.counters.counts()
        return [replace(each, seconds=0.0) for each in counts]


def joined(replies: Any) -> bytes | None:
    return b"".join(replies) if isinstance(replies, list) else replies


def comparable(ran: Any) -> Any:
    if ran is None:
        return None
    entry, call, arguments, result, error, begun = ran
    assert isinstance(begun, float)
    plain_result = result if isinstance(result, (str, int, type(None))) else type(result)
    return entry.row, call[:-1], arguments, plain_result, type(error), str(error)


def about_of(credential: Any = None, known: bytes | None = None, limit: Any = None) -> About:
    about = About(PEER, CONNECTION, limit)
    return about if known is None else about._replace(credential=credential, known=known)


def call(proc: int, args: bytes = b"", xid: int = 1, auth: bytes = bytes(16), **more: int) -> bytes:
    fields = {"mtype": 0, "rpcvers": 2, "prog": PROG, "vers": 1} | more
    return words(xid, *fields.values(), proc) + auth + args


def record(message: bytes) -> bytes:
    return words(0x80000000 | len(message)) + message


# --- the one like the other -------------------------------------------------------------------

ABOUTS = [about_of(), about_of(WHO, SYS), about_of(WHO, SYS, 5.0), about_of(None, SYS)]

bodies = st.one_of(
    st.tuples(st.just(0), st.just(b"")),
    st.tuples(st.just(1), st.binary(max_size=40).map(opaque)),
    st.tuples(
        st.just(2), st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(lambda n: words(*n))
    ),
    st.tuples(st.just(3), st.integers(0, 12).map(words)),
    st.tuples(st.just(4), st.integers(-2, 12).map(words)),
    st.tuples(st.sampled_from([5, 6, 7, 99]), st.just(b"")),
    st.tuples(st.integers(0, 8), st.binary(max_size=24)),
)
auths = st.sampled_from(
    [
        *[bytes(16)] * 6,
        *[SYS] * 3,
        words(1) + opaque(auth_sys(uid=8)) + words(0, 0),
        SYS[:-4] + words(4) + b"good",
        words(0, 0, 6, 0),
        words(5, 0, 0, 0),
        SYS[:20],
        b"",
    ]
)
rare = st.sampled_from([{"mtype": 1}, {"rpcvers": 3}, {"prog": PROG + 1}, {"vers": 2}])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    proc, args = draw(bodies)
    more = draw(rare) if draw(st.integers(0, 4)) == 0 else {}
    return call(proc, args, draw(st.integers(0, 2**32 - 1)), draw(auths), **more)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    message = draw(messages())
    match draw(st.integers(0, 12)):
        case 0:  # in two fragments
            at = draw(st.integers(0, len(message)))
            return words(at) + message[:at] + record(message[at:])
        case 1:  # the wrong size
            return words(0x80000000 | draw(st.integers(0, 90))) + message
        case 2:
            return words(draw(st.sampled_from([0xFFFFFFFF, 0x7FFFFFFF, 0, 0x80000000]))) + message
        case 3:  # several of a kind
            return record(message) * draw(st.integers(2, 5))
    return record(message)


@native_too
@settings(max_examples=400, deadline=None)
@given(
    st.lists(records(), max_size=12),
    st.integers(0, 60),
    st.sampled_from(ABOUTS),
    st.booleans(),
    st.booleans(),
)
def test_python_and_c_do_the_same(
    stream: list[bytes], cut: int, about: About, trailing: bool, none: bool
) -> None:
    data = b"".join(stream)
    data = data[: len(data) - min(cut, len(data))] if cut < 50 else data
    flavors = [each for each in server_flavors() if none or each.flavor]
    python, native = (Engine(kind, trailing=trailing, flavors=flavors) for kind in KINDS)
    assert python.told(data, about) == native.told(data, about)
    assert python.counted == native.counted
    fields = [each[:-1] for each in python.service.calls]
    assert fields == [each[:-1] for each in native.service.calls]
    limited = [each.deadline is None for each in python.service.calls]
    assert limited == [each.deadline is None for each in native.service.calls]


@native_too
@pytest.mark.parametrize("auth", [bytes(16), SYS], ids=["NONE", "SYS"])
def test_a_stream_cut_off_anywhere(auth: bytes) -> None:
    parts = [call(0, b"", 1, auth), call(1, opaque(b"abcde"), 2, auth), call(2, words(1, 2), 3)]
    data = b"".join(map(record, parts))
    python, native = map(Engine, KINDS)
    for end in range(len(data) + 1):
        for start in (0, 44, 48):
            seen = [
                (at, joined(replies), ran)
                for at, replies, ran in (
                    each.plain.answer(memoryview(data), min(start, end), end, ABOUTS[1], FAR)
                    for each in (python, native)
                )
            ]
            assert seen[0] == seen[1]
    for record_end in range(len(parts[1]) + 1):
        pieces = [
            e.plain.answer_one(parts[1][:record_end], ABOUTS[1], True) for e in (python, native)
        ]
        assert pieces[0] == pieces[1]
    assert python.counted == native.counted


@native_too
@pytest.mark.parametrize(
    "mixed",
    [
        record(call(0)) * 3000,
        record(call(1, opaque(bytes(100)))) * 700,
        (record(call(0)) + record(call(2, words(1, 2)))) * 1300,
        record(call(1, opaque(bytes(50_000)))) + record(call(0)) * 900,
        record(call(1, opaque(bytes(200_000)))) * 2 + record(call(0)),
    ],
    ids=["NULL", "echo", "both", "large before small", "large"],
)
def test_both_stop_where_there_is_a_batch(mixed: bytes) -> None:
    python, native = map(Engine, KINDS)
    assert python.told(mixed, about_of()) == native.told(mixed, about_of())
    assert python.counted == native.counted


NULL, ADD = call(0), call(2, words(1, 2))


@native_too
@pytest.mark.parametrize(
    "data",
    [
        record(NULL) + words(40) + NULL + record(NULL),
        record(NULL) + words(0x80000000 | 41) + NULL + record(NULL),
        record(NULL) + record(NULL + words(1)) + record(NULL),
        record(ADD) + words(48) + ADD + record(NULL),
        record(ADD) + record(ADD + words(1)) + record(ADD),
        record(ADD) + record(ADD + words(1, 2, 3))[:-4],
        record(ADD) + record(ADD)[:-4],
        record(ADD) + record(call(2, words(1, 2), auth=SYS)) + record(ADD),
        record(ADD) + record(call(2, words(1, 2), vers=2)) + record(ADD),
        record(NULL) + record(call(0, vers=2)) + record(NULL),
        record(call(0, auth=SYS)) * 2 + record(NULL),
        record(call(0, auth=SYS))[:-8] + record(NULL),
        record(call(4, words(1))) * 3 + record(NULL),
    ],
)
@pytest.mark.parametrize("trailing", [False, True])
def test_unusual_neighbours(data: bytes, trailing: bool) -> None:
    python, native = (Engine(kind, trailing=trailing) for kind in KINDS)
    assert python.told(data, ABOUTS[1]) == native.told(data, ABOUTS[1])
    assert python.counted == native.counted


# --- each by itself ---------------------------------------------------------------------------


@both
def test_replies_and_what_is_left(kind: Any) -> None:
    engine = Engine(kind)
    good = record(call(0, xid=5)) + record(call(1, opaque(b"abc"), xid=6)) + record(call(7, xid=7))
    data = b"????" + good + record(call(99))
    position, replies, ran = engine.plain.answer(bytearray(data), 4, len(data), about_of(), FAR)
    assert (position, ran) == (4 + len(good), None)
    assert joined(replies) == b"".join(
        record(words(xid, 1, 0, 0, 0, 0) + results)
        for xid, results in ((5, b""), (6, opaque(b"abc")), (7, b""))
    )
    assert [(each.proc, each.outcomes) for each in engine.counted] == [
        (proc, {"SUCCESS": 1}) for proc in (0, 1, 7)
    ]


@both
def test_a_record_by_itself(kind: Any) -> None:
    plain = Engine(kind).plain
    reply = words(1, 1, 0, 0, 0, 0)
    assert plain.answer_one(call(0), about_of(), False) == reply
    assert plain.answer_one(bytearray(call(0)), about_of(), True) == record(reply)
    assert plain.answer_one(call(4, words(1)), about_of(), True) == b""
    assert plain.answer_one(call(99), about_of(), True) is None
    for marked in (False, True):
        large = joined(plain.answer_one(call(1, opaque(bytes(1 << 20))), about_of(), marked))
        expected = reply + opaque(bytes(1 << 20))
        assert large == (record(expected) if marked else expected)


@both
def test_large_results_come_in_parts(kind: Any) -> None:
    data = record(call(1, opaque(bytes(100_000))))
    _, replies, _ = Engine(kind).plain.answer(data, 0, len(data), about_of(), FAR)
    assert isinstance(replies, list) and len(replies) < 10
    assert joined(replies) == record(words(1, 1, 0, 0, 0, 0) + opaque(bytes(100_000)))


@both
def test_what_comes_out_of_a_rare_method_is_for_others(kind: Any) -> None:
    engine = Engine(kind)
    for how, expected in enumerate([None, 5, None, "too long for it", InChild, _Later]):
        data = record(call(0)) + record(call(3, words(how), xid=9)) + record(call(0))
        position, replies, ran = engine.plain.answer(data, 0, len(data), about_of(), FAR)
        assert position == 44 + 48 + (44 if how == 0 else 0)
        assert len(joined(replies) or b"") == 28 + (36 + 28 if how == 0 else 0)
        if how == 0:
            assert ran is None
            continue
        assert ran is not None
        _, about, arguments, result, error, _ = ran
        assert (about.xid, arguments, error) == (9, (how,), None)
        assert result == expected or type(result) is expected
    for how in range(7, 12):
        data = record(call(3, words(how)))
        _, replies, ran = engine.plain.answer(data, 0, len(data), about_of(), FAR)
        assert not replies and ran is not None and ran[4] is not None
        with pytest.raises(type(ran[4])) as raised:
            engine.engine.resume(ran).run()
        assert raised.traceback[-1].name == "odd"


@both
def test_a_oneway_call_that_fails_is_for_others_too(kind: Any) -> None:
    engine = Engine(kind)
    for how in (-1, 10):
        ran = engine.plain.answer_one(call(4, words(how)), about_of(), True)
        assert isinstance(ran, tuple)
        invocation = engine.engine.resume(ran)
        try:
            reply = invocation.reply(invocation.run())
        except ValueError as error:
            reply = invocation.fail(error)
        assert reply is None
    assert engine.counted[0].outcomes == {"SYSTEM_ERR": 2}


@both
def test_what_a_method_is_told(kind: Any) -> None:
    engine = Engine(kind)
    about = about_of(WHO, SYS, 5.0)
    before = time.monotonic()
    data = b"".join(
        record(call(1, opaque(b""), xid, auth))
        for xid, auth in ((3, SYS), (4, SYS), (5, bytes(16)))
    )
    assert engine.plain.answer(data, 0, len(data), about, FAR)[0] == len(data)
    calls = engine.service.calls
    # Those that were kept are not changed by those that came later.
    assert [each.xid for each in calls] == [3, 4, 5]
    assert [each.credential for each in calls] == [WHO, WHO, None]
    for each in calls:
        assert type(each) is rpc.Call
        assert (each.peer, each.connection) == (PEER, CONNECTION)
        assert (each.version, each.procedure) == (PLAIN_V1, PLAIN_V1.ECHO)
        assert each.deadline is not None and before + 5 <= each.deadline <= time.monotonic() + 5
    data = record(call(1, opaque(b"")))
    engine.plain.answer(data, 0, len(data), about_of(), FAR)
    assert calls[-1].deadline is None


@both
def test_the_time_is_over_after_one(kind: Any) -> None:
    data = record(call(2, words(1, 2))) * 5
    position, replies, _ = Engine(kind).plain.answer(data, 0, len(data), about_of(), 0.0)
    assert (position, len(joined(replies) or b"")) == (len(data) // 5, 32)


@both
def test_a_slow_method_is_for_others(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(kind)
    until = time.monotonic() + SLOW + 0.01

    def work() -> None:
        while time.monotonic() < until:
            pass

    engine.service.work = work
    data = record(call(2, words(1, 2))) + record(call(7, xid=8)) + record(call(0))
    position, replies, ran = engine.plain.answer(data, 0, len(data), about_of(), FAR)
    assert position == len(data) - 44
    assert len(joined(replies) or b"") == 32
    assert ran is not None
    assert (ran[1].xid, ran[3], ran[4]) == (8, None, None)
    assert until - SLOW - 0.02 < ran[5] < until - SLOW
    assert len(engine.counted) == 1  # others count it


def test_times_by_the_clock_that_was_given() -> None:
    clock = Clock()
    engine = Engine(PythonPlainCalls, clock=clock)

    def work() -> None:
        clock.now += 0.0625

    engine.service.work = work
    data = record(call(7)) * 4
    assert engine.plain.answer(data, 0, len(data), about_of(), FAR)[0] == len(data)
    (count,) = engine.engine.counters.counts()
    assert (count.calls, count.seconds) == (4, 0.25)
    position, _, _ = engine.plain.answer(data, 0, len(data), about_of(), clock.now + 0.1)
    assert position == len(data) // 2
    clock.now = 200.0
    engine.service.work = lambda: setattr(clock, "now", 200.0 + 2 * SLOW)
    _, _, ran = engine.plain.answer(data, 0, len(data), about_of(), FAR)
    assert ran is not None and ran[5] == 200.0
    invocation = engine.engine.resume(ran)
    assert isinstance(invocation, Invocation) and invocation.begun == 200.0


@both
def test_settings(kind: Any) -> None:
    for trailing in (False, True):
        plain = Engine(kind, trailing=trailing).plain
        for proc, args in ((0, b""), (2, words(1, 2))):
            reply = plain.answer_one(call(proc, args + words(0)), about_of(), True)
            assert (reply is not None) == trailing
    no_none = Engine(kind, flavors=[each for each in server_flavors() if each.flavor]).plain
    assert no_none.answer_one(call(0), about_of(), True) is None
    assert no_none.answer_one(call(0, auth=SYS), about_of(WHO, SYS), True)
    for proc in (5, 6):  # a blocking one, and a coroutine
        assert Engine(kind).plain.answer_one(call(proc), about_of(), True) is None


@native_too
def test_damaged_streams_of_calls() -> None:
    from fuzz.calls import run

    assert not run(seed=1, seconds=1)
