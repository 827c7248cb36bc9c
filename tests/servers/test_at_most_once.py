"""Calls that are sent until they are answered run once, each: through loss, duplicates, reordering
and lost connections, on every kind of server.

RPCSERVER_CALLS=20000 makes each of these that long, with a reset each second.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rpcserver import aio
from rpcserver.auth import GssClient, SysCredential
from tests.clients.relay import Relay
from tests.peers import wire
from tests.peers.realm import Realm
from tests.servers.once import WINDOW, AsyncTally, Calls, Resetting, noted, over_tcp, over_udp
from tests.servers.once import serving as served

COUNT = int(os.environ.get("RPCSERVER_CALLS", "0"))
LONG = bool(COUNT)
PERIOD = 1.0 if LONG else 0.08
KINDS = ("sync", "threads", "forks", "select", "asyncio", "prefork")
UDP, TCP = "udp://127.0.0.1:0", "tcp://127.0.0.1:0"

kinds = pytest.mark.parametrize("kind", KINDS)
Report = Callable[[str, object], None]


def count(short: int) -> int:
    return COUNT or short


@kinds
def test_over_udp(kind: str, tmp_path: Path, record_property: Report) -> None:
    calls = Calls(count(400))
    begun = time.monotonic()
    with served(kind, UDP, tmp_path / "tally") as address, Relay(address, loss=0.1) as relay:
        over_udp(calls, relay.address)
    record_property("seconds", time.monotonic() - begun)
    record_property("sent", calls.sent)
    record_property("relay", relay.seen)
    assert noted(tmp_path / "tally") == list(range(count(400)))
    assert calls.sent > count(400) * 1.1


@kinds
def test_over_tcp(kind: str, tmp_path: Path, record_property: Report) -> None:
    calls = Calls(count(1500), wire.auth_sys(1000, 1000, stamp=int.from_bytes(os.urandom(4))))
    begun = time.monotonic()
    with served(kind, TCP, tmp_path / "tally", "--reply-cache") as address:
        connections = over_tcp(calls, address, PERIOD)
    record_property("seconds", time.monotonic() - begun)
    record_property("sent", calls.sent)
    record_property("connections", connections)
    assert noted(tmp_path / "tally") == list(range(count(1500)))
    assert connections > 2


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_without_it_some_run_twice(transport: str, tmp_path: Path) -> None:
    """So what is tested above is tested."""
    url = {"udp": UDP, "tcp": TCP}[transport]
    calls = Calls(400 if transport == "udp" else 1500, wire.auth_sys(stamp=1))
    with served("select", url, tmp_path / "tally", "--no-reply-cache") as address:
        if transport == "udp":
            with Relay(address, loss=0.1) as relay:
                over_udp(calls, relay.address)
        else:
            over_tcp(calls, address, 0.08)
    found = noted(tmp_path / "tally")
    assert len(found) > len(set(found)) == max(found) + 1


async def all_of(url: str, numbers: range, credentials: Any) -> None:
    """Our client makes the calls, as many at a time as the others."""
    room = asyncio.Semaphore(WINDOW)
    options = {"credentials": credentials, "resend": True, "timeout": 120}
    async with aio.connect(AsyncTally, url, **options) as client:

        async def one(number: int) -> None:
            async with room:
                assert await client.note(number) == 3 * number + 1

        await asyncio.gather(*map(one, numbers))


def url_of(scheme: str, address: tuple[str, int]) -> str:
    return "{}://{}:{}".format(scheme, *address)


@pytest.mark.parametrize("kind", ["select", "prefork"])
def test_our_client_keeps_xid_and_stamp_over_connections(kind: str, tmp_path: Path) -> None:
    with (
        served(kind, TCP, tmp_path / "tally", "--reply-cache") as address,
        Resetting(address, PERIOD) as relay,
    ):
        asyncio.run(all_of(url_of("tcp", relay.address), range(count(600)), "sys"))
    assert noted(tmp_path / "tally") == list(range(count(600)))
    assert relay.resets


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@kinds
def test_with_gss_integrity(
    kerberos: Realm, kind: str, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcserver.clients.aio.FIRST_RETRY", 0.05)
    url = {"udp": UDP, "tcp": TCP}[transport]
    options = ["--gss", "nfs@localhost", "--reply-cache"]
    numbers = range(count(200))
    credentials = GssClient("nfs@localhost", "integrity")
    with served(kind, url, tmp_path / "tally", *options) as address:
        # A signature that was cut is a wrong one, and ends the call.
        relay: Any = Relay(address, cut=0) if transport == "udp" else Resetting(address, PERIOD)
        with relay:
            asyncio.run(all_of(url_of(transport, relay.address), numbers, credentials))
    assert noted(tmp_path / "tally") == list(numbers)


def test_short_credentials_stand_for_the_whole(tmp_path: Path) -> None:
    """The call that is sent again has another credential."""
    credential = SysCredential(1, 1, stamp=3)
    options = ["--reply-cache", "--short-credentials", "4"]
    with (
        served("select", TCP, tmp_path / "tally", *options) as address,
        Resetting(address, 0.08) as relay,
    ):
        asyncio.run(all_of(url_of("tcp", relay.address), range(300), credential))
    assert noted(tmp_path / "tally") == list(range(300))
