"""The reply cache: what it knows of a call, what it forgets, and whom it belongs to."""

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rpcserver
from rpcserver import errors, rpc
from rpcserver.auth import SysCredential, server_flavors
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.once import Duplicate
from rpcserver.rpc.replycache import MIN_SIZE, Claim, Known, ReplyCache
from rpcserver.servers.shared import ProcessLock, is_alive, shared_memory
from tests.peers import wire
from tests.rpc.echo import ECHO_V2, PROG, Echo

WAYS = 8


def cache(**options: Any) -> ReplyCache:
    return ReplyCache(shared_memory(MIN_SIZE), 100.0, **options)


def new(replies: ReplyCache, key: bytes, now: float = 0.0) -> Claim:
    claim = replies.claim(key, now)
    assert isinstance(claim, Claim)
    return claim


def in_one_bucket(replies: ReplyCache, count: int) -> list[bytes]:
    """Keys that meet."""
    found: dict[int, list[bytes]] = {}
    number = 0
    while True:
        key = replies.key(b"", number.to_bytes(8))
        others = found.setdefault(int.from_bytes(key[:8]) % replies._buckets, [])
        others.append(key)
        if len(others) == count:
            return others
        number += 1


step = st.tuples(
    st.sampled_from(["claim", "finish", "abandon", "look", "wait"]),
    st.integers(0, WAYS - 2),
    st.integers(1, 14_000),
)


@given(st.lists(step, max_size=60))
def test_it_is_what_a_dictionary_would_be(steps: list[tuple[str, int, int]]) -> None:
    replies, now, head = cache(), 0.0, 0
    keys = [replies.key(b"somebody", bytes([n])) for n in range(WAYS)]
    running: dict[int, Claim] = {}
    known: dict[int, tuple[float, int, bytes]] = {}  # since when, position, outcome

    def expected(which: int) -> Any:
        if which in running:
            return Known.RUNNING
        if which not in known or now - known[which][0] > replies.max_age:
            return None
        _, position, outcome = known[which]
        gone = len(outcome) > replies.max_outcome or head - position > replies._room
        return Known.LOST if gone else outcome

    for what, which, number in steps:
        key, wanted = keys[which], expected(which)
        if what == "claim":
            found = replies.claim(key, now)
            if wanted is None:
                assert isinstance(found, Claim)
                running[which] = found
                known.pop(which, None)
            else:
                assert found == wanted
        elif what == "look":
            assert replies.look(key, now) == wanted
        elif what == "wait":
            now += number / 200
        elif which in running:
            claim = running.pop(which)
            if what == "finish":
                outcome = bytes([which]) * number
                claim.finish(outcome, now)
                known[which] = now, head, outcome
                head += number if number <= replies.max_outcome else 0
            else:
                claim.abandon()


def test_the_oldest_outcome_leaves_first_and_what_runs_never() -> None:
    replies = cache()
    *keys, ninth, tenth = in_one_bucket(replies, WAYS + 2)
    claims = [new(replies, key) for key in keys]
    assert replies.claim(ninth, 1e9) is Known.FULL
    assert replies.counts()["full"] == 1
    assert replies.look(ninth, 0.0) is None
    claims[3].finish(b"three", 2.0)
    claims[5].finish(b"five", 1.0)
    new(replies, ninth, 3.0)
    assert replies.look(keys[5], 3.0) is None
    assert replies.look(keys[3], 3.0) == b"three"
    new(replies, tenth, 3.0)
    assert replies.claim(keys[3], 3.0) is Known.FULL
    for key in (*keys[:3], keys[4], *keys[6:], ninth, tenth):
        assert replies.claim(key, 1e9) is Known.RUNNING


