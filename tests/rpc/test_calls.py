"""The client's engine, without a socket: replies by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver import errors
from rpcserver.auth import NoneClient, SysClient, SysCredential
from rpcserver.rpc.calls import ClientEngine
from tests.peers import wire
from tests.peers.wire import words
from tests.rpc.echo import ECHO_V2, PROG

NO_VERF = words(0, 0)


def engine() -> ClientEngine:
    return ClientEngine(NoneClient(), 41)


def test_the_call_is_what_it_would_be_by_hand() -> None:
    pending = engine().begin(ECHO_V2, ECHO_V2.ADD, (1, -1))
    assert pending.message == wire.call(PROG, 2, 2, words(1, -1), xid=42)
    who = SysCredential(1, 2, (3, 4), "box", 5)
    pending = ClientEngine(SysClient(who), 0xFFFFFFFF).begin(ECHO_V2, ECHO_V2.WHO, ())
    body = wire.auth_sys(1, 2, [3, 4], b"box", 5)
    assert pending.message == wire.call(PROG, 2, 3, xid=0, flavor=1, body=body)


def test_arguments_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(errors.XdrError, match=r"^args\[1\]: 4294967296 is not between"):
        engine().begin(ECHO_V2, ECHO_V2.ADD, (1, 2**32))
    with pytest.raises(errors.XdrError, match="^args: 65 bytes exceed"):
        engine().begin(ECHO_V2, ECHO_V2.ECHO, ("x" * 65,))


REFUSALS = [
    (words(42, 1, 0) + NO_VERF + words(1), errors.ProgUnavail, {}),
    (words(42, 1, 0) + NO_VERF + words(2, 3, 5), errors.ProgMismatch, {"low": 3, "high": 5}),
    (words(42, 1, 0) + NO_VERF + words(3), errors.ProcUnavail, {}),
    (words(42, 1, 0) + NO_VERF + words(4), errors.GarbageArgs, {}),
    (words(42, 1, 0) + NO_VERF + words(5), errors.SystemErr, {}),
    (words(42, 1, 1, 0, 3, 4), errors.RpcMismatch, {"low": 3, "high": 4}),
    (words(42, 1, 1, 1, 5), errors.AuthError, {"stat": 5}),
    # answers that cannot be understood
    (words(42, 1, 0) + NO_VERF + words(0), errors.BadReply, {}),
    (words(42, 1, 0) + NO_VERF + words(0, 1, 2), errors.BadReply, {}),
    (words(42, 1, 0) + NO_VERF + words(6), errors.BadReply, {}),
    (words(42, 1, 0) + NO_VERF + words(5, 5), errors.BadReply, {}),
    (words(42, 1, 0, 0, 401), errors.BadReply, {}),
    (words(42, 1, 0, 0), errors.BadReply, {}),
    (words(42, 1, 2), errors.BadReply, {}),
    (words(42, 1, 1, 7), errors.BadReply, {}),
    (words(42, 1, 1, 1, 99), errors.BadReply, {}),
]


@pytest.mark.parametrize(("reply", "error", "fields"), REFUSALS)
def test_refusals(reply: bytes, error: type[Exception], fields: dict[str, int]) -> None:
    client = engine()
    pending = client.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    assert client.receive(reply) is pending
    assert pending.done
    with pytest.raises(error) as caught:
        pending.result()
    assert {key: getattr(caught.value, key) for key in fields} == fields
    assert client.receive(reply) is None


def test_replies_come_in_any_order_and_late_ones_are_skipped() -> None:
    client = engine()
    first = client.begin(ECHO_V2, ECHO_V2.ADD, (1, 2))
    second = client.begin(ECHO_V2, ECHO_V2.ADD, (3, 4))
    third = client.begin(ECHO_V2, ECHO_V2.ADD, (5, 6))
    client.forget(second)
    assert client.receive(words(44, 1, 0) + NO_VERF + words(0, 11)) is third
    assert client.receive(words(43, 1, 0) + NO_VERF + words(0, 7)) is None
    assert client.receive(words(42, 0, 0) + NO_VERF + words(0, 3)) is None
    assert not first.done
    assert client.receive(words(42, 1, 0, 9, 3) + b"abc\0" + words(0, 3)) is first
    assert (first.result(), third.result()) == (3, 11)


def test_a_lost_connection_ends_every_call() -> None:
    client = engine()
    calls = [client.begin(ECHO_V2, ECHO_V2.WHO, ()) for _ in range(3)]
    client.fail_all(errors.NotReached("gone"))
    for pending in calls:
        with pytest.raises(errors.NotReached, match="gone"):
            pending.result()


@given(st.binary(max_size=60))
def test_noise_is_a_bad_reply_or_nothing(noise: bytes) -> None:
    client = engine()
    pending = client.begin(ECHO_V2, ECHO_V2.WHO, ())
    for reply in (noise, words(42, 1) + noise, words(42, 1, 0) + NO_VERF + noise):
        client.receive(reply)
    if pending.done:
        try:
            pending.result()
        except errors.CallError:
            pass


@given(st.binary(max_size=60), st.booleans())
def test_noise_whose_end_is_not_marked(noise: bytes, ours: bool) -> None:
    """It is the reply, or there is more to come."""
    client = engine()
    pending = client.begin(ECHO_V2, ECHO_V2.ECHO, ("x",), lenient=True)
    data = words(42, 1) + noise if ours else noise
    if client.receive_unmarked(data) is None:
        assert not pending.done and client.receive(words(42, 1, 1, 1, 5)) is pending
    assert pending.done


def test_only_lenient_calls_take_what_is_not_marked() -> None:
    client = engine()
    pending = client.begin(ECHO_V2, ECHO_V2.ADD, (1, 1))
    whole = words(42, 1, 0) + NO_VERF + words(0, 2)
    assert client.receive_unmarked(whole) is None and not pending.done
    assert client.receive(whole) is pending and pending.result() == 2


def test_a_call_that_is_sent_again_ends_anew() -> None:
    client = engine()
    pending = client.begin(ECHO_V2, ECHO_V2.ADD, (1, 1), resend=True)
    client.fail_all(errors.NotReached("gone"))
    assert pending.done and pending.lost and client.idle
    client.again(pending)
    assert not pending.done and not pending.lost and not client.idle
    client.receive(words(42, 1, 0) + NO_VERF + words(0, 2))
    assert pending.result() == 2


def test_each_call_fails_with_an_exception_of_its_own() -> None:
    client = engine()
    calls = [client.begin(ECHO_V2, ECHO_V2.ADD, (1, 1)) for _ in range(3)]
    client.fail_all(errors.NotReached("gone"))
    assert len({id(each.error) for each in calls}) == 3
    assert {str(each.error) for each in calls} == {"gone"}
