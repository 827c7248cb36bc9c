"""What is to be reached, each a named line of the results. Nothing fails when it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from benchmarks import servers
from benchmarks.codecs.cases import TITLES
from benchmarks.measure import Row
from benchmarks.parts import client, codec, idle, startup

OURS, TIRPC, PYTHON = servers.OURS, servers.LIBTIRPC, servers.PYTHON_CODEC


class Check(NamedTuple):
    """One figure of ours and its limit: as a ratio to another one if there is one."""

    case: str
    least: float
    """At least so many times as fast as the other"""
    other: str = ""
    """Whose figure"""
    peer: str = OURS
    other_case: str = ""
    """By default the same"""
    most: float = math.inf
    """Without another: at most this"""


class Target(NamedTuple):
    """A line of the table."""

    shape: str
    against: str
    least: str
    checks: tuple[Check, ...]


class Verdict(NamedTuple):
    """What a check found: ``None`` if it was not measured."""

    check: Check
    figure: float | None
    met: bool | None


_BOTH = [f"{title}, {action}" for title in TITLES.values() for action in codec.ACTIONS]
_LISTING = [each for each in _BOTH if each.startswith("listing")]
_SMALL = [each for each in _BOTH if each.startswith(("ten mixed", "listing"))]

TARGETS = (
    Target(
        "NULL, 64 x 16, one process, default server, real service class",
        "libtirpc's C server",
        "5 x",
        (Check("NULL, 64 x 16", 5, TIRPC),),
    ),
    Target("echo 128 B, 64 x 16", "libtirpc", "4 x", (Check("echo 128 B, 64 x 16", 4, TIRPC),)),
    Target("NULL, 1 x 32, both on one CPU", "libtirpc", "5 x", (Check("NULL, 1 x 32", 5, TIRPC),)),
    Target("NULL, 64 x 1", "libtirpc", "0.85 x", (Check("NULL, 64 x 1", 0.85, TIRPC),)),
    Target(
        "NULL, 1 x 1, both on one CPU", "libtirpc", "0.9 x", (Check("NULL, 1 x 1", 0.9, TIRPC),)
    ),
    Target(
        "the same with 1,000 idle connections beside it",
        "libtirpc; itself without them",
        "15 x; 0.9 x",
        (
            Check(idle.BUSY, 15, TIRPC),
            Check(idle.BUSY, 0.9, OURS, other_case=idle.ALONE),
        ),
    ),
    Target(
        "memory of an idle connection, default server (growth of resident memory over 1,000)",
        "-",
        "4 KiB at most",
        (Check(idle.MEMORY, 0, most=4),),
    ),
    Target(
        "echo 64 KiB and 1 MiB, 1 x 1",
        "libtirpc",
        "1.0 x and 1.4 x",
        (Check("echo 64 KiB, 1 x 1", 1.0, TIRPC), Check("echo 1 MiB, 1 x 1", 1.4, TIRPC)),
    ),
    Target(
        "UDP NULL 1 x 1; UDP echo 128 B 64 x 16 per second of server CPU",
        "libtirpc",
        "0.8 x; 0.8 x",
        (Check("UDP NULL, 1 x 1", 0.8, TIRPC), Check("UDP echo 128 B, 64 x 16", 0.8, TIRPC)),
    ),
    Target(
        "codec: directory listing, encode and decode",
        "libtirpc's xdr routines",
        "0.8 x of their speed",
        tuple(Check(case, 0.8, codec.LIBTIRPC) for case in _LISTING),
    ),
    Target(
        "codec: every case, encode and decode",
        "msgspec; xdrlib3",
        "0.9 x of its speed; 15 x on mixed and listing",
        (
            *(Check(case, 0.9, codec.MSGSPEC) for case in _BOTH),
            *(Check(case, 15, codec.BY_HAND) for case in _SMALL),
        ),
    ),
    Target(
        "blocking client, 1 call at a time; 32 outstanding",
        "thriftpy2; grpcio",
        "1.2 x; 20 x",
        (
            *(
                Check(f"client, {each}, one call at a time", 1.2, client.THRIFT)
                for each in client.PAYLOADS
            ),
            *(
                Check(f"client, {each}, 32 outstanding", 20, client.GRPC)
                for each in client.PAYLOADS
            ),
        ),
    ),
    Target(
        "`from rpcserver import serve, connect` and one generated module",
        "`import asyncio`",
        "at most its time",
        (Check("import", 1, startup.ASYNCIO, startup.OURS),),
    ),
    Target(
        "`rpcserver --help`",
        "`python -c 'import click'`",
        "at most 2 x its time",
        (Check("command line", 0.5, startup.CLICK, startup.HELP),),
    ),
    Target(
        "without the native codec: NULL, 64 x 16",
        "libtirpc",
        "1.8 x",
        (Check("NULL, 64 x 16", 1.8, TIRPC, PYTHON),),
    ),
    Target(
        "without the native codec: echo 128 B, 64 x 16",
        "libtirpc",
        "1.2 x",
        (Check("echo 128 B, 64 x 16", 1.2, TIRPC, PYTHON),),
    ),
    Target(
        "without the native codec: directory listing, encode and decode",
        "xdrlib3 by hand",
        "1 x of its speed",
        tuple(Check(case, 1, codec.BY_HAND, PYTHON) for case in _LISTING),
    ),
)


def judge(target: Target, found: Iterable[Row]) -> list[Verdict]:
    """The target's checks, on the medians."""
    medians = {(row.case, row.peer): row for row in found if row.figures}
    verdicts = []
    for check in target.checks:
        own = medians.get((check.case, check.peer))
        other = medians.get((check.other_case or check.case, check.other))
        if own is None or (other is None and check.other):
            verdicts.append(Verdict(check, None, None))
            continue
        figure = own.median if other is None else speed(own, other)
        met = figure <= check.most if other is None else figure >= check.least
        verdicts.append(Verdict(check, figure, met))
    return verdicts


def speed(row: Row, other: Row) -> float:
    """How many times as fast as the other."""
    ours, theirs = (other.median, row.median) if row.less else (row.median, other.median)
    return ours / theirs if theirs else math.inf