def test_calls_of_a_process_that_is_gone() -> None:
    there = True
    replies = cache(is_alive=lambda pid: there)
    replies.share(ProcessLock(), processes=True)
    gone, *keys, ninth = in_one_bucket(replies, WAYS + 1)
    in_child(lambda: new(replies, gone))
    claims = [new(replies, key) for key in keys]
    assert replies.claim(gone, 500.0) is Known.RUNNING  # as far as anybody knows
    there = False
    assert replies.claim(gone, 1.0) is Known.LOST  # it may have run
    assert replies.claim(ninth, 99.0) is Known.FULL  # until nobody asks for it any more
    new(replies, ninth, 101.0).finish(b"in its place", 101.0)
    assert replies.look(gone, 101.0) is None
    assert [replies.look(key, 101.0) for key in keys] == [Known.RUNNING] * len(claims)


def in_child(function: Callable[[], object]) -> None:
    """Call it in a process that ends then."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_outcomes_are_whole_or_lost() -> None:
    """Round and round, over the end of the ring; each is there until the room is used up."""
    replies = cache()
    size = replies.max_outcome - 1
    for number in range(40):
        key = replies.key(b"", bytes([number]))
        new(replies, key).finish(bytes([number]) * size, 0.0)
        assert replies.look(key, 0.0) == bytes([number]) * size
        if number >= 4:
            assert replies.look(replies.key(b"", bytes([number - 4])), 0.0) is Known.LOST
            assert replies.look(replies.key(b"", bytes([number - 3])), 0.0)
    new(replies, b"k" * 16).finish(bytes(size + 2), 0.0)
    assert replies.claim(b"k" * 16, 0.0) is Known.LOST
    assert len(replies._memory) == MIN_SIZE


def test_too_small() -> None:
    with pytest.raises(errors.UsageError):
        ReplyCache(shared_memory(MIN_SIZE - 1))


def test_nobody_can_foresee_the_keys() -> None:
    assert cache().key(b"a", b"b") != cache().key(b"a", b"b")
    one = cache()
    assert one.key(b"a", b"b") == one.key(b"a", b"b")
    assert one.key(b"ab", b"c") != one.key(b"a", b"bc")


def test_two_processes_and_their_threads_claim_each_call_once() -> None:
    memory = shared_memory(16 * MIN_SIZE)  # with a place for each
    replies = ReplyCache(memory, 100.0, is_alive)
    replies.share(ProcessLock(), processes=True)
    reading, writing = os.pipe()
    keys = [replies.key(b"", n.to_bytes(2)) for n in range(200)]

    def claim_all() -> None:
        for key in keys:
            claim = replies.claim(key, 0.0)
            if isinstance(claim, Claim):
                os.write(writing, key)
                claim.finish(key + b"!", 0.0)
            else:
                assert claim is Known.RUNNING or claim == key + b"!"

    pid = os.fork()
    status = 1
    try:
        threads = [threading.Thread(target=claim_all) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        status = 0
    finally:
        if pid == 0:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        claimed = pipe.read()
    found = [claimed[at : at + 16] for at in range(0, len(claimed), 16)]
    assert sorted(found) == sorted(keys)
    assert [replies.look(key, 0.0) for key in keys] == [key + b"!" for key in keys]


def test_a_child_takes_a_call_over() -> None:
    replies = cache(is_alive=is_alive)
    replies.share(ProcessLock(), processes=True)
    finished, killed = (new(replies, replies.key(b"", each)) for each in (b"1", b"2"))

    def run() -> None:
        finished.take_over()
        finished.finish(b"by the child", 0.0)
        killed.take_over()

    in_child(run)
    assert replies.look(replies.key(b"", b"1"), 0.0) == b"by the child"
    assert replies.look(replies.key(b"", b"2"), 0.0) is Known.LOST


# --- in the engine ------------------------------------------------------------------------------


class Counting(Echo):
    """It counts, which nobody can do twice and get the same."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = 0

    def add(self, call: rpc.Call, a: int, b: int) -> int:
        self.counted += 1
        return a + self.counted

    @rpcserver.idempotent
    def who(self, call: rpc.Call) -> str:
        self.counted += 1
        return str(self.counted)

    def fail(self, call: rpc.Call, how: int) -> Any:
        self.counted += 1
        if how == 9:
            raise errors.NoReply
        if how == 8:
            raise errors.ProgMismatch(self.counted, 7)
        return super().fail(call, how)


