"""Calls that are sent until they are answered run once, each: through loss, duplicates, reordering
and lost connections, on every kind of server.

RPCSERVER_CALLS=20000 makes each of these that long, with a reset each second; -rP shows figures.
"""

import asyncio
import os
import time
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
PERIOD = 1.0 if LONG else 0.05
KINDS = ("sync", "threads", "forks", "select", "asyncio", "prefork")
UDP, TCP = "udp://127.0.0.1:0", "tcp://127.0.0.1:0"


def count(short: int) -> int:
    return COUNT or short


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind: str, tmp_path: Path) -> None:
    """Over UDP through the relay, and over TCP with AUTH_SYS and resets."""
    tally = tmp_path / "tally"
    datagrams = Calls(range(count(200)))
    credential = wire.auth_sys(1000, 1000, stamp=int.from_bytes(os.urandom(4)))
    streams = Calls(range(count(200), count(200) + count(600)), credential)
    with served(kind, tally, UDP, TCP, "--reply-cache") as (udp, tcp):
        begun = time.monotonic()
        with Relay(udp, loss=0.1) as relay:
            over_udp(datagrams, relay.address)
        half = time.monotonic()
        connections = over_tcp(streams, tcp, PERIOD)
        end = time.monotonic()
    print(f"{kind}: UDP {half - begun:.1f} s, {datagrams.sent} sent, {relay.seen};")
    print(f"TCP {end - half:.1f} s, {streams.sent} sent, {connections} connections")
    assert noted(tally) == list(range(count(200) + count(600)))
    assert datagrams.sent > len(datagrams.numbers) * 1.1
    assert streams.sent > len(streams.numbers) and connections > 2


def test_without_it_some_run_twice(tmp_path: Path) -> None:
    """So what is tested above is tested."""
    tally = tmp_path / "tally"
    datagrams = Calls(range(200))
    with served("select", tally, UDP, TCP, "--no-reply-cache") as (udp, tcp):
        with Relay(udp, loss=0.1) as relay:
            over_udp(datagrams, relay.address)
        found = noted(tally)
        assert len(found) > len(set(found)) == 200
        os.truncate(tally, 0)
        for start in range(1000, 61_000, 3000):
            # In less time a slow call would never be answered.
            over_tcp(Calls(range(start, start + 3000), wire.auth_sys(stamp=1)), tcp, 0.15)
            found = noted(tally)
            if len(found) > len(set(found)):
                return
    raise AssertionError("each of 60,000 calls ran once, though connections were reset")


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


def test_our_client_keeps_xid_and_stamp_over_connections(tmp_path: Path) -> None:
    tally, numbers = tmp_path / "tally", range(count(300))
    with (
        served("prefork", tally, TCP, "--reply-cache") as (address,),
        Resetting(address, PERIOD) as relay,
    ):
        asyncio.run(all_of(url_of("tcp", relay.address), numbers, "sys"))
    assert noted(tally) == list(numbers)
    assert relay.resets


@pytest.mark.parametrize("kind", KINDS if LONG else ("select", "prefork"))
def test_with_gss_integrity(
    kerberos: Realm, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rpcserver.clients.aio.FIRST_RETRY", 0.05)
    tally, credentials = tmp_path / "tally", GssClient("nfs@localhost", "integrity")
    datagrams = range(count(100))
    streams = range(count(100), count(100) + count(300))
    # Where each process has contexts of its own, a reset costs another one.
    period = PERIOD if LONG or kind == "select" else 0.6
    options = ["--gss", "nfs@localhost", "--reply-cache"]
    with served(kind, tally, UDP, TCP, *options) as (udp, tcp):
        # A signature that was cut is a wrong one, and ends the call.
        with Relay(udp, cut=0) as relay:
            asyncio.run(all_of(url_of("udp", relay.address), datagrams, credentials))
        with Resetting(tcp, period) as resetting:
            asyncio.run(all_of(url_of("tcp", resetting.address), streams, credentials))
    assert noted(tally) == list(range(count(100) + count(300)))


def test_short_credentials_stand_for_the_whole(tmp_path: Path) -> None:
    """The call that is sent again has another credential."""
    tally, credential = tmp_path / "tally", SysCredential(1, 1, stamp=3)
    options = ["--reply-cache", "--short-credentials", "4"]
    with (
        served("select", tally, TCP, *options) as (address,),
        Resetting(address, 0.08) as relay,
    ):
        asyncio.run(all_of(url_of("tcp", relay.address), range(300), credential))
    assert noted(tally) == list(range(300))
