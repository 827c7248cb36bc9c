"""``rpcserver portmap``, ``info`` and ``ping``: an rpcbind of our own, and what is asked there."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.calc import CalcV1, CalcV2
from rpcserver import rpc
from rpcserver.clients.finding import open_rpcbind
from rpcserver.protocols.rpcb_prot import RPCBPROG
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.servers.serve import serve
from rpcserver.servers.server import Server
from tests.cli.command import CALC_PROG, invoke, run, running


@pytest.fixture
def calc(rpcbind: str) -> Iterator[Server]:
    """The calculator on TCP and UDP, registered."""
    with serve(CalcV1(), CalcV2(), rpcbind=rpcbind) as server:
        yield server.start()


# ---- portmap


def test_portmap(tmp_path: Path) -> None:
    path = tmp_path / "rpcbind.sock"
    urls = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", f"unix://{path}"]
    with running("portmap", *(word for url in urls for word in ("--listen", url))) as portmap:
        places = [parse_url(url) for url in portmap.urls]
        assert [place.transport for place in places] == ["tcp", "udp", "unix"]
        for url in portmap.urls:
            with open_rpcbind(url) as asked:
                found = {(each.vers, each.netid, each.address) for each in asked.dump()}
            assert {(4, place.netid, place.uaddr) for place in places} <= found
        with running("serve", "examples.calc:CalcV2", "--rpcbind", f"unix://{path}"):
            shown = invoke("info", "--json", "--rpcbind", portmap.urls[0]).stdout
            (owner,) = {each["owner"] for each in json.loads(shown) if each["prog"] == CALC_PROG}
            assert owner != "unknown"  # the kernel says who it is
        assert portmap.process.stop(signal.SIGINT) == 0
    assert not path.exists()


def test_portmap_on_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = run("portmap", "--listen", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: cannot listen on {url}: Address already in use\n"


# ---- info


def test_info(rpcbind: str, calc: Server) -> None:
    done = invoke("info", "--rpcbind", rpcbind)
    assert done.exit_code == 0
    head, *rows = (line.split() for line in done.stdout.splitlines())
    assert head == ["program", "version", "netid", "address", "owner", "name"]
    assert [str(RPCBPROG), "4", "tcp", rpcbind, "superuser"] in [row[:5] for row in rows]
    shown = [row[:4] for row in rows if row[0] == str(CALC_PROG)]
    assert shown == [
        [str(CALC_PROG), vers, url.partition(":")[0], url]
        for vers in ("1", "2")
        for url in calc.endpoints
    ]


def test_info_as_json(rpcbind: str, calc: Server) -> None:
    done = invoke("info", "--json", "--rpcbind", rpcbind)
    entries = [each for each in json.loads(done.stdout) if each["prog"] == CALC_PROG]
    tcp = parse_url(calc.endpoints[0])
    assert entries[0] == {
        "prog": CALC_PROG,
        "vers": 1,
        "netid": "tcp",
        "address": tcp.uaddr,
        "owner": entries[0]["owner"],
        "url": str(tcp),
    }


def test_info_shows_what_it_was_told_as_it_is(rpcbind: str) -> None:
    with open_rpcbind(rpcbind) as asked:
        assert asked.set(CALC_PROG, 1, Endpoint("unix", path="/[red]\x1b[31m"))
        assert asked.set(CALC_PROG, 2, Endpoint("unix", path="/" + "x" * 200))
    done = invoke("info", "--rpcbind", rpcbind)
    assert "/[red]\\x1b[31m" in done.stdout  # no markup, and nothing that moves the cursor
    assert "x" * 200 in done.stdout  # nothing cut off


@pytest.mark.parametrize("args", [["info"], ["ping", "localhost", "100000"]])
def test_no_rpcbind(args: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        url = f"tcp://127.0.0.1:{found.getsockname()[1]}"
    done = invoke(*args, "--rpcbind", url)
    assert (done.exit_code, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1


# ---- ping


def test_ping_walks_the_versions(rpcbind: str, calc: Server) -> None:
    done = invoke("ping", "localhost", str(CALC_PROG), "--rpcbind", rpcbind)
    url = calc.endpoints[0]
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"program {CALC_PROG} version 1 at {url}: ready",
        f"program {CALC_PROG} version 2 at {url}: ready",
    ]


def test_ping_one_version(calc: Server) -> None:
    for url in calc.endpoints:
        done = invoke("ping", url, hex(CALC_PROG), "2")
        assert (done.exit_code, done.stdout.count("ready")) == (0, 1)
        assert invoke("ping", url, hex(CALC_PROG), "3").exit_code == 66
        assert invoke("ping", url, "0x20000197").exit_code == 65


def test_ping_by_name(rpcbind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "rpc"
    names.write_text("# comment\nrpcbind 100000 portmap # old\nbroken\n", encoding="utf-8")
    monkeypatch.setattr("rpcserver.cli.options.PROGRAMS", names)
    for name in ("rpcbind", "portmap"):
        done = invoke("ping", rpcbind, name)
        assert [line.split()[3] for line in done.stdout.splitlines()] == ["2", "3", "4"]
    for name in ("nfs", "broken", "-1", "4294967296"):
        assert invoke("ping", "--", rpcbind, name).exit_code == 2


def test_ping_what_is_not_registered(rpcbind: str) -> None:
    done = invoke("ping", "localhost", str(CALC_PROG), "--rpcbind", rpcbind)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "not registered" in done.stderr


class SECOND(rpc.Version, prog=CALC_PROG, vers=2):
    pass


class FIFTH(rpc.Version, prog=CALC_PROG, vers=5):
    pass


class LAST(rpc.Version, prog=CALC_PROG, vers=0xFFFFFFFF):
    pass


class Second(rpc.Service, version=SECOND):
    pass


class Fifth(rpc.Service, version=FIFTH):
    pass


class Last(rpc.Service, version=LAST):
    pass


@pytest.mark.parametrize("last", [Fifth(), Last()])
def test_ping_passes_over_gaps(last: rpc.Service) -> None:
    with serve(Second(), last, register=False) as server:
        server.start()
        done = invoke("ping", server.endpoints[0], str(CALC_PROG))
    assert done.exit_code == 0
    versions = [line.split()[3] for line in done.stdout.splitlines()]
    assert versions == (["2", "5"] if isinstance(last, Fifth) else ["2"])
