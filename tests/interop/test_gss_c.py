"""RPCSEC_GSS between ours and libtirpc's, in both directions, and what tshark reads of it."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from examples.calc import CalcV1, CalcV2
from generated.calc import CALC_PROG, CALC_V2, CalcV2Client, Node
from rpcserver import errors, rpc, xdr
from rpcserver.auth import GssClient
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS, Server
from tests.auth.certs import make
from tests.auth.middle import middle
from tests.interop.test_c_client import CHECKS
from tests.peers.cc import CalcC
from tests.peers.gss_cc import HOWS, SERVICES, build_gss_calc
from tests.peers.realm import Realm, realm
from tests.peers.tshark import Capture

TARGET = "nfs@localhost"

MISSING: rpc.Procedure[None] = rpc.Procedure(77, "missing", [], xdr.Void)
SHORT: rpc.Procedure[int] = rpc.Procedure(1, "add", [], xdr.Int)


@pytest.fixture(scope="module")
def gss_c(kerberos: Realm, tmp_path_factory: pytest.TempPathFactory) -> CalcC:
    return build_gss_calc(tmp_path_factory.mktemp("gss_c"))


@pytest.fixture
def as_c(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("GSS_TARGET", TARGET)
    return monkeypatch


def serving(listen: str = "tcp://127.0.0.1:0", kind: str = "select") -> Server:
    services = CalcV1(), CalcV2()
    return rpcserver.serve(*services, listen=[listen], register=False, kind=kind, gss=TARGET)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_c_calls_ours(
    gss_c: CalcC, as_c: pytest.MonkeyPatch, transport: str, service: str, how: str
) -> None:
    as_c.setenv("GSS_HOW", how)
    as_c.setenv("GSS_SERVICE", SERVICES[service])
    with serving(f"{transport}://127.0.0.1:0") as server:
        server.start()
        port = parse_url(server.endpoints[0]).port
        # It wraps nothing that is larger than its buffer, which is 256 KiB at most.
        large = transport == "udp" or service == "none"
        good = 0
        for check in ["all"] if large else [*CHECKS, "refusals"]:
            done = gss_c.call(port, transport, check=check)
            assert done.returncode == 0, done.stdout + done.stderr
            good += done.stdout.count("ok  ")
        assert good > 120


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("kind", KINDS)
def test_c_calls_every_kind(
    gss_c: CalcC, as_c: pytest.MonkeyPatch, kind: str, transport: str
) -> None:
    as_c.setenv("GSS_HOW", "rpc_gss_seccreate")
    as_c.setenv("GSS_SERVICE", SERVICES["privacy"])
    checks = [check for check in CHECKS if kind != "forks" or check != "remembering"]
    with serving(f"{transport}://127.0.0.1:0", kind) as server:
        server.start()
        port = parse_url(server.endpoints[0]).port
        for check in checks:
            done = gss_c.call(port, transport, check=check)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ours_calls_c(gss_c: CalcC, transport: str, service: str, version: int) -> None:
    """With version 2 asked for, libtirpc has the client fall back to 1."""
    # Its server has one context for all datagrams of a socket: one client at a time.
    with gss_c.serving() as server:
        url = f"{transport}://127.0.0.1:{server.port(transport)}"
        credentials = GssClient(TARGET, service, version=version)
        for _ in range(2):
            with rpcserver.connect(
                CalcV2Client, url, credentials=credentials, timeout=10
            ) as client:
                assert client.add(1, 2) == 3
                assert client.whoami().flavor == 6
                blob = os.urandom(3000)
                assert client.echo_blob(blob) == blob
                assert client.reverse([Node(1), Node(2)]) == [Node(2), Node(1)]
                with pytest.raises(errors.SystemErr):
                    client.fail("on purpose")
                with pytest.raises(errors.ProcUnavail):
                    client.channel.call(CALC_V2, MISSING, ())
                if (transport, service) != ("udp", "none"):  # there it reads what was there before
                    with pytest.raises(errors.GarbageArgs):
                        client.channel.call(CALC_V2, SHORT, ())
                for number in range(300):  # more than its window
                    assert client.add(number, 1) == number + 1


def test_the_falling_back_is_from_2_to_1(gss_c: CalcC, tmp_path: Path) -> None:
    with gss_c.serving() as server:
        keep = f"port {server.tcp}"
        file = tmp_path / "versions.pcapng"
        with Capture(file, keep=keep, tcp_ports=[server.tcp]) as capture:
            url = f"tcp://127.0.0.1:{server.tcp}"
            credentials = GssClient(TARGET, bindings=b"tls-exporter:" + bytes(32))
            with rpcserver.connect(CalcV2Client, url, credentials=credentials) as client:
                assert client.add(1, 2) == 3
        where = f"tcp.port=={server.tcp} && rpc.msgtyp==0"
        versions = [each for (each,) in capture.fields("rpc.authgss.version", where=where)]
    assert versions == ["2", "1", "1", "1"]  # INIT, INIT, the call, DESTROY


def test_falling_back_behind_somebody_elses_tls(
    gss_c: CalcC, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certs = make(tmp_path_factory.mktemp("certs"))
    with gss_c.serving() as server:
        with middle(f"tcp://127.0.0.1:{server.tcp}", cert=certs.server) as terminator:
            for service in SERVICES:
                credentials = GssClient(TARGET, service)
                with rpcserver.connect(
                    CalcV2Client, terminator.url, credentials=credentials, tls_ca=certs.ca
                ) as client:
                    assert client.add(1, 2) == 3
            versions = [call[35] for call in terminator.calls]
            assert versions[:3] == [2, 1, 1]
            credentials = GssClient(TARGET, "channel")
            with rpcserver.connect(
                CalcV2Client, terminator.url, credentials=credentials, tls_ca=certs.ca
            ) as client:
                with pytest.raises(errors.AuthError):
                    client.add(1, 2)


def test_tshark_reads_what_is_private(kerberos: Realm, tmp_path: Path) -> None:
    with serving() as server:
        server.start()
        port = parse_url(server.endpoints[0]).port
        file = tmp_path / "private.pcapng"
        with Capture(file, keep=f"port {port}", tcp_ports=[port]) as capture:
            for word in ("krb5", "krb5i", "krb5p"):
                url = server.endpoints[0]
                with rpcserver.connect(CalcV2Client, url, credentials=f"{word}:{TARGET}") as client:
                    assert client.echo_text(f"said with {word}!") == f"said with {word}!"
                    assert client.add(1, 2) == 3
    ours = f"tcp.port=={port}"
    assert capture.malformed(ours) == []
    assert b"said with krb5i!" in capture.file.read_bytes()
    assert b"said with krb5p!" not in capture.file.read_bytes()
    capture.options += ["kerberos.decrypt:TRUE", f"kerberos.file:{kerberos.keytab}"]
    assert capture.malformed(ours) == []
    private = f"{ours} && rpc.program=={CALC_PROG} && rpc.authgss.service==3"
    text = ":".join(f"{byte:02x}" for byte in b"said with krb5p!")
    shown = capture.text(f"{private} && rpc.msgtyp==0")
    assert "GSS-Wrap" in shown or "krb5_blob" in shown.lower()
    assert "said with krb5p!" in shown or text in shown or text.replace(":", "") in shown


def test_a_ticket_that_expires(tmp_path: Path) -> None:
    """In mid-session: the calls go on with the new ticket, and nobody sees it."""
    with realm(tmp_path, skew=1) as kerberos:
        kerberos.ticket("4s")
        with serving() as server:
            server.start()
            flavor: Any = server.engine.flavors[6]
            url = server.endpoints[0]
            credentials = GssClient(TARGET)
            with (
                rpcserver.connect(CalcV2Client, url, credentials=credentials) as client,
                rpcserver.connect(CalcV2Client, url, credentials=credentials) as late,
            ):
                begun = time.monotonic()
                assert client.add(1, 2) == late.add(1, 2) == 3
                assert len(flavor) == 2
                # Not told the time by its own library: only the server knows that it is over.
                late.channel._engine.flavor._context.protection._time = lambda context: 100
                kerberos.ticket("1h")
                calls = 0
                while time.monotonic() - begun < 6.5:
                    assert client.add(calls, 1) == calls + 1
                    calls += 1
                    time.sleep(0.02)
                assert late.add(1, 2) == 3
                assert len(flavor) == 2 + 1  # the first one's old one stays until it is in the way
        kerberos.ticket("1s")
        with serving() as server:
            server.start()
            with rpcserver.connect(
                CalcV2Client, server.endpoints[0], credentials=GssClient(TARGET)
            ) as client:
                assert client.add(1, 2) == 3
                time.sleep(2.5)
                with pytest.raises(errors.AuthError, match=TARGET):
                    client.add(1, 2)
