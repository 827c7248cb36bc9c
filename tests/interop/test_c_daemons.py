"""Our clients, blocking and asyncio's, call daemons that others wrote, found through rpcbind."""

import re
import time
from pathlib import Path

import pytest

from generated import rstat, rusers, rwall, sm_inter, yp
from rpcserver.errors import BadReply, NotReached
from rpcserver.protocols import pmap_prot, rpcb_prot
from tests.interop.conftest import Connect
from tests.interop.utmp import log_in
from tests.peers.daemon import Registered, background, foreground
from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import until
from tests.peers.rpcbind import Entry, Rpcbind

PROG = 0x20000200


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rpcbind_version_4(system_rpcbind: Rpcbind, connect: Connect, transport: str) -> None:
    with connect(rpcb_prot.Rpcbvers4Client, transport=transport) as rpcbind:
        ours = rpcb_prot.Rpcb(PROG, 1, transport, "127.0.0.1.4.1", "somebody")
        assert rpcbind.set(ours) is True
        noted = (PROG, 1, transport, ours.r_addr, "unknown")
        assert system_rpcbind.entries(PROG) == [Entry(*noted)]
        listed = [each.rpcb_map for each in rpcbind.dump() if each.rpcb_map.r_prog == PROG]
        assert listed == [rpcb_prot.Rpcb(*noted)]
        assert rpcbind.getaddr(ours) == ours.r_addr
        assert rpcbind.getversaddr(rpcb_prot.Rpcb(PROG, 2, transport, "", "")) == ""
        found = [each.rpcb_entry_map for each in rpcbind.getaddrlist(ours)]
        assert [(each.r_maddr, each.r_nc_netid) for each in found] == [(ours.r_addr, transport)]
        assert abs(rpcbind.gettime() - time.time()) < 5
        taken_apart = rpcbind.uaddr2taddr("192.0.2.7.8.1")
        assert bytes((8, 1, 192, 0, 2, 7)) in taken_apart.buf
        assert rpcbind.taddr2uaddr(taken_apart) == "192.0.2.7.8.1"
        assert rpcbind.unset(ours) is True
        assert system_rpcbind.entries(PROG) == []
        counts = rpcbind.getstat()
        assert [counts[2].setinfo, counts[2].unsetinfo] == [1, 1]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rpcbind_versions_3_and_2(
    system_rpcbind: Rpcbind, connect: Connect, transport: str
) -> None:
    with connect(rpcb_prot.RpcbversClient, transport=transport) as rpcbind:
        ours = rpcb_prot.Rpcb(PROG, 1, transport, "127.0.0.1.4.1", "")
        assert rpcbind.set(ours) is True
        assert rpcbind.getaddr(ours) == ours.r_addr
    protocol = {"tcp": pmap_prot.IPPROTO_TCP, "udp": pmap_prot.IPPROTO_UDP}[transport]
    first = pmap_prot.Mapping(PROG, 1, protocol, 1025)
    second = pmap_prot.Mapping(PROG, 2, protocol, 1026)
    with connect(pmap_prot.PmapVersClient, transport=transport) as portmap:
        portmap.null()
        assert portmap.getport(pmap_prot.Mapping(PROG, 1, protocol, 0)) == 1025
        assert portmap.set(second) is True
        listed = [each.map for each in portmap.dump() if each.map.prog == PROG]
        assert listed == [first, second]
        assert [portmap.unset(each) for each in listed] == [True, True]
    assert system_rpcbind.entries(PROG) == []


def test_what_is_not_registered(system_rpcbind: Rpcbind, connect: Connect) -> None:
    with pytest.raises(NotReached, match="program 100001 is not registered"):
        with connect(rstat.RstatversTimeClient):
            pass


