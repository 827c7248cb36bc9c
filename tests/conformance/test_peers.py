"""The probes against servers that are not ours: they disagree where the table says so, and only
there."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver.conform import Result, run
from rpcserver.conform.probe import DATAGRAM, STREAM
from tests.conformance.disagreements import GANESHA, LIBTIRPC, PLAIN, RPCBIND
from tests.conformance.judge import judge
from tests.peers import ganesha, wire
from tests.peers.cc import ROOT, CalcC
from tests.peers.netns import Namespace
from tests.peers.process import Process, until
from tests.test_docs import free_port

CALC_PROG, CALC_V1, CALCPROC_ADD = 0x20000199, 1, 1
PLAIN_PROG = 0x20000399  # any number is
NFS_PROGRAM, RPCBIND_PROGRAM = 100003, 100000
TIMEOUT = 1.0  # for an answer that does not come, though it should

OVER = {"tcp": STREAM, "udp": DATAGRAM}


@pytest.mark.parametrize("transport", OVER)
def test_libtirpc(calc_c: CalcC, transport: str) -> None:
    with calc_c.serving() as server:
        results = run(
            f"{transport}://127.0.0.1:{server.port(transport)}",
            CALC_PROG,
            CALC_V1,
            procedure=CALCPROC_ADD,
            arguments=wire.words(1, 2),
            timeout=TIMEOUT,
        )
        judge(LIBTIRPC, OVER[transport], results)
        assert server.process.returncode is None


def listens(port: int) -> bool:
    """On TCP, which it binds after UDP."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("transport", OVER)
def test_plain_socketserver(transport: str) -> None:
    port = free_port()
    with Process([sys.executable, "-m", "benchmarks.peers.plain", str(port)], cwd=ROOT):
        until("the server", lambda: listens(port))
        url = f"{transport}://127.0.0.1:{port}"
        judge(PLAIN, OVER[transport], run(url, PLAIN_PROG, 1, timeout=TIMEOUT))


def inside(namespace: Namespace, url: str, prog: int, vers: int) -> list[Result]:
    with namespace.thread() as thread:
        return thread.submit(lambda: list(run(url, prog, vers, timeout=TIMEOUT))).result()


@pytest.mark.usefixtures("system_rpcbind")
@pytest.mark.parametrize("transport", OVER)
def test_rpcbind(namespace: Namespace, transport: str) -> None:
    results = inside(namespace, f"{transport}://127.0.0.1:111", RPCBIND_PROGRAM, 3)
    judge(RPCBIND, OVER[transport], results)


@pytest.fixture
def nfs(namespace: Namespace, system_rpcbind: object, tmp_path: Path) -> Iterator[Namespace]:
    with ganesha.serving(namespace, tmp_path):
        yield namespace


@pytest.mark.parametrize("transport", OVER)
def test_ganesha(nfs: Namespace, transport: str) -> None:
    results = inside(nfs, f"{transport}://127.0.0.1:{ganesha.NFS_PORT}", NFS_PROGRAM, 3)
    judge(GANESHA, OVER[transport], results)
