"""Registering without stealing anything and without leaving anything behind."""

import pytest

from rpcserver.errors import (
    AuthError,
    BadReply,
    NotReached,
    ProgMismatch,
    ProgUnavail,
    SystemErr,
    TimedOut,
    UsageError,
)
from rpcserver.rpcbind.lookup import Rpcbind
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.registration import Registrations
from rpcserver.rpcbind.table import Registration
from tests.rpcbind.memory import ALICE, ROOT, STRANGER, MemoryRpcbind

PROG = 0x20000101
TCP, UDP = parse_url("tcp://127.0.0.1:1025"), parse_url("udp://127.0.0.1:1026")
OURS = [
    f"{PROG} 1 tcp 127.0.0.1.4.1 superuser",
    f"{PROG} 1 udp 127.0.0.1.4.2 superuser",
    f"{PROG} 2 tcp 127.0.0.1.4.1 superuser",
    f"{PROG} 2 udp 127.0.0.1.4.2 superuser",
]
VERSIONS = [(PROG, 1), (PROG, 2)]


class World:
    """Who lives where: a NULL call to any other address raises `otherwise`."""

    def __init__(self, *living: str, otherwise: Exception | None = None) -> None:
        self.living = living
        self.otherwise = otherwise or NotReached("nobody")
        self.asked: list[str] = []

    def ping(self, place: Endpoint, prog: int, vers: int) -> None:
        self.asked.append(str(place))
        if str(place) not in self.living:
            raise self.otherwise


@pytest.fixture
def rpcbind() -> MemoryRpcbind:
    return MemoryRpcbind()


def put(
    rpcbind: MemoryRpcbind, netid: str, address: str, vers: int = 1, owner: str = "superuser"
) -> str:
    """Register something that is not ours; what `lines()` shows of it."""
    assert rpcbind.table.set(Registration(PROG, vers, netid, address, owner))
    return f"{PROG} {vers} {netid} {address} {owner}"


def test_register_and_unregister(rpcbind: MemoryRpcbind) -> None:
    ours = Registrations(World().ping)
    ours.register(rpcbind.client(), VERSIONS, [TCP, UDP])
    assert rpcbind.lines() == OURS
    ours.unregister(rpcbind.client())
    assert rpcbind.lines() == []


def test_addresses(rpcbind: MemoryRpcbind) -> None:
    urls = [
        "tcp://0.0.0.0:1025",
        "tcp://[::]:1025",
        "udp://192.0.2.1:1025",
        "unix:///run/x",
        "unixgram:///run/y",
    ]
    Registrations(World().ping).register(rpcbind.client(), [(PROG, 1)], map(parse_url, urls))
    assert [line.split()[2:4] for line in rpcbind.lines()] == [
        ["tcp", "0.0.0.0.4.1"],
        ["tcp6", "::.4.1"],
        ["udp", "192.0.2.1.4.1"],
        ["local", "/run/x"],
    ]


def test_the_first_of_a_netid(rpcbind: MemoryRpcbind, caplog: pytest.LogCaptureFixture) -> None:
    second = parse_url("tcp://127.0.0.1:1027")
    Registrations(World().ping).register(rpcbind.client(), [(PROG, 1)], [TCP, second, UDP])
    assert rpcbind.lines() == OURS[:2]
    assert "tcp://127.0.0.1:1027 is not registered" in caplog.text


@pytest.mark.parametrize(
    "death",
    [NotReached("refused"), BadReply("no RPC"), ProgUnavail("another"), ProgMismatch(3, 4)],
)
def test_the_dead_are_replaced(rpcbind: MemoryRpcbind, death: Exception) -> None:
    put(rpcbind, "tcp", "127.0.0.1.9.9", owner="1000")
    kept = put(rpcbind, "tcp6", "::1.9.9")
    world = World(otherwise=death)
    Registrations(world.ping).register(rpcbind.client(), [(PROG, 1)], [TCP, UDP])
    assert rpcbind.lines() == [kept, *OURS[:2]]
    assert world.asked == ["tcp://127.0.0.1:2313"]


@pytest.mark.parametrize(
    ("netid", "address", "asked"),
    [
        ("tcp", "0.0.0.0.9.9", "tcp://127.0.0.1:2313"),
        ("tcp6", "::.9.9", "tcp://[::1]:2313"),
        ("udp", "192.0.2.1.9.9", "udp://192.0.2.1:2313"),
        ("local", "/run/other", "unix:///run/other"),
    ],
)
def test_the_living_are_left_alone(
    rpcbind: MemoryRpcbind, netid: str, address: str, asked: str
) -> None:
    theirs = put(rpcbind, netid, address, vers=2)
    world = World(asked)
    urls = ["tcp://0.0.0.0:1025", "udp://0.0.0.0:1025", "tcp://[::1]:1025", "unix:///run/x"]
    with pytest.raises(UsageError) as caught:
        Registrations(world.ping).register(rpcbind.client(), VERSIONS, map(parse_url, urls))
    assert f"program {PROG} version 2 ({netid}) is served at {asked}" in str(caught.value)
    assert rpcbind.lines() == [theirs], "what had been registered is undone"


@pytest.mark.parametrize("life", [SystemErr("failed"), AuthError(5)])
def test_who_refuses_is_alive(rpcbind: MemoryRpcbind, life: Exception) -> None:
    theirs = put(rpcbind, "tcp", "127.0.0.1.9.9")
    with pytest.raises(UsageError, match="is served at"):
        Registrations(World(otherwise=life).ping).register(rpcbind.client(), VERSIONS, [TCP])
    assert rpcbind.lines() == [theirs]


