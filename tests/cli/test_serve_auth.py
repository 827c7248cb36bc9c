"""``rpcserver serve``: what AUTH_SYS callers get."""

import os
from pathlib import Path

import pytest

import rpcserver
from rpcserver.auth import SysClient, SysCredential
from rpcserver.errors import AuthError
from tests.auth.service import WhoClient
from tests.cli.command import run, running
from tests.peers import wire

SERVICE = "tests.auth.service:Who"


@pytest.mark.parametrize(
    ("option", "root", "alice"),
    [
        ([], "0:0:0,5", "1000:100:"),
        (["--squash", "root"], "65534:65534:65534,5", "1000:100:"),
        (["--squash", "all"], "65534:65534:", "65534:65534:"),
    ],
)
def test_squash(option: list[str], root: str, alice: str) -> None:
    with running("serve", SERVICE, "--no-register", *option) as service:
        for url in service.urls:
            for credential, expected in (
                (SysCredential(0, 0, (0, 5)), root),
                (SysCredential(1000, 100), alice),
            ):
                with rpcserver.connect(WhoClient, url, credentials=credential) as client:
                    assert client.who() == expected


def test_peer_credentials(tmp_path: Path) -> None:
    listen = ["--listen", f"unix://{tmp_path}/sock"]
    uid, gid = os.geteuid(), os.getegid()
    with running("serve", SERVICE, "--no-register", *listen, "--peer-credentials") as service:
        (url,) = service.urls
        with rpcserver.connect(WhoClient, url, credentials=SysCredential(uid, gid)) as client:
            assert client.who() == f"{uid}:{gid}:"
        with rpcserver.connect(WhoClient, url, credentials=SysCredential(uid + 1, gid)) as client:
            with pytest.raises(AuthError):
                client.who()


def test_short_credentials() -> None:
    with running("serve", SERVICE, "--no-register", "--short-credentials", "5") as service:
        for url in service.urls:
            flavor = SysClient(SysCredential(1000, 100))
            with rpcserver.connect(WhoClient, url, credentials=flavor) as client:
                assert client.who() == "1000:100:"
                assert flavor.protect(bytes(24), b"")[0][24:28] == wire.words(2)
                assert client.who() == "1000:100:"


@pytest.mark.parametrize("option", [["--squash", "some"], ["--short-credentials", "0"]])
def test_a_wrong_option(option: list[str]) -> None:
    assert run("serve", SERVICE, *option).returncode == 2
