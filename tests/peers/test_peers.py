"""The peers themselves: each works, and says so when it does not."""

import struct
from pathlib import Path

import pytest

from tests.peers import wire
from tests.peers.cc import CalcC, CalcServer
from tests.peers.need import need
from tests.peers.netns import Namespace
from tests.peers.process import Process, until
from tests.peers.rpcbind import Entry, Rpcbind, entries
from tests.peers.tshark import Capture
from tests.peers.xdr_peer import Refused, XdrPeer

CALC_PROG = 0x20000199
ADD = wire.call(CALC_PROG, 2, 1, wire.words(20, -62))


# need


def test_a_missing_program_skips_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program not found: .* some-package"):
        need("some-package", "sh", "no-such-program")


def test_a_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="some-package"):
        need("some-package", "no-such-program")


# process


def test_process_shows_output_and_status() -> None:
    with Process(["sh", "-c", "echo one; echo port 42; echo oops >&2; sleep 60"]) as process:
        assert process.wait_for(r"^port (\d+)$")[1] == "42"
        until("stderr", process.stderr)
        assert process.stderr() == "oops\n"
        assert process.returncode is None
    assert process.returncode == -15


def test_process_that_ends_early_tells_why() -> None:
    process = Process(["sh", "-c", "echo no luck >&2; exit 3"])
    with process, pytest.raises(RuntimeError, match="3: no luck"):
        process.wait_for("ready")


# wire


@pytest.mark.parametrize("fragment", [None, 1, 3, 4, 100])
def test_frame_and_unframe(fragment: int | None) -> None:
    records = [b"", b"abcd", bytes(range(256))]
    assert wire.unframe(b"".join(wire.frame(r, fragment) for r in records)) == records


def test_parse_reply() -> None:
    words = wire.words
    assert wire.parse_reply(words(7, 1, 0, 0, 0, 0, 42)) == wire.Reply(
        7, wire.MSG_ACCEPTED, wire.SUCCESS, verf_flavor=0, verf_body=b"", results=words(42)
    )
    mismatch = wire.parse_reply(words(7, 1, 0, 0, 0, wire.PROG_MISMATCH, 2, 4))
    assert (mismatch.accept_stat, mismatch.low, mismatch.high) == (wire.PROG_MISMATCH, 2, 4)
    assert wire.parse_reply(words(7, 1, 1, 1, 5)).auth_stat == 5
    assert wire.parse_reply(words(7, 1, 1, 0, 2, 2)).low == 2
    with pytest.raises(AssertionError, match="4 bytes too many"):
        wire.parse_reply(words(7, 1, 1, 1, 5, 0))
    with pytest.raises(struct.error):
        wire.parse_reply(words(7, 1, 0, 0, 0))


def test_wire_calls_a_c_server(calc_c_server: CalcServer) -> None:
    tcp, udp = ("127.0.0.1", calc_c_server.tcp), ("127.0.0.1", calc_c_server.udp)
    assert wire.parse_reply(wire.tcp_exchange(tcp, ADD)).results == wire.words(-42)
    answer = wire.udp_exchange(udp, ADD)
    assert answer is not None and wire.parse_reply(answer).results == wire.words(-42)
    several = wire.stream_exchange(tcp, ADD, ADD, fragment=5)
    assert [wire.parse_reply(r).results for r in several] == [wire.words(-42)] * 2
    assert wire.udp_exchange(udp, b"no call", timeout=0.1) is None


# cc


