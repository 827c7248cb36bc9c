"""Calls and their plain replies: the native functions and Python's do the same, and what they
leave is done by the engine as ever."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver import errors, rpc, xdr
from rpcserver.auth import NoneClient, SysClient, SysCredential
from rpcserver.rpc import calls, pending
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.flavor import Auth, after_header
from rpcserver.rpc.message import parse_reply
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.record import RecordReader, frame
from rpcserver.xdr.codec import NATIVE
from tests.peers import wire
from tests.peers.wire import words
from tests.rpc.echo import ECHO_V2, PROG

needs_native = pytest.mark.skipif(not NATIVE, reason="there is no native codec")
SUCCESS = words(1, 0, 0, 0, 0)
ADDED = SUCCESS + words(3)
FRAMED = [
    frame(words(42) + ADDED),
    frame(words(43) + SUCCESS + wire.opaque(b"abcde")),
    frame(words(44) + ADDED),
    frame(words(99) + ADDED),  # nobody's
    frame(words(42) + SUCCESS + words(3, 4)),  # left over
    frame(words(43) + SUCCESS + words(9) + b"abc"),  # cut
    frame(words(42, 1, 0, 0, 0, 5)),  # SYSTEM_ERR
    frame(words(42, 1, 1, 1, 5)),  # AUTH_TOOWEAK
    frame(words(42, 1, 0, 9, 3) + b"abc\0" + words(0, 3)),  # a verifier
    frame(words(45) + SUCCESS + words(7)),  # a lenient call's
    frame(words(42, 0, 2, PROG, 2, 2, 0, 0, 0, 0)),  # a call
    frame(words(42) + ADDED, 9),  # in fragments
    frame(words(42, 1)),
    words(0x80000000),
    words(0),
]


def waiting() -> ClientEngine:
    """An engine whose calls 42 to 45 wait, the last one a lenient one."""
    engine = ClientEngine(NoneClient(), 41)
    engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    engine.begin(ECHO_V2, ECHO_V2.ECHO, ("x",))
    engine.begin(ECHO_V2, ECHO_V2.ADD, (3, 4))
    engine.begin(ECHO_V2, ECHO_V2.ADD, (5, 6), lenient=True)
    return engine


def outcome(call: PendingCall) -> object:
    error = call.error and (type(call.error), str(call.error))
    return call.xid, call.done, call.value, error


streams = st.lists(st.sampled_from(FRAMED) | st.binary(max_size=40)).map(b"".join)


@needs_native
@given(streams, st.integers(0, 60), st.sampled_from([1 << 20, 30, 10]))
def test_both_settle_the_same(stream: bytes, start: int, most: int) -> None:
    found = []
    for settle in (pending.settle_stream, pending.python_settle_stream):
        engine = waiting()
        everyone = list(engine._pending.values())
        end, ended = settle(engine._pending, stream, min(start, len(stream)), len(stream), most)
        found.append((end, [outcome(each) for each in ended], [*map(outcome, everyone)]))
        assert set(engine._pending) == {each.xid for each in everyone if not each.done}
    assert found[0] == found[1]


@needs_native
@given(st.sampled_from([each[4:] for each in FRAMED]) | st.binary(max_size=40))
def test_both_settle_the_same_record(record: bytes) -> None:
    found = []
    for settle in (pending.settle_record, pending.python_settle_record):
        engine = waiting()
        ended = settle(engine._pending, record)
        found.append((ended and outcome(ended), sorted(engine._pending)))
    assert found[0] == found[1]


def one_by_one(engine: ClientEngine, stream: bytes) -> tuple[list[object], list[bytes], bool]:
    """What becomes of replies that are all looked at in Python."""
    ended: list[object] = []
    made: list[bytes] = []
    reader = RecordReader(4000)
    try:
        for record in reader.feed(stream):
            if record[4:8] == words(0):
                made.append(record)
                continue
            reply = None
            try:
                reply = parse_reply(record)
            except errors.BadReply:
                pass
            if reply is not None and (call := engine._pending.pop(reply.xid, None)):
                engine._settle(call, reply)
                ended.append(outcome(call))
            elif call := engine.receive(record):
                ended.append(outcome(call))
    except errors.RecordError:
        return ended, made, True
    return ended, made, False


@given(streams, st.lists(st.integers(0, 200), max_size=5))
def test_a_stream_in_pieces_is_what_it_is_record_by_record(stream: bytes, cuts: list[int]) -> None:
    engine, broken = waiting(), False
    made: list[bytes] = []
    ended: list[PendingCall] = []
    everyone = list(engine._pending.values())
    reader, scratch = RecordReader(4000), memoryview(bytearray(1 << 17))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    try:
        for start, stop in pairwise(edges):
            room = reader.room(scratch)
            room[: stop - start] = stream[start:stop]
            reader.filled(stop - start)
            ended += engine.take(reader, made.append)
            scratch[:] = bytes(len(scratch))  # nothing points into it any more
    except errors.RecordError:
        broken = True
    wanted, wanted_made, wanted_broken = one_by_one(waiting(), stream)
    assert (made, broken) == (wanted_made, wanted_broken)
    assert {each.xid for each in everyone if each.done} == {each[0] for each in wanted}  # type: ignore[index]
    if not broken:
        assert [outcome(each) for each in ended] == wanted


@needs_native
@pytest.mark.parametrize("flavor", [NoneClient(), SysClient(SysCredential(1, 2, (3, 4), "box", 5))])
def test_both_begin_the_same(flavor: Any) -> None:
    engine = ClientEngine(flavor, 41)
    way = engine._way(ECHO_V2, ECHO_V2.ADD, flavor)
    for options in ((True, False, True), (False, True, False)):
        one = pending.begin_call(PendingCall, way, 2**32 - 1, (1, -1), *options)
        two = pending.python_begin_call(PendingCall, way, 2**32 - 1, (1, -1), *options)
        for name in ("xid", "message", "framed", "procedure", "resend", "lenient", "oneway"):
            assert getattr(one, name) == getattr(two, name), name
        assert one.framed == frame(one.message) and not one.done and one.error is None
    errors_of = []
    for begin in (pending.begin_call, pending.python_begin_call):
        with pytest.raises(errors.XdrError) as caught:
            begin(PendingCall, way, 1, (1, 2**40), False, False, False)
        errors_of.append(str(caught.value))
    assert errors_of[0] == errors_of[1]


@needs_native
def test_the_native_functions_check_what_they_get() -> None:
    engine = waiting()
    way = engine._way(ECHO_V2, ECHO_V2.ADD, engine.flavor)
    native: Any = pending
    wrong: list[Callable[[], object]] = [
        lambda: native.begin_call(),
        lambda: native.begin_call(int, way, 1, (1, 2), False, False, False),
        lambda: native.begin_call(PendingCall, way[:4], 1, (1, 2), False, False, False),
        lambda: native.begin_call(PendingCall, way, "1", (1, 2), False, False, False),
        lambda: native.settle_stream({}, b""),
        lambda: native.settle_stream([], b"", 0, 0, 0),
        lambda: native.settle_stream({}, "", 0, 0, 0),
        lambda: native.settle_record({}, ""),
        lambda: native.settle_record([], b""),
        lambda: native.Pending(1, ECHO_V2.ADD, "no bytes"),
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="within the data"):
        native.settle_stream({}, b"", 0, 10, 10)
    key = {42: "no call"}
    assert native.settle_stream(key, FRAMED[0], 0, len(FRAMED[0]), 100) == (0, [])


class Signing(SysClient):
    """A flavor that changes each call, below one that does not."""

    def protect(self, header: bytes, arguments: bytes) -> Any:
        return header + bytes(16) + arguments[::-1], self._opened

    def _opened(self, verifier: Auth, results: bytes) -> bytes:
        return results[::-1]


def test_a_flavor_that_has_to_see_each_call_sees_it() -> None:
    assert after_header(NoneClient()) == (bytes(16), None)
    assert after_header(Signing()) is None
    engine = ClientEngine(Signing(), 41)
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    assert call.message == wire.call(PROG, 2, 2, words(1, 2)[::-1], xid=42)
    assert engine.receive(words(42) + SUCCESS + words(7)[::-1]) is call
    assert call.result() == 7
    engine.flavor = NoneClient()  # and another one is asked what it does
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    assert call.message == wire.call(PROG, 2, 2, words(1, 2), xid=43)
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2), flavor=Signing())
    assert call.message == wire.call(PROG, 2, 2, words(1, 2)[::-1], xid=44)


def test_a_supplied_type_is_decoded_once() -> None:
    seen: list[int] = []

    def unpack(unpacker: Any) -> int:
        seen.append(unpacker.unpack_int())
        return seen[-1]

    mine = xdr.Custom("mine")
    mine.supply((lambda packer, value: packer.pack_int(value), unpack))

    class OWN(rpc.Version, prog=PROG, vers=2):
        ASK: rpc.Procedure[int] = rpc.Procedure(1, "ask", [mine], mine)

    engine = ClientEngine(NoneClient(), 41)
    call = engine.begin(OWN, OWN.ASK, (5,))
    assert engine.receive(words(42) + ADDED) is call
    assert call.result() == 3 and seen == [3]


def test_versions_made_as_one_goes_are_not_kept_without_end() -> None:
    engine = ClientEngine(NoneClient(), 0)
    for number in range(calls._MAX_WAYS + 10):

        class Asked(rpc.Version, prog=number + 1, vers=1):
            pass

        engine.make(Asked, ECHO_V2.WHO, ())
    assert len(engine._ways) <= calls._MAX_WAYS


class Growing(NoneClient):
    """A flavor that changes what it puts after the header when a verifier tells it to."""

    shown = bytes(16)

    def after_header(self, oneway: bool) -> Any:
        return (bytes(16) if oneway else self.shown), self._opened

    def protect(self, header: bytes, arguments: bytes) -> Any:
        return header + self.shown + arguments, self._opened

    def refused(self, stat: int) -> bool:
        self.shown = bytes(16)
        return True

    def _opened(self, verifier: Auth, results: bytes) -> bytes:
        if verifier.flavor:
            self.shown = words(verifier.flavor, 4, 7, 0, 0)
        return results


@pytest.mark.parametrize("begin", [pending.begin_call, pending.python_begin_call])
def test_a_flavor_that_was_handed_out_something_uses_it(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "begin_call", begin)
    engine = ClientEngine(Growing(), 41)
    for xid, plain in ((42, True), (43, False)):
        call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
        assert call.message == wire.call(PROG, 2, 2, words(1, 2), xid=xid)
        verifier = words(0, 0) if plain else words(9, 0)
        assert engine.receive(words(xid, 1, 0) + verifier + words(0, 3)) is call
        assert call.result() == 3
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    head = wire.call(PROG, 2, 2, b"", xid=44)[:24]
    assert call.message == head + words(9, 4, 7, 0, 0) + words(1, 2)
    alone = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2), oneway=True)
    assert alone.message == wire.call(PROG, 2, 2, words(1, 2), xid=45) and alone.oneway
    assert engine.renewed(call) is None, "nobody refused it"
    assert engine.receive(words(44, 1, 1, 1, 2)) is call
    again = engine.renewed(call)
    assert again is not None
    assert again.message == wire.call(PROG, 2, 2, words(1, 2), xid=46)
    engine.again(again)
    assert engine.receive(words(46) + ADDED) is again and again.result() == 3
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    assert call.message == wire.call(PROG, 2, 2, words(1, 2), xid=47)


def test_a_call_that_is_protected_is_made_anew_from_what_was_not() -> None:
    engine = ClientEngine(Signing(), 41)
    engine.flavor.refused = lambda stat: True  # type: ignore[method-assign]
    call = engine.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    engine.receive(words(42, 1, 1, 1, 2))
    again = engine.renewed(call)
    assert again is not None
    assert again.message == wire.call(PROG, 2, 2, words(1, 2)[::-1], xid=43)
    assert again.arguments == words(1, 2)
