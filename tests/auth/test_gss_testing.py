"""RPCSEC_GSS where no channel of ``connect`` is: in memory, under load, on the way back."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gssapi", exc_type=ImportError)

import rpcserver
from rpcserver import errors, testing
from rpcserver.auth import GssClient, GssServer
from rpcserver.servers.server import Server
from rpcserver.testing import load
from tests.auth.certs import Certs
from tests.auth.service import Who, WhoClient
from tests.auth.test_gss_servers import serving, who
from tests.cli.command import CALC, invoke, running
from tests.peers.realm import Realm
from tests.rpc.echo import ECHO_V2, Echo, EchoClient


@pytest.mark.parametrize("service", ["none", "integrity", "privacy"])
def test_in_memory(kerberos: Realm, service: str) -> None:
    gss = GssServer("nfs@localhost")
    credentials = GssClient("nfs@localhost", service)
    with testing.connect(EchoClient, Echo(), credentials=credentials, gss=gss) as client:
        assert client.who() == who(service)
        gss._contexts = type(gss._contexts)(8)
        assert client.add(1, 2) == 3
        with pytest.raises(errors.SystemErr):
            client.fail(0)
        assert len(gss) == 1
    assert len(gss) == 0


def test_in_memory_and_refused(kerberos: Realm) -> None:
    demanding = rpcserver.requires(gss="privacy")(type("Demanding", (Who,), {}))
    with testing.connect(
        WhoClient, demanding(), credentials="krb5i:nfs@localhost", gss="nfs@localhost"
    ) as client:
        with pytest.raises(errors.AuthError, match="AUTH_TOOWEAK"):
            client.who()
    with testing.connect(EchoClient, Echo(), credentials="krb5:nfs@localhost") as client:
        with pytest.raises(errors.AuthError, match="AUTH_REJECTEDCRED"):
            client.who()


@pytest.mark.parametrize("word", ["krb5", "krb5i", "krb5p"])
def test_a_load(kerberos: Realm, word: str) -> None:
    forgotten: list[int] = []
    with serving() as server:
        server.start()
        flavor: Any = server.engine.flavors[6]

        def progress(report: load.Report) -> None:
            if report.calls and not forgotten:
                forgotten.append(report.calls)
                flavor._contexts = type(flavor._contexts)(8)

        for url in server.endpoints:
            forgotten.clear()
            report = bench(url, progress=progress, credentials=f"{word}:nfs@localhost")
            assert report.calls > forgotten[0] + 20
            assert set(report.errors) == {"AuthError"}, "those under way when it forgot"
            assert report.errors["AuthError"] <= 2 * 200


def bench(url: str, **options: Any) -> load.Report:
    settings: dict[str, Any] = {"connections": 2, "depth": 200, "seconds": 0.8, **options}
    return load.bench(ECHO_V2, ECHO_V2.ADD, (1, 2), url, **settings)


def test_a_load_keeps_to_the_window(kerberos: Realm) -> None:
    """Else calls would be dropped in silence, and the rest of the run be spent on waiting."""
    with serving(gss=GssServer("nfs@localhost", window=4)) as server:
        server.start()
        report = bench(server.endpoints[0], credentials="krb5:nfs@localhost", seconds=0.3)
        assert report.calls > 20 and not report.errors
        assert report.unfinished <= 2 * 4


def test_a_load_in_a_channel(kerberos: Realm, certs: Certs) -> None:
    listen = ["tcp://127.0.0.1:0"]
    with serving(listen=listen, tls_cert=certs.server) as server:
        server.start()
        tls = rpcserver.auth.TlsClient(ca=certs.ca)
        gss = GssClient("nfs@localhost", "channel")
        report = bench(server.endpoints[0], credentials=gss, tls=tls, seconds=0.3)
        assert report.calls > 20 and not report.errors


def test_a_load_that_is_not_let_in(kerberos: Realm) -> None:
    with serving(gss=GssServer("nfs@localhost", keytab="/nowhere")) as server:
        server.start()
        for url in server.endpoints:
            with pytest.raises(errors.AuthError, match="makes no context"):
                bench(url, credentials="krb5:nfs@localhost")


def test_on_the_command_line(kerberos: Realm) -> None:
    words = ["examples.calc:CalcV1", "examples.calc:CalcV2", "--no-register", "--gss", "any"]
    with running("serve", *words) as server:
        for url in server.urls:
            more = ["-t", "0.2", "--auth", "krb5p", "--gss-name", "nfs@localhost", "--json"]
            done = invoke("bench", CALC, url, "add", "1", "2", *more)
            assert done.exit_code == 0, done.stderr
            report = json.loads(done.stdout)
            assert report["calls"] and not report["errors"]


def test_not_on_the_way_back(kerberos: Realm, tmp_path: Path) -> None:
    class Asking(Who):
        @rpcserver.blocking
        def who(self, call: rpcserver.rpc.Call) -> str:
            asked = call.client(WhoClient, flavor=GssClient("nfs@localhost"))
            with pytest.raises(errors.UsageError, match="makes a context"):
                asked.who()
            return "refused here"

    made: Server = rpcserver.serve(Asking(), listen=["tcp://127.0.0.1:0"], register=False)
    with made as server:
        with rpcserver.connect(WhoClient, server.start().endpoints[0]) as client:
            rpcserver.serve_on(client, Who())
            assert client.who() == "refused here"
