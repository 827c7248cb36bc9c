"""The embedded rpcbind's three versions, called without sockets."""

import time

import pytest

from rpcserver.errors import AuthError, ProcUnavail, ProgMismatch
from rpcserver.protocols import pmap_prot, rpcb_prot
from rpcserver.protocols.pmap_prot import CallArgs, Mapping, PmapVersClient
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcb_prot import (
    Netbuf,
    Rpcb,
    RpcbRmtcallargs,
    Rpcbvers4Client,
    RpcbversClient,
)
from rpcserver.rpc.call import Peer
from rpcserver.rpcbind.netid import parse_url
from rpcserver.rpcbind.service import Caller, caller, register_self
from tests.rpcbind.memory import (
    ALICE,
    ROOT,
    STRANGER,
    TCP,
    TCP6,
    UDP,
    MemoryRpcbind,
)

PROG = 0x20000101


def rpcb(netid: str = "", address: str = "", vers: int = 1, owner: str = "") -> Rpcb:
    return Rpcb(PROG, vers, netid, address, owner)


def v2(rpcbind: MemoryRpcbind, peer: Peer = ROOT) -> PmapVersClient:
    return PmapVersClient(rpcbind.channel(peer))


def v3(rpcbind: MemoryRpcbind, peer: Peer = ROOT) -> RpcbversClient:
    return RpcbversClient(rpcbind.channel(peer))


def v4(rpcbind: MemoryRpcbind, peer: Peer = ROOT) -> Rpcbvers4Client:
    return Rpcbvers4Client(rpcbind.channel(peer))


@pytest.fixture
def rpcbind() -> MemoryRpcbind:
    return MemoryRpcbind()


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (ROOT, Caller("local", None, "superuser")),
        (ALICE, Caller("local", None, "1000")),
        (Peer("unix", "", "/run/rpcbind.sock"), Caller("local", None, "unknown")),
        (TCP, Caller("tcp", "127.0.0.1", "unknown")),
        (TCP6, Caller("tcp6", "::1", "unknown")),
        (UDP._replace(address=("127.0.0.9", 1023)), Caller("udp", "127.0.0.1", "superuser")),
        (UDP._replace(address=("127.0.0.1", 1024)), Caller("udp", "127.0.0.1", "unknown")),
        (STRANGER, Caller("tcp", "198.51.100.2", None)),
        (STRANGER._replace(address=("198.51.100.1", 700)), Caller("tcp", "198.51.100.2", None)),
        (
            Peer("tcp", ("::ffff:127.0.0.1", 9999, 0, 0), ("::ffff:127.0.0.1", 111, 0, 0)),
            Caller("tcp", "127.0.0.1", "unknown"),
        ),
        (
            Peer("udp", ("fe80::2%eth0", 9999, 0, 2), ("fe80::1%eth0", 111, 0, 2)),
            Caller("udp6", "fe80::1%eth0", None),
        ),
    ],
)
def test_caller(peer: Peer, expected: Caller) -> None:
    assert caller(peer) == expected


def test_the_owner_is_not_what_the_arguments_say(rpcbind: MemoryRpcbind) -> None:
    assert v4(rpcbind, ALICE).set(rpcb("tcp", "127.0.0.1.4.1", owner="superuser"))
    assert v3(rpcbind, TCP).set(rpcb("udp", "127.0.0.1.4.1", owner="superuser"))
    assert [line.split()[-1] for line in rpcbind.lines()] == ["1000", "unknown"]


def test_set_and_unset(rpcbind: MemoryRpcbind) -> None:
    assert v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.1"))
    assert v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.1"))
    assert not v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.2"))
    assert not v4(rpcbind, ALICE).unset(rpcb("tcp"))
    assert v4(rpcbind).unset(rpcb("tcp"))
    assert v3(rpcbind, ALICE).unset(rpcb(""))
    assert rpcbind.lines() == []


@pytest.mark.parametrize("client", [RpcbversClient, Rpcbvers4Client])
def test_strangers_change_nothing(
    rpcbind: MemoryRpcbind, client: type[RpcbversClient] | type[Rpcbvers4Client]
) -> None:
    v4(rpcbind).set(rpcb("tcp", "0.0.0.0.4.1"))
    stranger = client(rpcbind.channel(STRANGER))
    for refused in (stranger.set, stranger.unset):
        with pytest.raises(AuthError) as caught:
            refused(rpcb("udp", "0.0.0.0.4.1"))
        assert caught.value.stat == AuthStat.AUTH_TOOWEAK
    assert stranger.getaddr(rpcb()) == "198.51.100.2.4.1"
    assert len(rpcbind.lines()) == 1


def test_strangers_change_nothing_in_version_2(rpcbind: MemoryRpcbind) -> None:
    for refused in (v2(rpcbind, STRANGER).set, v2(rpcbind, STRANGER).unset):
        with pytest.raises(AuthError, match="AUTH_TOOWEAK"):
            refused(Mapping(PROG, 1, 6, 1025))