@pytest.mark.usefixtures("system_rpcbind")
def test_rstatd(namespace: Namespace, connect: Connect) -> None:
    need("rstatd", "rpc.rstatd")

    def of_the_kernel(name: str) -> int:
        found = re.search(rf"^{name} (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) % 2**32

    with background(namespace, Registered(100001, 1, "udp"), "rpc.rstatd"):
        with connect(rstat.RstatversUsersClient) as host:
            before = of_the_kernel("ctxt")
            stats = host.stats()
            after = of_the_kernel("ctxt")
            assert (stats.v_swtch - before) % 2**32 <= (after - before) % 2**32
            assert abs(stats.boottime.tv_sec - of_the_kernel("btime")) <= 2
            assert abs(stats.curtime.tv_sec - time.time()) < 5
            assert stats.num_users == 0
            assert host.havedisk() in (0, 1)
        # Its answer to this version has four bytes too many.
        with connect(rstat.RstatversTimeClient) as host:
            with pytest.raises(BadReply, match="4 bytes left over"):
                host.stats()
        with connect(rstat.RstatversTimeClient, lenient=True) as host:
            assert abs(host.stats().boottime.tv_sec - stats.boottime.tv_sec) <= 2


@pytest.mark.usefixtures("system_rpcbind")
def test_rusersd(namespace: Namespace, connect: Connect) -> None:
    need("rusersd", "rpc.rusersd")
    since = int(time.time()) - 60
    log_in(namespace, ("alice", "pts/700", "desk.example", since), ("bob", ":0", "", since))
    with background(namespace, Registered(100002, 2, "udp"), "rpc.rusersd"):
        with connect(rusers.RusersversIdleClient) as host:
            assert host.num() == 2
            first, second = host.names()
            assert first.ui_utmp == rusers.RuUtmp(
                b"pts/700".ljust(8, b"\0"),
                b"alice".ljust(8, b"\0"),
                b"desk.example".ljust(16, b"\0"),
                since,
            )
            assert second.ui_utmp.ut_name.rstrip(b"\0") == b"bob"
            assert [each.ui_utmp for each in host.allnames()] == [first.ui_utmp, second.ui_utmp]
        with connect(rusers.Rusersvers3Client) as host:
            assert host.num() == 2
            one, two = host.names()
            assert (one.ut_user, one.ut_line, one.ut_host) == ("alice", "pts/700", "desk.example")
            assert (one.ut_type, one.ut_time) == (rusers.RUSERS_USER_PROCESS, since)
            assert (two.ut_user, two.ut_line, two.ut_host) == ("bob", ":0", "")


@pytest.mark.usefixtures("system_rpcbind")
def test_rwalld(namespace: Namespace, connect: Connect, tmp_path: Path) -> None:
    need("rwalld", "rpc.rwalld")
    need("bsdutils", "wall")
    # The daemon, as nobody, hands the text to wall: to this one, which finds no terminals.
    wall = tmp_path / "wall"
    wall.write_text("#!/bin/sh\ncat >/run/wall\n")
    wall.chmod(0o755)
    namespace.run("mount", "--bind", wall, "/usr/bin/wall", check=True)
    namespace.run("install", "-m", "666", "/dev/null", "/run/wall", check=True)
    with background(namespace, Registered(100008, 1, "udp"), "rpc.rwalld"):
        with connect(rwall.WallversClient) as host:
            assert host.wall("Grüße\nan alle\n") is None
        said = "\a\aGrüße\nan alle\n"
        until("the message", lambda: namespace.run("cat", "/run/wall").stdout == said)


@pytest.mark.usefixtures("system_rpcbind")
def test_ypserv(namespace: Namespace, connect: Connect) -> None:
    need("ypserv", "ypserv")
    entries = {f"key{number}": f"value {number}" + "x" * (number % 100) for number in range(5000)}
    source = "".join(f"{key} {value}\n" for key, value in entries.items())
    namespace.run("mount", "-t", "tmpfs", "tmpfs", "/var/yp", check=True)
    namespace.run("mkdir", "/var/yp/lab", check=True)
    makedbm = ["/usr/lib/yp/makedbm", "-m", "here", "-", "/var/yp/lab/some.map"]
    namespace.run(*makedbm, input=source, check=True)
    wanted = yp.YpreqNokey("lab", "some.map")

    with foreground(namespace, Registered(100004, 2, "tcp"), "ypserv", "-f"):
        with connect(yp.YpversClient) as nis:
            nis.null()
            assert [nis.domain("lab"), nis.domain("office")] == [True, False]
            everything = [each.val for each in nis.all(wanted)]
            assert {each.stat for each in everything} == {yp.Ypstat.YP_TRUE}
            pairs = [(each.key.decode(), each.val.decode()) for each in everything]
            assert len(pairs) == len(entries)
            assert dict(pairs) == entries
            (end,) = nis.all(yp.YpreqNokey("lab", "no.map"))
            assert end.val.stat is yp.Ypstat.YP_NOMAP
        for transport in ("tcp", "udp"):
            with connect(yp.YpversClient, transport=transport) as nis:
                value = nis.match(yp.YpreqKey("lab", "some.map", b"key7"))
                assert value == yp.YprespVal(yp.Ypstat.YP_TRUE, b"value 7xxxxxxx")
                missing = nis.match(yp.YpreqKey("lab", "some.map", b"key"))
                assert missing == yp.YprespVal(yp.Ypstat.YP_NOKEY, b"")
                first = nis.first(wanted)
                assert first == everything[0]
                assert nis.next(yp.YpreqKey("lab", "some.map", first.key)) == everything[1]
                last = nis.next(yp.YpreqKey("lab", "some.map", everything[-1].key))
                assert last.stat is yp.Ypstat.YP_NOMORE
                assert nis.master(wanted) == yp.YprespMaster(yp.Ypstat.YP_TRUE, "here")
                assert abs(nis.order(wanted).ordernum - time.time()) < 60
                maps = yp.YprespMaplist(yp.Ypstat.YP_TRUE, [yp.Ypmaplist("some.map")])
                assert nis.maplist("lab") == maps


@pytest.mark.usefixtures("system_rpcbind")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_statd(namespace: Namespace, connect: Connect, transport: str) -> None:
    need("nfs-common", "rpc.statd")
    namespace.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib/nfs", check=True)
    namespace.run("mkdir", "/var/lib/nfs/sm", "/var/lib/nfs/sm.bak", check=True)
    namespace.run("chown", "-R", "statd", "/var/lib/nfs", check=True)
    # It calls nobody back but a lock manager.
    lockd = sm_inter.MyId("127.0.0.1", 100021, 3, 16)
    watched = sm_inter.MonId("127.0.0.1", lockd)

    def files() -> list[str]:
        return namespace.run("ls", "/var/lib/nfs/sm").stdout.split()

    statd = ["rpc.statd", "-F", "--no-notify"]
    with foreground(namespace, Registered(100024, 1, transport), *statd):
        with connect(sm_inter.SmVersClient, transport=transport) as monitor:
            monitor.sm_null()
            status = monitor.sm_stat(sm_inter.SmName("127.0.0.1"))
            assert status.res_stat is sm_inter.Res.stat_succ
            assert status.state % 2 == 1
            stranger = monitor.sm_stat(sm_inter.SmName("nobody.invalid"))
            assert stranger.res_stat is sm_inter.Res.stat_fail

            assert monitor.sm_mon(sm_inter.Mon(watched, bytes(range(16)))) == status
            assert len(files()) == 1
            assert monitor.sm_unmon(watched) == sm_inter.SmStat(status.state)
            assert files() == []
            assert monitor.sm_mon(sm_inter.Mon(watched, bytes(16))) == status
            assert monitor.sm_unmon_all(lockd) == sm_inter.SmStat(status.state)
            assert files() == []
            assert monitor.sm_simu_crash() is None