HOST = Peer("udp", ("192.0.2.1", 700))
OTHER_PORT = Peer("udp", ("192.0.2.1", 701))
OTHER_HOST = Peer("udp", ("192.0.2.2", 700))
TCP = Peer("tcp", ("192.0.2.1", 700))
SYS = SysCredential(1, 1, stamp=5).pack()
OTHER_STAMP = SysCredential(1, 1, stamp=6).pack()


class Engine:
    def __init__(self) -> None:
        self.service = Counting()
        self.engine = ServerEngine([self.service], server_flavors())
        self.replies = self.engine.replies = ReplyCache(shared_memory(MIN_SIZE))

    def begin(
        self, record: bytes, peer: Peer = HOST, connection: Connection | None = None, now: float = 0
    ) -> Any:
        return self.engine.begin(record, peer, connection, now, None, True)

    def answer(self, *call: Any, **options: Any) -> bytes | None:
        outcome = self.begin(*call, **options)
        if not isinstance(outcome, Invocation):
            return outcome  # type: ignore[no-any-return]
        assert not isinstance(outcome, Duplicate)
        try:
            return outcome.reply(outcome.run())
        except Exception as error:  # noqa: BLE001  as the faces do it
            return outcome.fail(error)


def call(proc: int = 2, *numbers: int, xid: int = 1, sys: bytes | None = None) -> bytes:
    args = wire.words(*(numbers or (10, 0) if proc == 2 else numbers))
    flavor = {} if sys is None else {"flavor": 1, "body": sys}
    return wire.call(PROG, 2, proc, args, xid=xid, **flavor)  # type: ignore[arg-type]


def test_a_datagram_that_comes_again_is_answered_and_does_not_run_again() -> None:
    engine = Engine()
    first = engine.answer(call())
    assert first is not None and engine.answer(call()) == first
    assert engine.service.counted == 1
    counts = engine.replies.counts()
    assert counts == {"answered": 1, "dropped": 0, "lost": 0, "full": 0}
    assert sum(each.calls for each in engine.engine.counters.counts()) == 1


@pytest.mark.parametrize(
    ("record", "peer"),
    [
        (call(xid=2), HOST),
        (call(2, 11, 0), HOST),
        (call(sys=SYS), HOST),
        (call(), OTHER_PORT),
        (call(), OTHER_HOST),
        (call(), Peer("unixgram", "/a/path")),
    ],
)
def test_another_call_is_another_call(record: bytes, peer: Peer) -> None:
    engine = Engine()
    engine.answer(call())
    engine.answer(record, peer)
    assert engine.service.counted == 2


@pytest.mark.parametrize("how", [0, 1, 2, 3, 8, 9])
def test_whatever_became_of_it(how: int) -> None:
    """A mistake of the method's, a refusal of either kind, a wrong result, and silence."""
    engine = Engine()
    first = engine.answer(call(4, how))
    second = engine.answer(call(4, how))
    assert first == second and engine.service.counted == 1
    assert (first is None) == (how == 9)


def test_while_it_runs_a_datagram_that_comes_again_is_dropped() -> None:
    engine = Engine()
    running = engine.begin(call())
    assert engine.begin(call()) is None
    assert engine.replies.counts()["dropped"] == 1
    running.reply(running.run())
    assert engine.answer(call()) is not None
    assert engine.service.counted == 1


def test_idempotent_calls_and_null_leave_it_alone() -> None:
    engine = Engine()
    assert engine.answer(call(3)) != engine.answer(call(3))
    engine.answer(call(0))
    engine.answer(call(0))
    assert set(engine.replies.counts().values()) == {0}
    assert not any(engine.replies._memory)


