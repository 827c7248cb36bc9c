"""The reference codec against the native one, on random types.

::

    python -m fuzz.codec [--count N | --seconds N] [--seed S]

Both must make the same bytes of a value, and the same value (of the same types) of bytes; or
raise the same ``XdrError``: reason, path and offset; or another exception of the same type. What
differs is printed with the source of its types.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Any

from fuzz.xdr_types import World
from fuzz.xdr_values import TooDeep, Values, damaged
from rpcserver.errors import XdrError
from rpcserver.xdr import reference
from rpcserver.xdr.schema import Schema

_ADDRESS = re.compile("0x[0-9a-f]+")
DECODED = 16
"""byte strings that are made from one value's encoding"""
ROUNDS = 9
"""values of each type"""


def outcome(run: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, ...]:
    """What ``run`` gives or raises, to be compared."""
    try:
        return (None, run(*arguments, **options))
    except XdrError as error:
        return (XdrError, _ADDRESS.sub("0x", error.reason), error.path, error.offset)
    except Exception as error:  # noqa: BLE001  whatever it is, the other must raise it, too
        return (type(error),)


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same to the last bit, and of the same types."""
    kind = type(left)
    if kind is not type(right):
        return False
    if left is right:
        return True
    if kind is float:
        return struct.pack("d", left) == struct.pack("d", right)
    if kind is list or kind is tuple:
        return len(left) == len(right) and all(map(same, left, right))
    if kind is memoryview:
        return left.obj is right.obj and left.tobytes() == right.tobytes()
    if kind is array:
        return bool(left.typecode == right.typecode and left.tobytes() == right.tobytes())
    if isinstance(left, Enum) or (fields := getattr(kind, "__dataclass_fields__", None)) is None:
        return bool(left == right)
    return all(same(getattr(left, name, None), getattr(right, name, None)) for name in fields)


class Comparison:
    """One run: what was tried, and where the two differed."""

    def __init__(self, native: Any, seed: int) -> None:
        self.native = native
        self.seed = seed
        self.decoded = self.good = self.encoded = self.encoded_good = self.worlds = 0
        self.found: dict[str, str] = {}
        self.errors: Counter[str] = Counter()

    def world(self) -> None:
        """Compare on the types of one more world."""
        random = Random(f"{self.seed}/{self.worlds}")
        self.worlds += 1
        world = World(random, f"fuzz_types_{self.seed}_{self.worlds}")
        try:
            world.make()
            for text, schema in world.schemas:
                ours = outcome(reference.Codec, schema)
                theirs = outcome(self.native, schema)
                if ours[0] is not None or theirs[0] is not None:
                    if ours[0] is not theirs[0]:
                        self.differ(world, text, "made", "", ours, theirs)
                    continue
                self._type(world, text, schema, ours[1], theirs[1], random)
        finally:
            world.forget()

    def _type(
        self, world: World, text: str, schema: Schema, ours: Any, theirs: Any, random: Random
    ) -> None:
        for turn in range(ROUNDS):
            wrong = 0.0 if turn % 3 else random.choice((0.02, 0.1, 0.4))
            room = random.choice((10, 60, 60, 250))
            seed = random.random()
            # What is wrong may change when it is looked at: each codec has its own.
            try:
                values = [Values(Random(seed), wrong, room).of(schema) for _ in range(2)]
            except TooDeep:
                continue
            pairs = [outcome(ours.pack, values[0]), outcome(theirs.pack, values[1])]
            self.encoded += 1
            self.encoded_good += pairs[0][0] is None
            if not same(pairs[0], pairs[1]):
                value = Values(Random(seed), wrong, room).of(schema)
                self.differ(world, text, "encode", show(value), *pairs)
            data = pairs[0][1] if pairs[0][0] is None else random.randbytes(40)
            self._bytes(world, text, ours, theirs, data, random)

    def _bytes(
        self, world: World, text: str, ours: Any, theirs: Any, good: bytes, random: Random
    ) -> None:
        for turn in range(DECODED):
            data: bytes | bytearray = damaged(good, random) if turn else good
            if turn % 7 == 3:
                data = bytearray(data)
            start = 0 if turn % 4 else random.choice((0, 1, 4, 4, 40, len(data), -1, len(data) + 9))
            if 0 < start <= 40:
                data = bytes(start) + data
            options = {"lenient": turn % 5 == 2, "buffers": turn % 3 == 1}
            left = outcome(ours.unpack, data, start, **options)
            right = outcome(theirs.unpack, data, start, **options)
            self.decoded += 1
            self.good += left[0] is None
            if not same(left, right):
                self.differ(world, text, f"decode {start} {options}", data.hex(), left, right)
            elif turn in (7, 8) and left[0] is None:
                pairs = [
                    outcome(ours.pack, left[1][0]),
                    outcome(theirs.pack, right[1][0]),
                ]
                if not same(pairs[0], pairs[1]):
                    self.differ(world, text, f"again {options}", data.hex(), *pairs)
            elif turn == 5:
                left = outcome(ours.unpack_whole, data, start)
                right = outcome(theirs.unpack_whole, data, start)
                if not same(left, right):
                    self.differ(world, text, f"whole {start}", data.hex(), left, right)

    def differ(self, world: World, text: str, how: str, what: str, *outcomes: Any) -> None:
        """Keep one report of each kind."""
        kinds = ["value" if each[0] is None else each[0].__name__ for each in outcomes]
        reasons = [
            " ".join(word for word in each[1].split()[:9] if not any(map(str.isdigit, word)))
            for each in outcomes
            if each[0] is XdrError
        ]
        kind = f"{how.split()[0]}: {kinds} {reasons}"
        self.errors[kind] += 1
        if kind not in self.found:
            shown = "\n".join(
                f"{name}: {show(each)}"
                for name, each in zip(("reference", "native   "), outcomes, strict=True)
            )
            self.found[kind] = (
                f"--- {kind}, world {self.worlds - 1} of seed {self.seed}\n{world.source}"
                f"type: {text}\n{how}: {what}\n{shown}\n"
            )


def show(value: Any) -> str:
    """``value`` in a line, even if its own ``repr`` fails."""
    try:
        return repr(value)[:2000]
    except Exception as error:  # noqa: BLE001
        return f"<{type(value).__name__}: {error!r}>"


def run(seed: int, count: int = 0, seconds: float = 0) -> list[str]:
    """Compare on ``count`` byte strings, or for so many seconds; what differed."""
    from rpcserver.xdr import _native

    comparison = Comparison(_native.Codec, seed)
    begin = time.monotonic()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)  # that Python's own stack ends is no difference
    try:
        while comparison.decoded < count or time.monotonic() - begin < seconds:
            comparison.world()
    finally:
        sys.setrecursionlimit(limit)
    print(
        f"seed {seed}: {comparison.decoded} byte strings, {comparison.good} of them good, and "
        f"{comparison.encoded} values, {comparison.encoded_good} good, of {comparison.worlds} "
        f"sets of types in {time.monotonic() - begin:.0f} s: {len(comparison.found)} differences"
    )
    for kind, number in comparison.errors.most_common():
        print(f"{number:8} {kind}")
    return list(comparison.found.values())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.codec")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    if not options.count and not options.seconds:
        options.seconds = 60
    found = run(options.seed, options.count, options.seconds)
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
