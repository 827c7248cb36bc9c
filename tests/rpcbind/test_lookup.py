"""Asking an rpcbind: every version, every transport, and answers that make no sense."""

from collections.abc import Callable
from typing import Any

import pytest

from rpcserver.auth import server_flavors
from rpcserver.errors import AuthError, BadReply, GarbageArgs, NotReached, ProcUnavail, UsageError
from rpcserver.protocols.pmap_prot import Mapping, PmapVersService
from rpcserver.protocols.rpcb_prot import Rpcb, RpcblistPtr, Rpcbvers4Service, RpList
from rpcserver.rpc.call import Call, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpcbind.lookup import Rpcbind
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.table import Registration
from tests.rpcbind.memory import FAR_UDP, ROOT, TCP, TCP6, UDP, MemoryChannel, MemoryRpcbind

PROG = 0x20000101
PLACE = Endpoint("tcp", "127.0.0.1", 111)
FLAVORS = server_flavors()


def filled(*versions: int) -> MemoryRpcbind:
    """An rpcbind that knows version 1 on four transports, and version 3 on one."""
    made = MemoryRpcbind(*versions)
    for vers, netid, address in [
        (1, "tcp", "0.0.0.0.4.1"),
        (1, "udp", "0.0.0.0.4.2"),
        (1, "tcp6", "::1.4.3"),
        (1, "local", "/run/x"),
        (3, "tcp", "0.0.0.0.4.4"),
    ]:
        assert made.table.set(Registration(PROG, vers, netid, address, "1000"))
    return made


@pytest.mark.parametrize("peer", [TCP, UDP, TCP6, ROOT])
def test_every_transport_over_every_other(peer: Peer) -> None:
    asked = filled().client(peer)
    assert asked.find(PROG, 1, "tcp") in (
        parse_url("tcp://127.0.0.1:1025"),
        parse_url("tcp://0.0.0.0:1025"),
    )
    udp = asked.find(PROG, 1, "udp")
    assert udp is not None and (udp.transport, udp.port) == ("udp", 1026)
    assert asked.find(PROG, 1, "tcp6") == parse_url("tcp://[::1]:1027")
    assert asked.find(PROG, 1, "local") == parse_url("unix:///run/x")
    assert asked.find(PROG, 1, "udp6") is None
    assert asked.find(PROG + 1, 1, "tcp") is None


@pytest.mark.parametrize("peer", [TCP, UDP])
def test_another_version(peer: Peer) -> None:
    found = filled().client(peer).find(PROG, 2, "tcp")
    assert found is not None and found.port == 1028
    found = filled().client(peer).find(PROG, 1, "tcp")
    assert found is not None and found.port == 1025


@pytest.mark.parametrize(
    ("spoken", "netid", "called"),
    [
        ((2, 3, 4), "tcp", ["4 getaddr"]),
        ((2, 3), "tcp", ["4 getaddr", "3 getaddr"]),
        ((2,), "tcp", ["4 getaddr", "3 getaddr", "2 getport"]),
        ((2, 3, 4), "udp", ["4 dump"]),
        ((2,), "udp", ["4 dump", "3 dump", "2 getport"]),
    ],
)
def test_versions_of_rpcbind(spoken: tuple[int, ...], netid: str, called: list[str]) -> None:
    rpcbind = filled(*spoken)
    channel = rpcbind.channel(TCP)
    asked = Rpcbind(channel, PLACE)
    found = asked.find(PROG, 1, netid)
    assert found is not None and found.port == {"tcp": 1025, "udp": 1026}[netid]
    assert channel.called == called
    assert asked.find(PROG + 1, 1, netid) is None
    assert len(channel.called) == len(called) + 1, "what is not spoken is not tried again"


def test_who_gets_no_list_gets_a_port() -> None:
    """Over UDP, from another host."""
    channel = filled().channel(FAR_UDP)
    asked = Rpcbind(channel, Endpoint("udp", "198.51.100.2", 111))
    found = asked.find(PROG, 1, "tcp")
    assert found is not None and (found.transport, found.port) == ("tcp", 1025)
    assert channel.called == ["4 dump", "2 getport"]
    assert asked.find(PROG + 1, 1, "tcp") is None
    with pytest.raises(AuthError):
        asked.find(PROG, 1, "tcp6")


def test_dump() -> None:
    entries = filled().client().dump()
    assert entries[0] == Registration(PROG, 1, "tcp", "0.0.0.0.4.1", "1000")
    assert len(entries) == 5
    assert filled(2).client().dump() == [
        Registration(PROG, 1, "tcp", "0.0.0.0.4.1"),
        Registration(PROG, 1, "udp", "0.0.0.0.4.2"),
        Registration(PROG, 3, "tcp", "0.0.0.0.4.4"),
    ]