def test_silence_is_not_death(rpcbind: MemoryRpcbind) -> None:
    theirs = put(rpcbind, "tcp", "127.0.0.1.9.9")
    world = World(otherwise=TimedOut("nothing"))
    with pytest.raises(UsageError, match="does not answer but is there.*--replace"):
        Registrations(world.ping).register(rpcbind.client(), VERSIONS, [TCP])
    assert rpcbind.lines() == [theirs]


def test_replace(rpcbind: MemoryRpcbind) -> None:
    put(rpcbind, "tcp", "127.0.0.1.9.9")
    world = World("tcp://127.0.0.1:2313")
    Registrations(world.ping, replace=True).register(rpcbind.client(), [(PROG, 1)], [TCP])
    assert rpcbind.lines() == OURS[:1]
    assert world.asked == []


def test_a_port_that_we_hold_has_no_other_server(rpcbind: MemoryRpcbind) -> None:
    put(rpcbind, "tcp", "0.0.0.0.4.1")
    world = World("tcp://127.0.0.1:1025")  # which is ourselves
    Registrations(world.ping).register(rpcbind.client(), [(PROG, 1)], [TCP])
    assert rpcbind.lines() == OURS[:1]
    assert world.asked == []


def test_the_same_address_again(rpcbind: MemoryRpcbind) -> None:
    """As after kill -9 and a new start on a fixed port."""
    put(rpcbind, "tcp", "127.0.0.1.4.1")
    ours = Registrations(World().ping)
    ours.register(rpcbind.client(), [(PROG, 1)], [TCP])
    ours.unregister(rpcbind.client())
    assert rpcbind.lines() == []


def test_rubbish_makes_way(rpcbind: MemoryRpcbind) -> None:
    class Lying(Rpcbind):
        def dump(self) -> list[Registration]:
            return [Registration(PROG, 1, "tcp", "\udcffrubbish", "1000")]

    put(rpcbind, "tcp", "127.0.0.1.9.9")
    world = World()
    lying = Lying(rpcbind.channel(ROOT), parse_url("unix:///run/rpcbind.sock"))
    Registrations(world.ping).register(lying, [(PROG, 1)], [TCP])
    assert rpcbind.lines() == OURS[:1]
    assert world.asked == []


def test_the_dead_may_belong_to_another(rpcbind: MemoryRpcbind) -> None:
    theirs = put(rpcbind, "udp", "127.0.0.1.9.9", owner="superuser")
    with pytest.raises(UsageError, match="by 'superuser', and only that user or root"):
        Registrations(World().ping).register(rpcbind.client(ALICE), VERSIONS, [TCP, UDP])
    assert rpcbind.lines() == [theirs]


def test_a_full_table(rpcbind: MemoryRpcbind) -> None:
    rpcbind.table.limit = 1
    with pytest.raises(UsageError, match="does not register udp://127.0.0.1:1026"):
        Registrations(World().ping).register(rpcbind.client(), VERSIONS, [TCP, UDP])
    assert rpcbind.lines() == []


def test_an_rpcbind_of_another_host(rpcbind: MemoryRpcbind) -> None:
    with pytest.raises(UsageError, match="does not let us register: .*AUTH_TOOWEAK"):
        Registrations(World().ping).register(rpcbind.client(STRANGER), VERSIONS, [TCP])


def test_only_what_is_still_ours_is_removed(rpcbind: MemoryRpcbind) -> None:
    ours = Registrations(World().ping)
    ours.register(rpcbind.client(), VERSIONS, [TCP, UDP])
    assert rpcbind.table.unset(PROG, 1, "tcp", "superuser")
    theirs = put(rpcbind, "tcp", "127.0.0.1.9.9")
    ours.unregister(rpcbind.client())
    assert rpcbind.lines() == [theirs]
    ours.unregister(rpcbind.client())
    assert rpcbind.lines() == [theirs]


def test_unregister_does_not_raise(
    rpcbind: MemoryRpcbind, caplog: pytest.LogCaptureFixture
) -> None:
    ours = Registrations(World().ping)
    ours.register(rpcbind.client(), [(PROG, 1)], [TCP])
    ours.unregister(rpcbind.client(ALICE))
    assert "rpcbind does not let us remove it" in caplog.text
    assert rpcbind.lines() == OURS[:1]


def test_an_rpcbind_that_goes_away(rpcbind: MemoryRpcbind) -> None:
    """In the middle of registering: the reason comes out, not what fails after it."""

    class Dying(Rpcbind):
        def set(self, prog: int, vers: int, endpoint: Endpoint) -> bool:
            if endpoint is UDP:
                self.dump = self._gone  # type: ignore[method-assign]
                raise NotReached("died")
            return super().set(prog, vers, endpoint)

        def _gone(self) -> list[Registration]:
            raise NotReached("dead")

    dying = Dying(rpcbind.channel(ROOT), parse_url("unix:///run/rpcbind.sock"))
    with pytest.raises(NotReached, match="died"):
        Registrations(World().ping).register(dying, VERSIONS, [TCP, UDP])


def test_version_2_only() -> None:
    rpcbind = MemoryRpcbind(2)
    with pytest.raises(UsageError, match="speaks version 2 only"):
        Registrations(World().ping).register(rpcbind.client(), VERSIONS, [TCP])
    wild = [parse_url("tcp://0.0.0.0:1025"), parse_url("udp://0.0.0.0:1026")]
    put(rpcbind, "tcp", "0.0.0.0.9.9")
    put(rpcbind, "udp", "0.0.0.0.9.9")
    ours = Registrations(World().ping)
    ours.register(rpcbind.client(), [(PROG, 1)], wild)
    assert sorted(rpcbind.lines()) == [
        f"{PROG} 1 tcp 0.0.0.0.4.1 superuser",
        f"{PROG} 1 udp 0.0.0.0.4.2 superuser",
    ]
    ours.unregister(rpcbind.client())
    assert rpcbind.lines() == []
