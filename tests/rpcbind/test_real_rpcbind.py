"""The whole story on port 111: the system's rpcbind and ours, and rpcinfo to ask them."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import Process, until
from tests.peers.rpcbind import RPCSERVER, Entry, Rpcbind, embedded, entries, listen, rpcinfo
from tests.rpcbind.instance import PROG

SERVICES = ["tests.rpcbind.instance:First", "tests.rpcbind.instance:Second"]


def start(namespace: Namespace, *arguments: str) -> Process:
    """Start the service: options, or URLs to listen on."""
    options = [each for each in arguments if "://" not in each]
    urls = [each for each in arguments if "://" in each]
    return namespace.popen(*RPCSERVER, "serve", *SERVICES, *options, *listen(urls))


@contextmanager
def instance(namespace: Namespace, *arguments: str) -> Iterator[Process]:
    """The service, registered."""
    with start(namespace, *arguments) as process:
        process.wait_for("^ready$")
        yield process


def uaddr(process: Process, transport: str) -> str:
    """Where a process listens, as rpcbind writes it."""
    host, port = process.wait_for(rf"^listening {transport}://(.*):(\d+)$").groups()
    return f"{host}.{int(port) >> 8}.{int(port) & 255}"


def addresses(process: Process) -> list[Entry]:
    return [
        Entry(PROG, vers, netid, uaddr(process, netid), "superuser")
        for vers in (1, 2)
        for netid in ("tcp", "udp")
    ]


def test_rpcinfo_finds_the_service(registry: Namespace) -> None:
    with instance(registry) as process:
        assert entries(registry, PROG) == addresses(process)

        port = uaddr(process, "tcp").split(".")[4:]
        listed = rpcinfo(registry, "-p").stdout
        assert f"{PROG}    2   tcp  {int(port[0]) * 256 + int(port[1]):5}" in listed
        summary = [line.split() for line in rpcinfo(registry, "-s").stdout.splitlines()]
        assert [str(PROG), "2,1", "udp,tcp", "-", "superuser"] in summary

        for netid in ("tcp", "udp"):
            asked = rpcinfo(registry, "-T", netid, "127.0.0.1", str(PROG))
            assert asked.returncode == 0, asked.stderr
            assert asked.stdout.splitlines() == [
                f"program {PROG} version {vers} ready and waiting" for vers in (1, 2)
            ]
            asked = rpcinfo(registry, "-T", netid, "127.0.0.1", str(PROG), "3")
            assert "low version = 1, high version = 2" in asked.stderr

        assert process.stop(signal.SIGTERM) == 0
    assert entries(registry, PROG) == []
    assert rpcinfo(registry, "-T", "tcp", "127.0.0.1", str(PROG)).returncode != 0


def test_rpcinfo_knows_rpcbind_itself(registry: Namespace) -> None:
    found = {(e.version, e.netid) for e in entries(registry, 100000)}
    assert found >= {(vers, netid) for vers in (2, 3, 4) for netid in ("tcp", "udp")}
    assert found >= {(3, "local"), (4, "local")}
    for netid in ("tcp", "udp"):
        asked = rpcinfo(registry, "-T", netid, "127.0.0.1", "100000")
        assert asked.stdout.count("ready and waiting") == 3, asked.stdout + asked.stderr


def test_after_kill_9_the_new_addresses_replace_the_old(registry: Namespace) -> None:
    with instance(registry) as first:
        first.stop(signal.SIGKILL)
        assert entries(registry, PROG) == addresses(first)
        with instance(registry) as second:
            assert entries(registry, PROG) == addresses(second) != addresses(first)
            asked = rpcinfo(registry, "-T", "udp", "127.0.0.1", str(PROG))
            assert asked.stdout.count("ready and waiting") == 2
            assert second.stop(signal.SIGTERM) == 0
    assert entries(registry, PROG) == []


def test_a_second_instance_is_told_and_steals_nothing(registry: Namespace) -> None:
    with instance(registry) as first:
        with start(registry) as second:
            assert second.wait() == 1
            at = first.wait_for(r"^listening (tcp://\S+)")[1]
            assert f"program {PROG} version 1 (tcp) is served at {at}" in second.stderr()
            assert len(second.stderr().splitlines()) == 1, second.stderr()
        assert entries(registry, PROG) == addresses(first)

        with instance(registry, "--replace") as second:
            assert entries(registry, PROG) == addresses(second)
            assert first.stop(signal.SIGTERM) == 0
            assert entries(registry, PROG) == addresses(second), "the first took only its own"


def test_a_stopped_instance_is_still_there(registry: Namespace) -> None:
    with instance(registry) as first:
        first.send_signal(signal.SIGSTOP)
        with start(registry) as second:
            assert second.wait() == 1
            assert "does not answer but is there" in second.stderr()
        first.send_signal(signal.SIGCONT)
        assert entries(registry, PROG) == addresses(first)


def test_one_transport_of_a_dead_instance_is_taken_over_alone(registry: Namespace) -> None:
    with instance(registry) as first:
        first.stop(signal.SIGKILL)
        stale = [entry for entry in addresses(first) if entry.netid == "tcp"]
        with instance(registry, "udp://127.0.0.1:0") as second:
            fresh = [Entry(PROG, vers, "udp", uaddr(second, "udp"), "superuser") for vers in (1, 2)]
            assert set(entries(registry, PROG)) == {*stale, *fresh}
            second.stop(signal.SIGTERM)
        assert entries(registry, PROG) == stale


def test_a_wildcard_and_a_path(registry: Namespace) -> None:
    urls = ["tcp://0.0.0.0:2049", "tcp://[::1]:2049", "unix:///run/first.sock"]
    with instance(registry, *urls):
        assert [(e.netid, e.address) for e in entries(registry, PROG)] == [
            ("local", "/run/first.sock"),
            ("tcp", "0.0.0.0.8.1"),
            ("tcp6", "::1.8.1"),
        ] * 2
        asked = rpcinfo(registry, "-T", "local", "127.0.0.1", str(PROG), "1")
        assert "ready and waiting" in asked.stdout, asked.stderr
    assert entries(registry, PROG) == []


def test_without_an_rpcbind(namespace: Namespace) -> None:
    with instance(namespace) as process:
        (line,) = process.stderr().splitlines()
        assert "not registered: no rpcbind reached (unix:///run/rpcbind.sock:" in line
        assert process.stop() == 0


def test_with_one_of_its_own(namespace: Namespace) -> None:
    need("rpcbind", "rpcinfo")
    with instance(namespace, "--portmap") as process:
        assert [e.address for e in entries(namespace, PROG)] == [
            uaddr(process, netid) for netid in ("tcp", "udp") * 2
        ]
        assert process.stop() == 0
    assert entries(namespace) == []


def test_connect_by_host_name(registry: Namespace) -> None:
    source = """
import sys
from rpcserver.clients.finding import locate
for transport in ("tcp", "udp"):
    for host in ("127.0.0.1", "localhost"):
        print(locate(host, int(sys.argv[1]), 2, transport=transport, timeout=5))
"""
    with instance(registry) as process:
        found = registry.python(source, str(PROG)).split()
        listening = process.stdout().split()
    assert found == [listening[1], listening[1], listening[3], listening[3]]


LASTING = """
import rpcserver
from tests.rpcbind.instance import First, Second
with rpcserver.serve(First(), Second(), listen=["tcp://127.0.0.1:4000"], heartbeat=0.1) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


def test_an_rpcbind_that_was_restarted_is_told_again(namespace: Namespace) -> None:
    """The system's, and after it ours: each starts with an empty table."""
    with namespace.popen(sys.executable, "-c", LASTING) as process:
        process.wait_for("^ready$")
        for rpcbind in (Rpcbind(namespace), Rpcbind(namespace), embedded(namespace)):
            with rpcbind:
                found = until("both versions", lambda: len(entries(namespace, PROG)) == 2)
                assert found and process.returncode is None
            namespace.run("rm", "-f", "/run/rpcbind.sock", "/run/rpcbind.lock")