def test_a_call_that_will_not_run_is_forgotten() -> None:
    engine = Engine()
    waiting = engine.begin(call())
    waiting.abandon()
    assert engine.answer(call()) is not None
    running = engine.begin(call(xid=2))
    running.run()
    running.abandon()
    assert engine.begin(call(xid=2)) is None  # it runs


def test_over_connections_a_credential_must_tell_clients_apart() -> None:
    engine = Engine()
    one, two = Connection(), Connection()
    reconnected = Peer("tcp", ("192.0.2.1", 999))

    def counted(record: bytes, peer: Peer, connection: Connection) -> int:
        engine.answer(record, peer, connection)
        return engine.service.counted

    assert counted(call(), TCP, one) == 1
    assert counted(call(), TCP, one) == 1
    assert counted(call(), reconnected, two) == 2  # AUTH_NONE
    assert counted(call(sys=SYS), TCP, one) == 3
    assert counted(call(sys=SYS), reconnected, two) == 3
    assert counted(call(sys=OTHER_STAMP), reconnected, two) == 4
    assert counted(call(sys=SYS), Peer("tcp", ("192.0.2.2", 999)), two) == 5


def test_over_another_connection_it_waits_while_the_first_runs() -> None:
    engine = Engine()
    record = call(sys=SYS)
    running = engine.begin(record, TCP, Connection())
    waiting = engine.begin(record, TCP, Connection())
    assert isinstance(waiting, Duplicate) and waiting.blocking and not waiting.known
    assert not waiting.look(1.0)
    reply = running.reply(running.run())
    assert waiting.look(2.0)
    assert waiting.reply(waiting.run()) == reply
    assert engine.service.counted == 1


def test_it_does_not_wait_for_ever() -> None:
    engine = Engine()
    record = call(sys=SYS)
    engine.begin(record, TCP, Connection())
    waiting = engine.begin(record, TCP, Connection())
    assert waiting.look(engine.replies.max_age)
    assert waiting.reply(waiting.run()) is None
    assert engine.replies.counts()["dropped"] == 1


def test_a_reply_that_is_lost_is_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    running = engine.begin(call())
    running.run()
    running.claim.finish(bytes(engine.replies.max_outcome + 1), 0.0)
    reply = engine.begin(call())
    assert wire.parse_reply(reply).accept_stat == wire.SYSTEM_ERR
    assert engine.service.counted == 1
    assert engine.replies.counts()["lost"] == 1
    assert "ECHO_V2.ADD has run, or may have: its reply is lost" in caplog.text


def test_a_new_call_without_a_place_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(engine.replies, "_best", lambda key, now: None)
    assert engine.begin(call()) is None
    refused = engine.begin(call(), TCP, Connection())
    assert wire.parse_reply(refused).accept_stat == wire.SYSTEM_ERR
    assert engine.service.counted == 0
    assert engine.replies.counts()["full"] == 2


def test_outcomes_are_known_for_their_time() -> None:
    engine = Engine()
    engine.answer(call())
    engine.answer(call(), now=engine.replies.max_age)
    assert engine.service.counted == 1
    engine.answer(call(), now=engine.replies.max_age + 1)
    assert engine.service.counted == 2


@pytest.mark.parametrize(
    ("plain", "left"),
    [(lambda e: e.plain, set[int]()), (lambda e: e.plain_once, {1, 2, 4})],
)
def test_calls_that_must_not_run_again_are_not_plain(
    plain: Callable[[Any], Any], left: set[int]
) -> None:
    from rpcserver.rpc.plain import About

    engine = Engine()
    records = {0: call(0), 1: wire.call(PROG, 2, 1, wire.opaque(b"x")), 2: call(), 3: call(3)}
    records[4] = call(4, 1)
    found = {
        proc
        for proc, record in records.items()
        if plain(engine.engine).answer_one(record, About(HOST, None), False) is None
    }
    assert found == left
    assert ECHO_V2.ADD.number in left or not left
