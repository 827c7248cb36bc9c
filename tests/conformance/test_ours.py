"""The probes, all of them, against our servers of every kind and over every transport."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rpcserver.conform import Result, probes_for, run
from rpcserver.conform.probe import DATAGRAM, STREAM
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.portmap import Portmapper
from rpcserver.servers.serve import serve
from tests.auth.certs import Certs, make
from tests.cli.command import running
from tests.conformance import ours
from tests.conformance.disagreements import ONE_AT_A_TIME
from tests.conformance.judge import judge
from tests.peers import wire
from tests.peers.realm import Realm
from tests.servers.facts import PROG, Facts
from tests.servers.test_every_kind import SERVERS

SETTLE = 0.02  # a reply that should not come would be there: nothing is between us and the server
ECHO: dict[str, Any] = {"procedure": 1, "arguments": wire.opaque(b"probe")}
FORKED = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix://{}/sock"]
if "RPCSERVER_SOAK" in os.environ:  # a child for each call takes its time
    FORKED += ["tcp://[::1]:0", "udp://[::1]:0", "unixgram://{}/sock"]
UPDATED = ("MultiplexingTCPServer-127.0.0.1", "MultiplexingUDPServer-127.0.0.1")
# What is bound to :: is no other thing to who calls ::1.
KINDS = [name for name in SERVERS if not (name.startswith("Forking") or name.endswith("-::"))]
# One answer or two; and how soon a connection is closed: what comes first depends on the machine.
EITHER = ("same-datagram-twice", "huge-mark", "huge-second-fragment", "other-protocols")
ALONE = ("TCPServer-", "UnixStreamServer-")


def probed(
    url: str, prog: int = PROG, vers: int = 3, *, timeout: float = 5, **procedure: Any
) -> list[Result]:
    results = list(run(url, prog, vers, timeout=timeout, settle=SETTLE, **procedure))
    wanted = probes_for(parse_url(url).stream, bool(procedure))
    assert [each.probe for each in results] == wanted
    return results


def over(url: str) -> str:
    return STREAM if parse_url(url).stream else DATAGRAM


def as_all_others(results: list[Result], over: str) -> None:
    """To be right is not enough: what the RFC leaves open is to be the same everywhere."""
    came = {
        each.probe.name: str(each.came)
        for each in results
        if each.passed and each.probe.name not in EITHER
    }
    if ours.UPDATING:
        return
    wanted = ours.came(over)
    assert came == {name: wanted[name] for name in came}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind(name: str, tmp_path: Path) -> None:
    alone = name.startswith(ALONE)
    with SERVERS[name](tmp_path) as place:
        results = probed(place.url, timeout=2 if alone else 5, **ECHO)
    judge(ONE_AT_A_TIME if alone else name, over(place.url), results)
    if ours.UPDATING and name in UPDATED:
        ours.update(over(place.url), results)
    as_all_others(results, over(place.url))


@pytest.mark.parametrize("listen", FORKED)
def test_forks(listen: str, tmp_path: Path) -> None:
    """In a process of their own, since a small one forks faster than that of the tests."""
    where = listen.format(tmp_path)
    options = ["--listen", where, "--no-register", "--kind", "forks"]
    with running("serve", "tests.servers.facts:Facts", *options) as server:
        (url,) = server.urls
        results = probed(url, **ECHO)
    judge("forks", over(url), results)
    as_all_others(results, over(url))


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix://{}/sock"])
def test_workers(listen: str, tmp_path: Path) -> None:
    where = [listen.format(tmp_path)]
    with serve(Facts(), listen=where, register=False, workers=2) as server:
        server.start()
        (url,) = server.endpoints
        results = probed(url, **ECHO)
    judge("workers", over(url), results)
    as_all_others(results, over(url))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_embedded_rpcbind(transport: str) -> None:
    getaddr = wire.words(PROG, 3) + wire.opaque(b"tcp") + wire.opaque(b"") * 2
    with Portmapper([f"{transport}://127.0.0.1:0"]) as server:
        server.start()
        (url,) = server.endpoints
        judge("portmap", over(url), probed(url, 100000, 3, procedure=3, arguments=getaddr))


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return make(tmp_path_factory.mktemp("certs"))


@pytest.mark.parametrize("kind", ["sync", "threads", "forks", "select", "asyncio", "workers"])
def test_where_tls_may_start(kind: str, certs: Certs) -> None:
    how: dict[str, Any] = {"workers": 1} if kind == "workers" else {"kind": kind}
    with ExitStack() as stack:
        server = stack.enter_context(
            serve(
                Facts(),
                listen=["tcp://127.0.0.1:0"],
                register=False,
                tls="offer",
                tls_cert=certs.server,
                **how,
            )
        )
        server.start()
        results = probed(server.endpoints[0], timeout=2 if kind == "sync" else 5, **ECHO)
    judge(ONE_AT_A_TIME if kind == "sync" else kind, STREAM, results)
    came = {each.probe.name: str(each.came) for each in results}
    assert came["auth-tls"] == "STARTTLS"
    assert came["auth-tls-misused"] == "AUTH_BADCRED"
    # What was sent in the clear is thrown away, or ends the connection as it is no TLS.
    assert came["starttls-injection"] in ("STARTTLS; silence", "STARTTLS, then closed; closed")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("settings", [{"short_credentials": 8}, {"trailing_arguments": True}])
def test_other_settings(settings: dict[str, Any], transport: str) -> None:
    listen = [f"{transport}://127.0.0.1:0"]
    with serve(Facts(), listen=listen, register=False, **settings) as server:
        server.start()
        results = probed(server.endpoints[0], **ECHO)
    judge(str(settings), over(server.endpoints[0]), results)
    came = {each.probe.name: str(each.came) for each in results}
    for name in ("bytes-behind-void", "bytes-behind-arguments"):
        assert came[name] == ("SUCCESS" if "trailing_arguments" in settings else "GARBAGE_ARGS")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_with_kerberos(kerberos: Realm, transport: str) -> None:
    pytest.importorskip("gssapi", exc_type=ImportError)
    listen = [f"{transport}://127.0.0.1:0"]
    with serve(Facts(), listen=listen, register=False, gss="nfs@localhost") as server:
        server.start()
        results = probed(server.endpoints[0], **ECHO)
    judge("gss", over(server.endpoints[0]), results)
    came = {each.probe.name: str(each.came) for each in results}
    assert came["rpcsec-gss"] == (
        "AUTH_BADCRED (empty, version 0, version 99, length, random);"
        " RPCSEC_GSS_CTXPROBLEM (handle)"
    )
