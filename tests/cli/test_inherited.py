"""``rpcserver serve`` on sockets that inetd and systemd have opened."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import rpcserver
from tests.cli.command import RPCSERVER, environment
from tests.peers.need import need
from tests.peers.process import Process, until
from tests.servers.facts import FACTS_V3, FactsClient

VERB = [*RPCSERVER, "serve", "tests.servers.facts:Facts"]


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def echoes(url: str) -> bool:
    try:
        with rpcserver.connect(FactsClient, url, timeout=10) as client:
            return bool(client.call(FACTS_V3.ECHO, url) == url)
    except rpcserver.errors.NotReached:
        return False


def children_of(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_inetd(tmp_path: Path) -> None:
    need("openbsd-inetd", "inetd")
    if os.geteuid() != 0:
        pytest.skip("inetd needs root")
    nowait, wait, datagrams = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    command = " ".join([sys.executable, *VERB, "--inetd"])
    config = tmp_path / "inetd.conf"
    config.write_text(
        f"{nowait} stream tcp nowait root {command}\n"
        f"{wait} stream tcp wait root {command} --idle-exit 0.1\n"
        f"{datagrams} dgram udp wait root {command} --idle-exit 0.1\n"
    )
    with Process(["inetd", "-d", config], env=environment()) as inetd:
        urls = [
            f"tcp://127.0.0.1:{nowait}",
            f"tcp://127.0.0.1:{wait}",
            f"udp://127.0.0.1:{datagrams}",
        ]
        for _ in range(2):  # the second time, by a process of its own
            for url in urls:
                until(url, lambda url=url: echoes(url))  # type: ignore[misc]
            until("they have ended", lambda: not children_of(inetd.pid))


def test_systemd(tmp_path: Path) -> None:
    need("systemd", "systemd-socket-activate")
    port, path = free_port(), tmp_path / "sock"
    sockets = ["-l", f"127.0.0.1:{port}", "-l", str(path)]
    own = [f"--setenv=PYTHONPATH={environment()['PYTHONPATH']}"]
    argv = ["systemd-socket-activate", *own, *sockets, *VERB, "--no-register"]
    with Process(argv) as process:
        until("tcp", lambda: echoes(f"tcp://127.0.0.1:{port}"))
        assert echoes(f"unix://{path}")
        assert process.stdout().splitlines() == [
            f"listening tcp://127.0.0.1:{port}", f"listening unix://{path}", "ready"
        ]  # fmt: skip
        assert process.stop() == 0
    assert path.exists()  # it is systemd's


def test_sockets_meant_for_another_process_are_not_taken() -> None:
    env = environment({"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    with Process([*VERB, "--no-register"], env=env) as process:
        process.wait_for("^ready$")
        assert process.stdout().count("listening tcp://127.0.0.1:") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--inetd"], "descriptor 0 is no socket"),
        (["--inetd", "--portmap"], "with --inetd there is one socket"),
        (["--workers", "2", "--idle-exit", "5"], "workers are kept alive"),
        (["--reuse-port"], "allow_reuse_port gives each worker a socket"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], message: str) -> None:
    done = subprocess.run(
        [*VERB, *options],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr


def test_idle_exit() -> None:
    argv = [*VERB, "--no-register", "--listen", "tcp://127.0.0.1:0", "--idle-exit", "0.3"]
    with Process(argv, env=environment()) as process:
        url = process.wait_for("^listening (.*)$")[1]
        with rpcserver.connect(FactsClient, url) as client:
            assert client.call(FACTS_V3.ECHO, "x") == "x"
            assert process.returncode is None
        until("it ends", lambda: process.returncode is not None)
        assert process.returncode == 0
