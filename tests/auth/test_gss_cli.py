"""Kerberos on the command line."""

import pytest

from tests.cli.command import CALC, invoke, running
from tests.peers.realm import Realm


@pytest.mark.parametrize("name", ["nfs@localhost", "any"])
def test_serve_and_call(kerberos: Realm, name: str) -> None:
    words = ["examples.calc:CalcV1", "examples.calc:CalcV2", "--no-register", "--gss", name]
    with running("serve", *words) as server:
        for url in server.urls:
            for auth in ("krb5", "krb5i", "krb5p"):
                args = [CALC, url, "add", "1", "2", "--auth", auth, "--gss-name", "nfs@localhost"]
                done = invoke("call", *args)
                assert (done.exit_code, done.stdout) == (0, "3\n"), done.stderr
        args = [CALC, server.urls[0], "add", "1", "2", "--auth", "krb5", "--gss-name", "x@nowhere"]
        done = invoke("call", *args)
        assert (done.exit_code, done.stdout) == (80 + 7, "")
        assert "x@nowhere" in done.stderr


def test_a_name_for_nothing() -> None:
    args = [CALC, "tcp://127.0.0.1:1", "add", "1", "2", "--gss-name", "nfs@localhost"]
    done = invoke("call", *args)
    assert done.exit_code == 2
    assert "--gss-name" in done.stderr