def test_getaddr_is_for_the_transport_of_the_call(rpcbind: MemoryRpcbind) -> None:
    for netid, address in [
        ("tcp", "127.0.0.1.4.1"),
        ("udp", "0.0.0.0.4.2"),
        ("tcp6", "::.4.3"),
        ("local", "/run/x"),
    ]:
        assert v4(rpcbind).set(rpcb(netid, address))
    asked = rpcb("whatever")
    assert v4(rpcbind, TCP).getaddr(asked) == "127.0.0.1.4.1"
    assert v3(rpcbind, UDP).getaddr(asked) == "127.0.0.1.4.2"
    assert v4(rpcbind, TCP6).getaddr(asked) == "::1.4.3"
    assert v3(rpcbind, ROOT).getaddr(asked) == "/run/x"
    assert v4(rpcbind, TCP).getaddr(Rpcb(PROG + 1, 1, "tcp", "", "")) == ""


def test_versions(rpcbind: MemoryRpcbind) -> None:
    for vers in (1, 3):
        assert v4(rpcbind).set(rpcb("tcp", f"127.0.0.1.4.{vers}", vers))
    client = v4(rpcbind, TCP)
    assert client.getaddr(rpcb(vers=1)) == "127.0.0.1.4.1"
    assert client.getaddr(rpcb(vers=2)) == "127.0.0.1.4.3"
    assert client.getversaddr(rpcb(vers=1)) == "127.0.0.1.4.1"
    assert client.getversaddr(rpcb(vers=2)) == ""
    assert v2(rpcbind).getport(Mapping(PROG, 2, 6, 0)) == 1027


def test_getaddrlist_is_for_the_family_of_the_call(rpcbind: MemoryRpcbind) -> None:
    for netid, address in [
        ("tcp", "127.0.0.1.4.1"),
        ("udp", "0.0.0.0.4.2"),
        ("tcp6", "::.4.3"),
        ("local", "/run/x"),
        ("sctp", "x"),
    ]:
        assert v4(rpcbind).set(rpcb(netid, address))

    def asked(peer: Peer) -> list[tuple[object, ...]]:
        listed = [each.rpcb_entry_map for each in v4(rpcbind, peer).getaddrlist(rpcb())]
        return [
            (e.r_maddr, e.r_nc_netid, e.r_nc_semantics, e.r_nc_protofmly, e.r_nc_proto)
            for e in listed
        ]

    assert asked(STRANGER) == [
        ("198.51.100.2.4.1", "tcp", 3, "inet", "tcp"),
        ("198.51.100.2.4.2", "udp", 1, "inet", "udp"),
    ]
    assert asked(TCP6) == [("::1.4.3", "tcp6", 3, "inet6", "tcp")]
    assert asked(ROOT) == [("/run/x", "local", 3, "loopback", "-")]
    assert v4(rpcbind, TCP).getaddrlist(rpcb(vers=2)) == []


def test_version_2_says_every_interface(rpcbind: MemoryRpcbind) -> None:
    assert v2(rpcbind).set(Mapping(PROG, 1, 6, 1025))
    assert v2(rpcbind).set(Mapping(PROG, 1, 17, 1026))
    assert rpcbind.lines() == [
        f"{PROG} 1 tcp 0.0.0.0.4.1 superuser",
        f"{PROG} 1 udp 0.0.0.0.4.2 superuser",
    ]
    assert not v2(rpcbind).set(Mapping(PROG, 1, 6, 1027)), "another port"
    for prot, port in [(132, 1025), (6, 0), (6, 70000)]:
        assert not v2(rpcbind).set(Mapping(PROG, 2, prot, port))
    assert v2(rpcbind).getport(Mapping(PROG, 1, 17, 0)) == 1026
    assert v2(rpcbind).getport(Mapping(PROG, 1, 132, 0)) == 0
    assert v2(rpcbind).getport(Mapping(PROG + 1, 1, 6, 0)) == 0


def test_version_2_unset_takes_both(rpcbind: MemoryRpcbind) -> None:
    for netid in ("tcp", "udp"):
        assert v4(rpcbind).set(rpcb(netid, "127.0.0.1.4.1"))
    assert v4(rpcbind).set(rpcb("tcp6", "::1.4.1"))
    assert not v2(rpcbind, ALICE).unset(Mapping(PROG, 1, 6, 0))
    assert len(rpcbind.lines()) == 3
    assert v2(rpcbind).unset(Mapping(PROG, 1, 17, 0))
    assert rpcbind.lines() == [f"{PROG} 1 tcp6 ::1.4.1 superuser"]


def test_version_2_unset_of_another_users(rpcbind: MemoryRpcbind) -> None:
    assert v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.1"))
    assert v2(rpcbind, ALICE).unset(Mapping(PROG, 1, 6, 0)), "there is nothing over UDP"
    assert len(rpcbind.lines()) == 1


