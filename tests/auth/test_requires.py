"""What a service demands of its callers."""

from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver import rpc
from rpcserver.auth import NoneServer, SysServer
from rpcserver.errors import AuthError, UsageError
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.flavor import Accepted
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.message import CallMessage
from rpcserver.servers.server import KINDS
from tests.auth.service import DECODED, PROG, Who, WhoClient, serving
from tests.peers import wire

PEER = rpc.Peer("tcp", ("192.0.2.1", 700))


class Fake:
    """As much of RPCSEC_GSS as the engine can see: the body is the name of the service."""

    flavor = 6

    def accept(self, call: CallMessage, peer: Any, connection: Any) -> Accepted:
        service = call.credential.body.decode()
        return Accepted("alice", call.record, call.start, service=service)


def outcome(service: rpc.Service, record: bytes, connection: Any = None) -> int | None:
    """The auth_stat that a call gets; ``None`` if it is let in."""
    engine = ServerEngine([service], [NoneServer(), SysServer(), Fake()])
    begun = engine.begin(record, PEER, connection)
    if isinstance(begun, Invocation):
        return None
    assert begun is not None
    return wire.parse_reply(begun).auth_stat


def echo(flavor: int = 0, body: bytes = b"", proc: int = 2) -> bytes:
    args = wire.opaque(b"x") if proc == 2 else b""
    return wire.call(PROG, 1, proc, args, flavor=flavor, body=body)


NONE, SYS = echo(), echo(1, wire.auth_sys())
GSS = {name: echo(6, name.encode()) for name in ("none", "integrity", "privacy")}


@pytest.mark.parametrize(
    ("demand", "enough"),
    [
        ({"gss": True}, set(GSS)),
        ({"gss": "none"}, set(GSS)),
        ({"gss": "integrity"}, {"integrity", "privacy"}),
        ({"gss": "privacy"}, {"privacy"}),
        ({"flavor": "gss"}, set(GSS)),
        ({"flavor": "sys"}, {"sys"}),
        ({"flavor": ("sys", "gss")}, {"sys", *GSS}),
        ({"tls": True}, set()),
    ],
)
def test_what_is_enough(demand: dict[str, Any], enough: set[str]) -> None:
    class OnMethod(Who):
        @rpcserver.requires(**demand)
        def echo(self, call: rpc.Call, data: bytes) -> bytes:
            return data

    @rpcserver.requires(**demand)
    class OnClass(Who):
        pass

    inside = rpc.Connection()
    inside.tls = object()
    DECODED.clear()
    for service in (OnMethod(), OnClass()):
        for name, record in {"anonymous": NONE, "sys": SYS, **GSS}.items():
            expected = None if name in enough else 5
            for connection in (None, rpc.Connection()):
                assert outcome(service, record, connection) == expected
            if "tls" in demand:
                assert outcome(service, record, inside) is None
    assert len(DECODED) == 2 * (5 if "tls" in demand else 2 * len(enough))
    assert outcome(OnMethod(), echo(proc=1)) is None


def test_demands_add_up() -> None:
    @rpc.requires(tls=True)
    class Base(Who):
        @rpc.requires(flavor="sys")
        def echo(self, call: rpc.Call, data: bytes) -> rpc.Result[bytes]:
            return data

    @rpc.requires(gss="none")
    class Below(Base):
        def echo(self, call: rpc.Call, data: bytes) -> rpc.Result[bytes]:
            return data  # what the base class demands stays

    connection = rpc.Connection()
    connection.tls = object()
    assert outcome(Base(), SYS, connection) is None
    assert outcome(Base(), SYS) == 5
    assert outcome(Base(), NONE, connection) == 5
    assert outcome(Below(), SYS, connection) == 5
    assert outcome(Below(), GSS["privacy"], connection) == 5
    assert outcome(Below(), echo(6, b"none", 1), connection) is None
    assert not hasattr(Who, "_demands")


def test_procedure_0_is_for_everybody() -> None:
    @rpc.requires(gss="privacy", tls=True)
    class Closed(Who):
        pass

    assert outcome(Closed(), echo(proc=0)) is None
    assert outcome(Closed(), echo(proc=1)) == 5
    engine = ServerEngine([Closed()], [NoneServer()])
    assert wire.parse_reply(engine.begin(echo(proc=9), PEER)).accept_stat == wire.PROC_UNAVAIL  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_kind_holds_to_it(kind: str, transport: str, tmp_path: Path) -> None:
    class Named(Who):
        @rpcserver.requires(flavor="sys")
        def echo(self, call: rpc.Call, data: bytes) -> bytes:
            return data

    DECODED.clear()
    with serving(transport, tmp_path, kind, Named()) as (url, _):
        with rpcserver.connect(WhoClient, url, timeout=10) as client:
            assert client.who() == "nobody"
            for _ in range(3):
                with pytest.raises(AuthError) as error:
                    client.echo(b"a secret")
                assert error.value.stat == 5
            assert client.who() == "nobody"
        assert DECODED == []
        with rpcserver.connect(WhoClient, url, timeout=10, credentials="sys") as client:
            for _ in range(3):
                assert client.echo(b"x") == b"x"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gss": "all"}, "gss='all': it is True or one of none, integrity, privacy"),
        ({"flavor": "dh"}, "flavor='dh': it is one of sys, gss"),
        ({}, "nothing that is required"),
    ],
)
def test_unknown_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rpcserver.requires(**given)
