"""Credentials that last: over one connection the same bytes are looked at once."""

from pathlib import Path
from typing import Any

import pytest

from rpcserver.auth.sys import SysServer
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.serve import serve
from tests.peers import wire
from tests.rpc.echo import PROG, Echo

ONE = {"flavor": 1, "body": wire.auth_sys(uid=7, machine=b"a")}
OTHER = {"flavor": 1, "body": wire.auth_sys(uid=8, machine=b"a")}
CUT_OFF = {"flavor": 1, "body": wire.auth_sys(uid=7, machine=b"a")[:-4]}


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The credentials that the flavor was asked about."""
    bodies: list[bytes] = []
    accept = SysServer.accept

    def noted(self: SysServer, call: Any, *caller: Any) -> Any:
        bodies.append(call.credential.body)
        return accept(self, call, *caller)

    monkeypatch.setattr(SysServer, "accept", noted)
    return bodies


def ask(stream: wire.Stream, *credentials: Any) -> list[str]:
    """Who calls, as WHO says to each; all calls are sent at once."""
    calls = [wire.call(PROG, 2, 3, xid=n, **each) for n, each in enumerate(credentials)]
    stream.send(b"".join(map(wire.frame, calls)))
    replies = [wire.parse_reply(stream.read_record()) for _ in calls]
    assert [each.xid for each in replies] == list(range(len(calls)))
    return [
        "refused" if each.results is None else each.results[4:].split(b",")[0].strip(b"\0").decode()
        for each in replies
    ]


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:0", "unix://{path}"], ids=["TCP", "UNIX"])
@pytest.mark.parametrize("kind", ["select", "asyncio", "threads", "sync"])
def test_a_credential_is_remembered_until_it_changes(
    kind: str, url: str, tmp_path: Path, looked_at: list[bytes]
) -> None:
    listen = [url.format(path=tmp_path / "sock")]
    one, other = "SysCredential(uid=7", "SysCredential(uid=8"
    with serve(Echo(), listen=listen, register=False, kind=kind) as server:
        server.start()
        place = parse_url(server.endpoints[0])
        address = (place.host, place.port) if place.internet else place.path
        with wire.Stream(address) as stream:
            assert ask(stream, ONE, OTHER) == [one, other]
            assert looked_at == [ONE["body"], OTHER["body"]]
            assert ask(stream, OTHER) == [other]
            assert ask(stream, OTHER, OTHER) == [other, other]
            assert len(looked_at) == 2
            assert ask(stream, ONE, ONE, {}, ONE) == [one, one, "None", one]
            assert len(looked_at) == 3
            assert ask(stream, CUT_OFF, ONE) == ["refused", one]
            assert looked_at[3:] == [CUT_OFF["body"]]
        with wire.Stream(address) as stream:  # it is nobody else's
            assert ask(stream, ONE, ONE) == [one, one]
            assert looked_at[4:] == [ONE["body"]]
