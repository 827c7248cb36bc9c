"""Each kind of server and of client, while its sockets split, drop, reset, and refuse: every call
is answered, and rightly, and nothing is left of the trouble afterwards."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rpcserver
from rpcserver import using
from tests.auth import certs as making
from tests.cli.command import ROOT, Running, environment, running
from tests.faults.impatient import impatient
from tests.faults.shim import KINDS, Faults
from tests.peers.soak import SECONDS
from tests.servers.facts import FACTS_V3, FactsClient

TIMES = min(20, 2 + int(SECONDS / 60))
"""how often each fault is to come over each transport"""

ONE_IN = {"drop": 4, "reset": 9, "EMFILE": 2, "ENOBUFS": 6, "EAGAIN": 4}
"""those that cost time; of all others every second call has one"""

LARGE = "x" * 60_000
"""more than one write takes, if it is short"""

SERVER_FAULTS = [kind for kind in KINDS if kind != "EMFILE of a client"]
STREAMS_ONLY = ("short read", "short write", "reset", "EMFILE")


def listen(tmp_path: Path) -> list[str]:
    urls = ("tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix://{}/s", "unixgram://{}/d")
    return [word for url in urls for word in ("--listen", url.format(tmp_path))]


def calls_until(url: str, enough: Callable[[], bool], each_anew: bool, **options: Any) -> None:
    """Call again and again, for ever over one connection or each time over another, till then."""
    client: FactsClient | None = None
    for number in range(2000):
        if client is None:
            client = using(rpcserver.connect(FactsClient, url, timeout=30, **options), resend=True)
        text = f"{number} {LARGE if number % 3 == 2 else ''}"[: 60_000 if number % 2 else 7000]
        assert client.call(FACTS_V3.ECHO, text) == text
        if each_anew or enough():
            client.channel.close()
            client = None
        if enough():
            return
    raise AssertionError("it did not come in 2,000 calls")


@pytest.mark.parametrize("kind", ["sync", "threads", "forks", "select", "asyncio", "reference"])
def test_servers(tmp_path: Path, shim: Path, faults: Faults, kind: str) -> None:
    """``reference`` is ``select`` without what is in C."""
    env = dict(faults.environment(shim))
    if kind == "reference":
        kind, env["RPCSERVER_CODEC"] = "select", "reference"
    with impatient(), serving(tmp_path, env, kind) as server:
        for fault in SERVER_FAULTS:
            for url in server.urls:
                stream = not url.startswith(("udp", "unixgram"))
                if (fault in STREAMS_ONLY and not stream) or (fault == "drop" and stream):
                    continue
                enough = partial(faults.has_come, fault, faults.came(fault) + TIMES)
                with faults.some(fault, ONE_IN.get(fault, 2)):
                    calls_until(url, enough, each_anew=fault == "EMFILE")
        for url in server.urls:
            with rpcserver.connect(FactsClient, url, timeout=5) as client:
                assert client.call(FACTS_V3.ECHO, "calm again") == "calm again"
        assert server.process.stop() == 0
        assert "Traceback" not in server.process.stderr()


def serving(tmp_path: Path, env: Mapping[str, str], kind: str) -> AbstractContextManager[Running]:
    """``rpcserver serve`` of that kind."""
    words = ["tests.servers.facts:Facts", *listen(tmp_path), "--no-register", "--kind", kind]
    return running("serve", *words, env=env)


@pytest.mark.parametrize("kind", ["threads", "select", "asyncio"])
def test_servers_with_tls(tmp_path: Path, shim: Path, faults: Faults, kind: str) -> None:
    """Faults that end no connection: one that ends in the handshake is taken for no TLS."""
    certs = making.make(tmp_path)
    words = ["tests.servers.facts:Facts", "--listen", "tcp://127.0.0.1:0", "--no-register"]
    words += ["--kind", kind, "--tls-cert", certs.server]
    env = faults.environment(shim)
    with impatient(), running("serve", *words, env=env) as server:
        (url,) = server.urls
        for fault in SERVER_FAULTS:
            if fault not in ("drop", "reset", "ENOBUFS"):
                enough = partial(faults.has_come, fault, faults.came(fault) + TIMES)
                with faults.some(fault, ONE_IN.get(fault, 2)):
                    calls_until(url, enough, fault == "EMFILE", tls="require", tls_ca=certs.ca)
        with rpcserver.connect(FactsClient, url, tls="require", tls_ca=certs.ca) as client:
            assert client.call(FACTS_V3.ECHO, "calm again") == "calm again"
        assert server.process.stop() == 0
        assert "Traceback" not in server.process.stderr()


@pytest.mark.parametrize("how", ["blocking", "batch", "asyncio"])
def test_clients(tmp_path: Path, shim: Path, faults: Faults, how: str) -> None:
    with serving(tmp_path, {}, "select") as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.client", how, str(TIMES), *server.urls],
            cwd=ROOT,
            env={**environment(), **faults.environment(shim)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        for fault in KINDS:
            if fault != "EMFILE":
                assert faults.came(fault) >= TIMES
