"""Our rpcbind in the place of the system's: rpcinfo in its other modes, and the same answers."""

import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.peers.netns import Namespace
from tests.peers.rpcbind import Entry, Rpcbind, embedded, entries, rpcinfo
from tests.rpcbind.instance import PROG
from tests.rpcbind.test_real_rpcbind import instance

HERE = "198.51.100.2"
DIFFERENCES: list[dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("differences.toml").read_text()
)["difference"]


def test_the_list_of_differences_is_short() -> None:
    assert 0 < len(DIFFERENCES) <= 10


@pytest.fixture
def ours(namespace: Namespace) -> Iterator[Namespace]:
    """A namespace with our rpcbind, and an address beside the loopback ones."""
    namespace.run("ip", "addr", "add", f"{HERE}/24", "dev", "lo", check=True)
    with embedded(namespace):
        yield namespace


def test_addrlist(ours: Namespace) -> None:
    with instance(ours, "tcp://0.0.0.0:2049", "udp://0.0.0.0:2049"):
        listed = rpcinfo(ours, "-l", HERE, str(PROG), "1").stdout
        assert [line.split()[2:4] for line in listed.splitlines()[1:]] == [
            ["inet/tcp/cots_ord", f"{HERE}.8.1"],
            ["inet/udp/clts", f"{HERE}.8.1"],
        ]


def test_the_interface_that_was_asked(ours: Namespace) -> None:
    with instance(ours, "tcp://0.0.0.0:2049", "udp://0.0.0.0:2049"):
        for host in ("127.0.0.1", HERE):
            for netid in ("tcp", "udp"):
                asked = rpcinfo(ours, "-T", netid, host, str(PROG))
                assert asked.stdout.count("ready and waiting") == 2, asked.stderr


def test_strangers_do_not_register(ours: Namespace) -> None:
    source = f"""
from tests.peers import wire
for vers, args in ((2, wire.words({PROG}, 1, 6, 1025)), (4, wire.words({PROG}, 1) + bytes(12))):
    for proc in (1, 2):
        call = wire.call(100000, vers, proc, args)
        print(wire.parse_reply(wire.tcp_exchange(("{HERE}", 111), call)).auth_stat)
        print(wire.parse_reply(wire.udp_exchange(("{HERE}", 111), call)).auth_stat)
"""
    assert ours.python(source).split() == ["5"] * 8


def test_delete(ours: Namespace) -> None:
    with instance(ours):
        assert rpcinfo(ours, "-d", str(PROG), "1").returncode == 0
        assert {e.version for e in entries(ours, PROG)} == {2}


def test_the_owner_is_the_user(ours: Namespace) -> None:
    source = f"""
import os
from rpcserver.clients.finding import open_rpcbind
from rpcserver.rpcbind.netid import parse_url
os.seteuid(1000)
with open_rpcbind(for_registration=True) as rpcbind:
    print(rpcbind.endpoint, rpcbind.set({PROG}, 1, parse_url("tcp://127.0.0.1:1025")))
"""
    assert ours.python(source).split() == ["unix:///run/rpcbind.sock", "True"]
    assert entries(ours, PROG) == [Entry(PROG, 1, "tcp", "127.0.0.1.4.1", "1000")]


def test_statistics(ours: Namespace) -> None:
    rpcinfo(ours, "-T", "tcp", "127.0.0.1", "100000", "2")
    shown = rpcinfo(ours, "-m").stdout
    assert "PORTMAP (version 2) statistics" in shown
    table = shown.partition("RPCB_GETADDR (version 4) call statistics")[2].split()
    assert table[5:10] == ["portmapper", "2", "tcp", "1", "0"], shown


def test_the_same_answers_as_the_systems() -> None:
    """To the same random sequences of calls, made by three users over three transports."""

    def answers(rpcbind: Callable[[Namespace], Any], seed: int) -> list[str]:
        module = ["-m", "tests.rpcbind.differential", str(seed), "700"]
        with Namespace() as namespace, rpcbind(namespace):
            return namespace.run(sys.executable, *module, check=True).stdout.splitlines()

    with ThreadPoolExecutor() as pool:  # mostly, they wait for the system's
        theirs, ours = (
            [pool.submit(answers, rpcbind, seed) for seed in (1, 2, 3)]
            for rpcbind in (Rpcbind, embedded)
        )
    seen = set()
    for left, right in zip(ours, theirs, strict=True):
        assert left.result().count("---") == 700
        for own, other in zip(left.result(), right.result(), strict=True):
            if own != other:
                seen.add(deliberate(own, other))
    assert seen == {each["why"] for each in DIFFERENCES}


def deliberate(ours: str, theirs: str) -> str:
    """Why the answers to a call differ, as the list of differences has it."""
    question, _, answer = ours.rpartition(" -> ")
    assert theirs.startswith(f"{question} -> "), f"{ours}\n{theirs}"
    for each in DIFFERENCES:
        if (
            re.match(each["question"], question)
            and re.fullmatch(each["ours"], answer)
            and re.fullmatch(each["theirs"], theirs.rpartition(" -> ")[2])
        ):
            return each["why"]
    raise AssertionError(f"ours:   {ours}\ntheirs: {theirs}")


def test_it_ends_at_once(namespace: Namespace) -> None:
    with embedded(namespace) as process:
        assert rpcinfo(namespace, "-p").returncode == 0
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < 2
    assert namespace.run("ls", "/run").stdout == ""