@pytest.mark.parametrize("auth", ["none", "sys"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_c_client_calls_c_server(
    calc_c: CalcC, calc_c_server: CalcServer, transport: str, auth: str
) -> None:
    done = calc_c.call(calc_c_server.port(transport), transport, auth)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok   first: calcproc_add_1\n" in done.stdout
    assert "ok   refusals: unknown program\n" in done.stdout
    assert ("ok   large: " in done.stdout) == (transport == "tcp")


def test_c_client_calls_one_version(calc_c: CalcC, calc_c_server: CalcServer) -> None:
    first = calc_c.call(calc_c_server.tcp, version="1").stdout.splitlines()
    assert len(first) == 9 and all("first: calcproc_" in line for line in first[:-1])
    unions = calc_c.call(calc_c_server.tcp, version="2", check="unions").stdout.splitlines()
    assert all("unions: calcproc2_" in line for line in unions[:-1])


def test_c_client_notices_a_wrong_answer(calc_c: CalcC) -> None:
    """A server that answers every call with an int of 1, which few of them are."""
    source = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("port", s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data[:4] + bytes([0, 0, 0, 1] + [0] * 19 + [1]), peer)
"""
    with Process(["python3", "-c", source]) as process:
        port = int(process.wait_for(r"port (\d+)")[1])
        done = calc_c.call(port, "udp", check="first")
    assert done.returncode == 1
    assert "FAIL first: calcproc_add_1: another answer than expected\n" in done.stdout


# xdr_peer


def test_xdr_peer_knows_every_type(calc_xdr_peer: XdrPeer) -> None:
    assert {"color", "digest", "everything", "maybe_point", "shape"} <= set(calc_xdr_peer.types)
    with pytest.raises(KeyError):
        calc_xdr_peer.recode("no_such_type", b"")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("unsigned hyper", b"\xff" * 8),
        ("string", wire.opaque(b"hello")),
        ("color", wire.words(-2)),
        ("digest", b"\x00\x01\x02\x03"),
        ("triangle", wire.words(0, 0, 4, 0, 0, 3)),
        ("nodelist", wire.words(1, 5, 1, 6, 0)),
        ("node", wire.words(5, 1, 6, 0)),
        ("shape", wire.words(-1) + bytes(8)),
        ("blob", wire.opaque(bytes(1 << 20))),
    ],
)
def test_xdr_peer_gives_the_bytes_back(calc_xdr_peer: XdrPeer, name: str, data: bytes) -> None:
    recoded = calc_xdr_peer.recode(name, data + b"more")
    assert recoded.data == data
    assert recoded.used == len(data)


def test_xdr_peer_refuses_bad_bytes(calc_xdr_peer: XdrPeer) -> None:
    with pytest.raises(Refused, match="cannot decode"):
        calc_xdr_peer.recode("word", wire.opaque(b"x" * 17))
    assert calc_xdr_peer.recode("word", wire.opaque(b"x" * 16)).used == 20


# namespaces, rpcbind


def test_namespace_is_private(namespace: Namespace) -> None:
    assert namespace.run("ls", "/run").stdout == ""
    links = namespace.run("ip", "-o", "link").stdout.splitlines()
    assert len(links) == 1 and "LOOPBACK,UP" in links[0]
    assert namespace.run("pwd").stdout.strip() == str(Path.cwd())
    assert entries(namespace) == []


def test_rpcbind_knows_a_c_server(
    calc_c: CalcC, namespace: Namespace, system_rpcbind: Rpcbind
) -> None:
    assert system_rpcbind.entries(CALC_PROG) == []
    assert {e.netid for e in system_rpcbind.entries(100000)} >= {"tcp", "udp", "local"}
    with calc_c.serving(register=True, namespace=namespace) as server:
        high, low = divmod(server.udp, 256)
        found = system_rpcbind.entries(CALC_PROG)
        assert [(e.version, e.netid) for e in found] == [
            (1, "tcp"),
            (1, "udp"),
            (2, "tcp"),
            (2, "udp"),
        ]
        assert found[1] == Entry(CALC_PROG, 1, "udp", f"127.0.0.1.{high}.{low}", "superuser")
        for netid in ("tcp", "udp"):
            asked = system_rpcbind.rpcinfo("-T", netid, "127.0.0.1", str(CALC_PROG))
            assert asked.stdout.count("ready and waiting") == 2, asked.stdout + asked.stderr
        assert server.process.stop() == 0
    assert system_rpcbind.entries(CALC_PROG) == []


# tshark


def test_capture_sees_calls(calc_c: CalcC, calc_c_server: CalcServer, tmp_path: Path) -> None:
    keep = f"port {calc_c_server.tcp} or port {calc_c_server.udp}"
    tcp_ports = [calc_c_server.tcp]
    with Capture(tmp_path / "calls.pcapng", keep=keep, tcp_ports=tcp_ports) as capture:
        call_everything(calc_c, calc_c_server)
    judge(capture)
    large = "rpc.procedure == 29 && rpc.fragment.count > 250"
    assert capture.fields("rpc.msgtyp", where=large) == [("0",), ("1",)]


def test_capture_in_a_namespace(calc_c: CalcC, namespace: Namespace, tmp_path: Path) -> None:
    with (
        calc_c.serving(namespace=namespace) as server,
        Capture(tmp_path / "calls.pcapng", namespace=namespace) as capture,
    ):
        capture.tcp_ports.append(server.tcp)
        call_everything(calc_c, server, namespace)
    judge(capture)


def call_everything(calc_c: CalcC, server: CalcServer, namespace: Namespace | None = None) -> None:
    assert calc_c.call(server.tcp, "tcp", "none", namespace=namespace).returncode == 0
    assert calc_c.call(server.udp, "udp", "sys", namespace=namespace).returncode == 0


def judge(capture: Capture) -> None:
    assert capture.malformed() == []
    calls = capture.fields("rpc.xid", "rpc.procedure", where=f"rpc.program == {CALC_PROG}")
    assert len({xid for xid, _ in calls}) > 200
    uids = capture.fields("rpc.auth.uid", where=f"rpc.program == {CALC_PROG} && rpc.auth.uid")
    assert set(uids) == {("4242",)}


def test_capture_finds_what_is_malformed(tmp_path: Path, calc_c_server: CalcServer) -> None:
    """A portmap call whose arguments are cut off inside of a number."""
    keep = f"port {calc_c_server.udp}"
    with Capture(tmp_path / "bad.pcapng", keep=keep) as capture:
        wire.udp_exchange(("127.0.0.1", calc_c_server.udp), wire.call(100000, 2, 3, bytes(6)))
    assert len(capture.malformed()) == 1
