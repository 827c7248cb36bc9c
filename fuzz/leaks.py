"""References and memory that the native codec forgets, on random types.

::

    python3.11-dbg -m fuzz.leaks [--seconds N] [--seed S]

Needs a debug build of Python, which counts references. Each value is packed, each byte string
unpacked and each codec made many times, good or bad; what grows with the number of times leaks.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from fuzz.codec import outcome, show
from fuzz.xdr_types import World
from fuzz.xdr_values import TooDeep, Values, damaged
from rpcserver.xdr import reference

TIMES = 20


def growth(run: Callable[[], Any], times: int, settle: Callable[[], object]) -> int:
    """How many references or blocks of memory there are more after so many times."""
    count: Callable[[], int] = getattr(sys, "gettotalrefcount")  # noqa: B009  only some have it
    outcome(run)
    settle()
    references, blocks = count(), sys.getallocatedblocks()
    for _ in range(times):
        outcome(run)
    settle()
    return max(count() - references, sys.getallocatedblocks() - blocks)


def leaks(run: Callable[[], Any]) -> bool:
    """Whether something of ``run`` is left each time. A cache that fills is not, as Python's
    own lists of dicts (80) and tuples (2,000) to use again, which a collection empties. A
    collection of much garbage leaves some dozens of blocks or not, however often it ran: there
    the number of times is far above that."""
    looks: tuple[tuple[int, Callable[[], object]], ...] = (
        *[(TIMES, int)] * 6,
        *[(20 * TIMES, gc.collect)] * 2,
    )
    return all(growth(run, times, settle) >= times - 1 for times, settle in looks)


def fill() -> None:
    """Fill Python's lists of tuples to use again, so that their growth is not looked into."""
    gc.collect()
    for size in range(20):
        for _ in range(2100):
            tuple(number for number in range(size))


def packed(codec: Any, value: Callable[[], Any]) -> Any:
    """A new value's bytes."""
    return codec.pack(value())


def shown(value: Callable[[], Any]) -> str:
    """A new value in a line."""
    return show(value())


def of_world(codec_type: Any, world: World, random: Random, found: list[str]) -> int:
    """Look at all types of ``world``; how many things were tried."""
    tried = 0

    def look(
        how: str, text: str, what: Callable[[], str], run: Callable[[], Any],
        other: Callable[[], Any],
    ) -> None:  # fmt: skip
        # What the reference leaves, too, is not of C: a schema that could not be made.
        nonlocal tried
        tried += 1
        if leaks(run) and not leaks(other):
            found.append(f"--- {how}\n{world.source}type: {text}\n{what()}\n")

    for text, schema in world.schemas:
        codec, other = codec_type(schema), reference.Codec(schema)
        look(
            "making the codec", text, str, partial(codec_type, schema),
            partial(reference.Codec, schema),
        )  # fmt: skip
        for turn in range(6):
            wrong = random.choice((0.02, 0.1, 0.4)) if turn % 2 else 0.0
            seed = random.random()

            def value(schema: Any = schema, seed: float = seed, wrong: float = wrong) -> Any:
                return Values(Random(seed), wrong).of(schema)  # a new one: some change

            try:
                good = outcome(codec.pack, value())[-1]
            except TooDeep:
                continue
            look(
                "packing", text, partial(shown, value), partial(packed, codec, value),
                partial(packed, other, value),
            )  # fmt: skip
            for n in range(6):
                data = damaged(good if isinstance(good, bytes) else bytes(40), random)
                options = {"lenient": n % 3 == 1, "buffers": n % 3 == 2}
                look(
                    f"unpacking {options}", text, data.hex,
                    partial(codec.unpack, data, **options), partial(other.unpack, data, **options),
                )  # fmt: skip
    return tried


def run(codec_type: Any, seed: int, seconds: float) -> list[str]:
    """Look for so many seconds, and at one world at least; what leaks."""
    found: list[str] = []
    begin = time.monotonic()
    worlds = tried = 0
    while not worlds or time.monotonic() - begin < seconds:
        random = Random(f"{seed}/{worlds}")
        worlds += 1
        world = World(random, f"fuzz_leaks_{seed}_{worlds}")
        try:
            world.make()
            fill()
            gc.disable()
            tried += of_world(codec_type, world, random, found)
        finally:
            gc.enable()
            world.forget()
    print(f"seed {seed}: {tried} inputs on {worlds} sets of types, {len(found)} leaks")
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.leaks")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not hasattr(sys, "gettotalrefcount"):
        sys.exit("fuzz.leaks: this Python does not count references, python3.11-dbg does")
    from rpcserver.xdr import _native

    found = run(_native.Codec, options.seed, options.seconds)
    print(*found[:20], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
