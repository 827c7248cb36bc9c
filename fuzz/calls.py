"""Plain calls in C against those in Python, on damaged streams of calls.

::

    python -m fuzz.calls [--seconds N] [--seed S]
    python3.11-dbg -m fuzz.calls --leaks

Both must answer the same calls with the same replies, stop at the same ones, and leave the same
to others. ``--leaks``, with a debug build of Python: what grows with each time is a failure, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.leaks import fill, leaks
from rpcserver.rpc.plain import PlainCalls, PythonPlainCalls
from tests.peers.wire import opaque, words
from tests.rpc.test_plain import ABOUTS, SYS, Engine, call, record

AUTHS = (bytes(16), bytes(16), SYS, SYS[:-4], words(99, 4) + b"abcd" + words(0, 0), b"")


def calls(random: Random) -> Iterator[bytes]:
    """A stream of them, more or less good."""
    for xid in range(random.randrange(12)):
        proc = random.choice((0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 99))
        arguments = {
            1: opaque(random.randbytes(random.choice((0, 3, 40, 40_000)))),
            2: words(random.randrange(-9, 9), random.randrange(9)),
            3: words(random.randrange(14)),
            4: words(random.randrange(-2, 12)),
        }.get(proc, b"")
        message = call(proc, arguments, xid, random.choice(AUTHS))
        if random.random() < 0.2:
            message = damaged(message, random)
        yield record(message)


def damaged(data: bytes, random: Random) -> bytes:
    """``data`` with something wrong."""
    if not data:
        return data
    at = random.randrange(len(data))
    how = random.randrange(4)
    if how == 0:
        return data[:at]
    if how == 1:
        return data + random.randbytes(random.randrange(1, 9))
    changed = bytearray(data)
    changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    if how == 3:
        del changed[at : at + random.randrange(5)]
    return bytes(changed)


def stream(random: Random) -> bytes:
    """What a connection may bring."""
    data = b"".join(calls(random))
    return damaged(data, random) if random.random() < 0.3 else data


def difference(engines: list[Engine], data: bytes, about: Any, until: float) -> str:
    """What the two kinds made of ``data``, if it was not the same."""
    for engine in engines:
        engine.service.calls.clear()
    told = [engine.told(data, about, until) for engine in engines]
    if told[0] == told[1]:
        return ""
    return f"--- {data.hex()}\nPython: {told[0]!r:.2000}\nnative: {told[1]!r:.2000}\n"


def run(seed: int, seconds: float, count_references: bool = False) -> list[str]:
    """Compare for so many seconds; what differed."""
    random = Random(seed)
    found: list[str] = []
    tried, begin = 0, time.monotonic()
    pairs = [
        [Engine(kind, trailing=trailing) for kind in (PythonPlainCalls, PlainCalls)]
        for trailing in (False, True)
    ]
    if count_references:
        fill()
    while time.monotonic() - begin < seconds and len(found) < 10:
        data, about = stream(random), random.choice(ABOUTS)
        engines = random.choice(pairs)
        tried += 1
        if text := difference(engines, data, about, 1e9):
            found.append(text)
        elif count_references and leaks(lambda: difference(engines, data, about, 1e9)):  # noqa: B023
            found.append(f"--- a leak: {data.hex()}\n")
    print(f"seed {seed}: {tried} streams: {len(found)} differences")
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.calls")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--leaks", action="store_true")
    options = parser.parse_args()
    found = run(options.seed, options.seconds, options.leaks)
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
