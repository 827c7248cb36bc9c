"""The server's engine, without a socket."""

import asyncio
import inspect
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver import rpc
from rpcserver.auth import SysCredential, server_flavors
from rpcserver.errors import UsageError
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from tests.peers import wire
from tests.rpc.echo import PROG, Echo, Echo5
from tests.rpc.failures import CASES

PEER = rpc.Peer("udp", ("192.0.2.1", 700))


def answer(engine: ServerEngine, record: bytes) -> bytes | None:
    outcome = engine.begin(record, PEER)
    if not isinstance(outcome, Invocation):
        return outcome
    try:
        result = outcome.run()
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
    except Exception as error:  # noqa: BLE001
        return outcome.fail(error)
    return outcome.reply(result)


@pytest.fixture
def engine() -> ServerEngine:
    return ServerEngine([Echo(), Echo5()], server_flavors())


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[case[0] for case in CASES])
def test_answers(
    engine: ServerEngine, name: str, record: bytes, expected: dict[str, Any] | None
) -> None:
    reply = answer(engine, record)
    if expected is None:
        assert reply is None
    else:
        assert reply is not None
        parsed = vars(wire.parse_reply(reply))
        assert {key: parsed[key] for key in expected} == expected
        assert parsed["xid"] == 1


@given(st.binary(max_size=80), st.integers(0, 60))
def test_damaged_calls_never_break_the_engine(noise: bytes, at: int) -> None:
    engine = ServerEngine([Echo(), Echo5()], server_flavors())
    good = wire.call(PROG, 2, 1, wire.opaque(b"hello"), flavor=1, body=wire.auth_sys())
    for record in (noise, good[:at] + noise, good[:at] + noise + good[at + len(noise) :]):
        reply = answer(engine, record)
        if reply is not None:
            assert wire.parse_reply(reply).xid == int.from_bytes(record[:4])


def test_what_a_method_knows(engine: ServerEngine) -> None:
    service = Echo()
    engine = ServerEngine([service], server_flavors())
    body = wire.auth_sys(uid=7, gid=8, gids=[9, 10], machine=b"m", stamp=11)
    answer(engine, wire.call(PROG, 2, 1, wire.opaque(b"x"), xid=12, flavor=1, body=body))
    answer(engine, wire.call(PROG, 2, 1, wire.opaque(b"x"), xid=13))
    call, anonymous = service.calls
    assert call.peer is PEER
    assert call.xid == 12
    assert call.credential == SysCredential(7, 8, (9, 10), "m", 11)
    assert call.procedure.name == "ECHO"
    assert call.version._vers == 2
    assert anonymous.credential is None


def test_a_failure_is_logged_with_its_traceback(
    engine: ServerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    answer(engine, wire.call(PROG, 2, 4, wire.words(0)))
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "ECHO_V2.FAIL failed" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_mistakes_are_told_at_the_start() -> None:
    class Short(Echo):
        def add(self, call: rpc.Call, a: int) -> int:  # type: ignore[override]
            return a

    with pytest.raises(UsageError, match=r"Short\.add must take \(call, arg1, arg2\)"):
        ServerEngine([Short()], server_flavors())
    with pytest.raises(UsageError, match="two services for ECHO_V2"):
        ServerEngine([Echo(), Echo()], server_flavors())
    for wrong in (Echo, object(), rpc.Service()):
        with pytest.raises(UsageError, match="no instance of a generated service class"):
            ServerEngine([wrong], server_flavors())  # type: ignore[list-item]