def test_dump(rpcbind: MemoryRpcbind) -> None:
    assert v2(rpcbind).set(Mapping(PROG, 1, 6, 1025))
    assert v4(rpcbind, ALICE).set(rpcb("udp6", "::1.4.1"))
    both = [
        Rpcb(PROG, 1, "tcp", "0.0.0.0.4.1", "superuser"),
        Rpcb(PROG, 1, "udp6", "::1.4.1", "1000"),
    ]
    assert [each.rpcb_map for each in v3(rpcbind, STRANGER).dump()] == both
    assert [each.rpcb_map for each in v4(rpcbind, STRANGER).dump()] == both
    mapped = [each.map for each in v2(rpcbind, STRANGER).dump()]
    assert mapped == [Mapping(PROG, 1, 6, 1025)]


def test_gettime(rpcbind: MemoryRpcbind) -> None:
    assert abs(v3(rpcbind).gettime() - time.time()) < 5


def test_taddr(rpcbind: MemoryRpcbind) -> None:
    made = v3(rpcbind, UDP).uaddr2taddr("127.0.0.1.4.1")
    assert made.maxlen == len(made.buf) == 16
    assert v4(rpcbind, UDP).taddr2uaddr(made) == "127.0.0.1.4.1"
    assert v4(rpcbind, TCP6).taddr2uaddr(made) == ""
    assert v4(rpcbind, UDP).uaddr2taddr("\udcff") == Netbuf(0, b"")


def test_calls_are_not_passed_on(rpcbind: MemoryRpcbind) -> None:
    with pytest.raises(ProcUnavail):
        v3(rpcbind).callit(RpcbRmtcallargs(PROG, 1, 0, b""))
    with pytest.raises(ProcUnavail):
        v4(rpcbind).bcast(RpcbRmtcallargs(PROG, 1, 0, b""))
    with pytest.raises(ProcUnavail):
        v4(rpcbind).indirect(RpcbRmtcallargs(PROG, 1, 0, b""))
    with pytest.raises(ProcUnavail):
        v2(rpcbind).callit(CallArgs(PROG, 1, 0, b""))


def test_getstat(rpcbind: MemoryRpcbind) -> None:
    v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.1"))
    v4(rpcbind).set(rpcb("tcp", "127.0.0.1.4.2"))
    v4(rpcbind, TCP).getaddr(rpcb())
    v4(rpcbind, TCP).getaddr(rpcb())
    v4(rpcbind, TCP).getaddr(Rpcb(PROG + 1, 1, "", "", ""))
    v2(rpcbind).unset(Mapping(PROG, 1, 0, 0))
    pmap, rpcb3, rpcb4 = v4(rpcbind).getstat()
    assert rpcb4.info == [0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert (rpcb4.setinfo, rpcb4.unsetinfo, rpcb4.rmtinfo) == (1, 0, [])
    assert [(e.prog, e.vers, e.netid, e.success, e.failure) for e in rpcb4.addrinfo] == [
        (PROG, 1, "tcp", 2, 0),
        (PROG + 1, 1, "tcp", 0, 1),
    ]
    assert (pmap.info[2], pmap.unsetinfo) == (1, 1)
    assert sum(rpcb3.info) == 0


def test_lookups_of_anything_do_not_fill_the_memory(rpcbind: MemoryRpcbind) -> None:
    client = v4(rpcbind, TCP)
    for prog in range(1000):
        client.getaddr(Rpcb(prog, 1, "", "", ""))
    assert len(client.getstat()[rpcb_prot.RPCBVERS_4_STAT].addrinfo) == 256


def test_versions_that_are_not_there(rpcbind: MemoryRpcbind) -> None:
    class PMAP_V7(rpcb_prot.RPCBVERS, prog=pmap_prot.PMAP_PROG, vers=7):
        pass

    with pytest.raises(ProgMismatch) as caught:
        rpcbind.channel().call(PMAP_V7, rpcb_prot.RPCBVERS.RPCBPROC_GETTIME, ())
    assert (caught.value.low, caught.value.high) == (2, 4)


def test_it_registers_itself(rpcbind: MemoryRpcbind) -> None:
    urls = ["tcp://0.0.0.0:111", "udp://[::]:111", "unix:///run/rpcbind.sock"]
    register_self(rpcbind.table, map(parse_url, urls))
    assert rpcbind.lines() == [
        *(f"100000 {vers} tcp 0.0.0.0.0.111 superuser" for vers in (4, 3, 2)),
        *(f"100000 {vers} udp6 ::.0.111 superuser" for vers in (4, 3)),
        *(f"100000 {vers} local /run/rpcbind.sock superuser" for vers in (4, 3)),
    ]
    assert v4(rpcbind, TCP).getaddr(Rpcb(100000, 4, "tcp", "", "")) == "127.0.0.1.0.111"
