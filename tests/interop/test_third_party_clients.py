"""Programs that others wrote call the services in examples/, found through the system's rpcbind
and through ours."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.nis import Nis
from generated.yp import YpversClient
from rpcserver import testing
from rpcserver.errors import TimedOut
from tests.interop.utmp import log_in
from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import Process
from tests.peers.rpcbind import RPCSERVER, Rpcbind, entries, listen

HOST = "127.0.0.1"
MOUNT = "examples.mountd:Mount"


@contextmanager
def serving(namespace: Namespace, *services: str, host: str = HOST) -> Iterator[Process]:
    """Services in a process of their own, on TCP and UDP."""
    urls = listen([f"tcp://{host}:0", f"udp://{host}:0"])
    with namespace.popen(*RPCSERVER, "serve", *services, *urls) as process:
        process.wait_for("^ready$")
        yield process
        assert process.stop() == 0, process.stderr()


def printed(namespace: Namespace, *argv: str, input: str | None = None) -> list[str]:
    """The lines that a program prints, which must be content with what it got."""
    done = namespace.run(*argv, input=input)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_showmount(registry: Namespace) -> None:
    need("nfs-common", "showmount")
    need("libnfs-utils", "nfs-ls")
    with serving(registry, MOUNT):
        assert printed(registry, "showmount", "-e", HOST)[1:] == [
            "/srv/public (everyone)",
            "/srv/lab    127.0.0.0/8,192.0.2.0/24",
            "/srv/office 198.51.100.0/24",
        ]
        assert printed(registry, "showmount", "-a", HOST)[1:] == []

        def mount(path: str) -> str:
            return registry.run("nfs-ls", f"nfs://{HOST}{path}?version=3").stderr

        # It mounts, and then finds that there is no NFS server.
        assert "Program is not available" in mount("/srv/public")
        assert "Program is not available" in mount("/srv/lab")
        assert "MNT3ERR_ACCES" in mount("/srv/office")
        assert "MNT3ERR_NOENT" in mount("/srv/none")
        assert printed(registry, "showmount", "-a", HOST)[1:] == [
            f"{HOST}:/srv/lab",
            f"{HOST}:/srv/public",
        ]
        assert printed(registry, "showmount", HOST)[1:] == [HOST]

        ours = [*RPCSERVER, "call", "idl/mount.x", HOST]
        printed(registry, *ours, "umnt", '"/srv/lab"')
        assert printed(registry, "showmount", "-d", HOST)[1:] == ["/srv/public"]
        printed(registry, *ours, "umntall")
        assert printed(registry, "showmount", "-d", HOST)[1:] == []


def switches() -> int:
    """The context switches of this host since it started."""
    found = re.search(r"^ctxt (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_rup_and_rsysinfo(registry: Namespace) -> None:
    need("rstat-client", "rup", "rsysinfo")
    with serving(registry, "examples.rstatd:Rstat") as process:
        before = time.time()
        (line,) = printed(registry, "rup", HOST)
        after = time.time()
        # It asks for version 5, and takes the one it is told that there is.
        assert "ProgMismatch: the server has versions 3 to 3" in process.stderr()
        found = re.search(r" (\d+):(\d\d) up .*, load (\d+\.\d\d) (\d+\.\d\d) (\d+\.\d\d)$", line)
        assert found is not None, line
        clocks = [time.localtime(when)[3:5] for when in (before, after)]
        assert (int(found[1]), int(found[2])) in clocks
        for shown, load in zip(found.groups()[2:], os.getloadavg(), strict=True):
            assert float(shown) == pytest.approx(load, abs=1)

        least = switches()
        text = "\n".join(printed(registry, "rsysinfo", HOST))
        most = switches()
        found = re.search(r"context switches: (-?\d+)", text)
        assert found is not None, text
        assert (int(found[1]) - least) % 2**32 <= most - least


def test_rusers(registry: Namespace) -> None:
    need("rusers", "rusers")
    since = int(time.time())
    log_in(registry, ("alice", "pts/700", "desk.example", since), ("bob", ":0", "", since))
    with serving(registry, "examples.rusersd:Rusers2", "examples.rusersd:Rusers3"):
        first, second = printed(registry, "rusers", "-l", HOST)
        assert re.match(r"alice +\S+:pts/700 .* \(desk.example\)$", first)
        assert re.match(r"bob +\S+::0 .*\d\d:\d\d +$", second)
        (line,) = printed(registry, "rusers", HOST)
        assert line.split()[1:] == ["alice", "bob"]


def test_rwall(registry: Namespace) -> None:
    need("rwall", "rwall")
    with serving(registry, "examples.rwalld:Wall") as process:
        assert printed(registry, "rwall", HOST, input="hi\nall of you\33[2J\n") == []
        lines = process.stderr().splitlines()
        assert lines[0] == f"wall: from {HOST}"
        assert {"wall: hi", "wall: all of you?[2J"} < set(lines)


def test_ypcat_and_yppoll(registry: Namespace) -> None:
    need("yp-tools", "ypcat", "yppoll")
    with serving(registry, "examples.nis:Nis"):
        ypcat = ["ypcat", "-d", "lab", "-h", HOST]
        assert printed(registry, *ypcat, "hosts.byname") == ["192.0.2.7 lab7", "192.0.2.8 lab8"]
        assert printed(registry, *ypcat, "-k", "hosts.byname") == [
            "lab7 192.0.2.7 lab7",
            "lab8 192.0.2.8 lab8",
        ]
        assert printed(registry, *ypcat, "netgroup") == []
        missing = registry.run(*ypcat, "nothing")
        assert missing.returncode == 1
        assert "No such map in server's domain" in missing.stderr

        polled = "\n".join(printed(registry, "yppoll", "-d", "lab", "-h", HOST, "hosts.byname"))
        assert "Domain lab is supported." in polled
        assert f"The master server is {socket.gethostname()[:64]}." in polled
        made = re.search(r"has order number (\d+)\.", polled)
        assert made is not None and abs(time.time() - int(made[1])) < 60
        other = registry.run("yppoll", "-d", "office", "-h", HOST, "hosts.byname")
        assert "Domain office is not supported" in other.stdout + other.stderr


def test_who_has_no_such_domain_is_silent() -> None:
    with testing.connect(YpversClient, Nis()) as nis:
        assert nis.domain_nonack("lab") is True
        with pytest.raises(TimedOut):
            nis.domain_nonack("office")


def test_rpcinfo_knows_our_addresses(registry: Namespace) -> None:
    ready = "program 100005 version 3 ready and waiting"
    with serving(registry, MOUNT) as process:
        ports = dict(re.findall(r"^listening (tcp|udp)://.*:(\d+)$", process.stdout(), re.M))
        uaddrs = {e.netid: e.address for e in entries(registry, 100005)}
        assert set(ports) == set(uaddrs) == {"tcp", "udp"}
        for netid in ports:
            option = f"-{netid[0]}"
            for asked in (
                [option, HOST, "100005"],
                [option, HOST, "100005", "3"],
                ["-n", ports[netid], option, HOST, "100005", "3"],
                ["-a", uaddrs[netid], "-T", netid, "100005", "3"],
            ):
                assert printed(registry, "rpcinfo", *asked) == [ready]
        listed = [line.split() for line in printed(registry, "rpcinfo", "-l", HOST, "100005", "3")]
        assert listed[1:] == [
            ["100005", "3", "inet/tcp/cots_ord", uaddrs["tcp"], "mountd"],
            ["100005", "3", "inet/udp/clts", uaddrs["udp"], "mountd"],
        ]


def test_rpcinfo_broadcasts(namespace: Namespace) -> None:
    need("coreutils", "stdbuf")
    for command in (
        "link add v0 type veth peer name v1",
        "addr add 198.51.100.1/24 brd + dev v0",
        "link set v0 up",
        "link set v1 up",
    ):
        namespace.run("ip", *command.split(), check=True)
    # Whatever is registered, rpcbind passes the call on to 127.0.0.1.
    with Rpcbind(namespace, "-r"), serving(namespace, MOUNT, host="0.0.0.0") as process:
        high, low = divmod(int(process.wait_for(r"^listening udp://.*:(\d+)$")[1]), 256)
        # It waits 12 seconds for more answers, and prints nothing before unless it is told to.
        with namespace.popen("stdbuf", "-o0", "rpcinfo", "-b", "100005", "3") as broadcast:
            broadcast.wait_for(rf"^198\.51\.100\.1\.{high}\.{low}\s")