def test_set_and_unset() -> None:
    rpcbind = MemoryRpcbind()
    asked = rpcbind.client()
    for url in ["tcp://127.0.0.1:1025", "udp://[::]:1025", "unix:///run/x"]:
        assert asked.set(PROG, 1, parse_url(url))
    assert not asked.set(PROG, 1, parse_url("tcp://127.0.0.1:1026"))
    assert asked.unset(PROG, 1, "tcp")
    assert rpcbind.lines() == [
        f"{PROG} 1 udp6 ::.4.1 superuser",
        f"{PROG} 1 local /run/x superuser",
    ]


def test_set_and_unset_in_version_2() -> None:
    rpcbind = MemoryRpcbind(2)
    asked = rpcbind.client()
    assert asked.set(PROG, 1, parse_url("tcp://0.0.0.0:1025"))
    assert asked.set(PROG, 1, parse_url("udp://0.0.0.0:1025"))
    assert asked.unset(PROG, 1, "tcp")
    assert rpcbind.lines() == [f"{PROG} 1 udp 0.0.0.0.4.1 superuser"], "UNSET took one"
    assert asked.unset(PROG, 1, "udp")
    assert rpcbind.lines() == []


@pytest.mark.parametrize(
    "url",
    ["tcp://127.0.0.1:1025", "udp://192.0.2.1:1025", "tcp://[::]:1025", "unix:///run/x"],
)
def test_what_version_2_cannot_say(url: str) -> None:
    rpcbind = MemoryRpcbind(2)
    with pytest.raises(UsageError, match="speaks version 2 only.*not " + url[:6]):
        rpcbind.client().set(PROG, 1, parse_url(url))
    assert rpcbind.lines() == []


def test_with_closes_the_channel() -> None:
    channel = MemoryRpcbind().channel()
    with Rpcbind(channel, PLACE) as asked:
        assert asked.dump() == []
    assert channel.closed


class Liar(Rpcbvers4Service):
    """Answers every question for an address with the same text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def getaddr(self, call: Call, /, arg: Rpcb) -> str:
        return self.text

    def dump(self, call: Call, /) -> RpcblistPtr:
        return [RpList(Rpcb(PROG, 1, netid, self.text, "")) for netid in ("udp", "local")]


class OldLiar(PmapVersService):
    def getport(self, call: Call, /, arg: Mapping) -> int:
        return 70000


def lying(text: str) -> Rpcbind:
    return Rpcbind(MemoryChannel(ServerEngine([Liar(text)], FLAVORS), TCP), PLACE)


@pytest.mark.parametrize("netid", ["tcp", "udp"])
@pytest.mark.parametrize(
    "text",
    [
        "rubbish",
        "127.0.0.1.0.0",
        "127.0.0.1.999.1",
        "::1.4.1",
        "/run/x",
        "evil.example.4.1",
        "127.0.0.1\0.4.1",
        "\x1b[31m127.0.0.1.4.1",
        "\udcff" * 100_000,
        "9" * 1_000_000 + ".4.1",
    ],
)
def test_an_rpcbind_that_lies(netid: str, text: str) -> None:
    with pytest.raises(BadReply) as caught:
        lying(text).find(PROG, 1, netid)
    message = str(caught.value)
    assert f"no address for {netid}" in message
    assert len(message) < 200 and message.isprintable()


@pytest.mark.parametrize("text", ["relative", "/run/\0x"])
def test_a_path_that_is_none(text: str) -> None:
    with pytest.raises(BadReply, match="no address for local"):
        lying(text).find(PROG, 1, "local")


def test_a_port_mapper_that_lies() -> None:
    asked = Rpcbind(MemoryChannel(ServerEngine([OldLiar()], FLAVORS), TCP), PLACE)
    with pytest.raises(BadReply, match="no address for tcp"):
        asked.find(PROG, 1, "tcp")


class Failing:
    """A channel on which every call ends with the same error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def call(self, *args: Any, **options: Any) -> Any:
        raise self.error

    def close(self) -> None:
        pass


ASKING: list[Callable[[Rpcbind], object]] = [
    lambda asked: asked.find(PROG, 1, "tcp"),
    lambda asked: asked.dump(),
    lambda asked: asked.set(PROG, 1, parse_url("tcp://0.0.0.0:1025")),
    lambda asked: asked.unset(PROG, 1, "tcp"),
]


@pytest.mark.parametrize("ask", ASKING)
def test_something_else_answers(ask: Callable[[Rpcbind], object]) -> None:
    with pytest.raises(NotReached, match="what answers is no rpcbind"):
        ask(Rpcbind(Failing(ProcUnavail("no such procedure")), PLACE))


@pytest.mark.parametrize("ask", ASKING)
@pytest.mark.parametrize("error", [NotReached("gone"), GarbageArgs("what?"), BadReply("?")])
def test_other_errors_pass(ask: Callable[[Rpcbind], object], error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        ask(Rpcbind(Failing(error), PLACE))
    assert caught.value is error
