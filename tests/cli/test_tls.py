"""``--tls``: ``serve``, ``call``, ``ping`` and ``bench`` speak it."""

import json
from pathlib import Path

import pytest

from tests.auth import certs as making
from tests.auth.certs import Certs
from tests.cli.command import CALC, CALC_PROG, invoke, running

ECHO = Path(__file__).parents[2] / "benchmarks" / "c" / "echo.x"


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return making.make(tmp_path_factory.mktemp("certs"))


def test_tls(certs: Certs) -> None:
    options = ("--no-register", "--tls-cert", certs.server, "--tls-ca", certs.ca)
    with running("serve", "examples.calc:CalcV1", *options) as server:
        (url,) = server.urls
        assert url.startswith("tcp:"), "datagrams have no TLS"
        trusting = ("--tls-ca", certs.ca)
        mine = (*trusting, "--tls-cert", certs.client)
        done = invoke("call", CALC, url, "add", "2", "3", "--vers", "1", *mine)
        assert (done.exit_code, done.stdout) == (0, "5\n"), done.stderr
        assert invoke("ping", url, str(CALC_PROG), "1", *mine).exit_code == 0
        done = invoke(
            "bench", url, CALC, "add", "1", "2", "--vers", "1", "-t", "0.2", "--json", *mine
        )
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["calls"] > 10
        for more, status, said in (
            ((), 85, "AUTH_TOOWEAK"),
            (("--tls", "require", *trusting), 3, "certificate required"),
            (("--tls", "try"), 3, "certificate is not accepted"),
            ((*mine, "--tls-name", "elsewhere"), 3, "Hostname mismatch"),
            (("--tls-ca", "/nowhere"), 1, "/nowhere: No such file"),
        ):
            done = invoke("call", CALC, url, "add", "2", "3", "--vers", "1", *more)
            assert (done.exit_code, said in done.stderr) == (status, True), done.stderr


def test_offered_and_not_there(certs: Certs) -> None:
    options = ("--no-register", "--listen", "tcp://127.0.0.1:0")
    tls = ("--tls", "offer", "--tls-cert", certs.server)
    call = ("call", CALC)
    with running("serve", "examples.calc:CalcV1", *options, *tls) as server:
        for more in ((), ("--tls", "require", "--tls-ca", certs.ca)):
            done = invoke(*call, server.urls[0], "add", "2", "3", "--vers", "1", *more)
            assert done.exit_code == 0, done.stderr
    with running("serve", "examples.calc:CalcV1", *options) as server:
        for mode, status in (("try", 0), ("require", 3)):
            done = invoke(*call, server.urls[0], "add", "2", "3", "--vers", "1", "--tls", mode)
            assert done.exit_code == status, done.stderr


def test_mistakes(certs: Certs) -> None:
    for more, said in (
        (("--tls", "require"), "needs a certificate"),
        (("--tls-cert", certs.server, "--listen", "udp://127.0.0.1:0"), "datagrams have no TLS"),
    ):
        done = invoke("serve", "examples.calc:CalcV1", "--no-register", *more)
        assert done.exit_code == 1
        assert said in done.stderr


def test_large_answers(certs: Certs) -> None:
    """More than is read at once: what is decrypted already must not wait for more to come."""
    options = ("--no-register", "--listen", "tcp://127.0.0.1:0", "--tls-cert", certs.server)
    with running("serve", "benchmarks.echo:Echo", *options) as server:
        words = ("-s", "65536", "-t", "0.5", "--json", "--tls", "require", "--tls-ca", certs.ca)
        done = invoke("bench", server.urls[0], str(ECHO), "ECHO", *words)
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["calls"] > 10
