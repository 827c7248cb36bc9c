"""The targets without atheris: seeds, and seeds that were damaged.

::

    python -m fuzz.blind [--seconds N] [--seed S] [NAME...]

What no coverage guides finds less, and runs everywhere. What fails is printed, and kept in
``fuzz/found/``.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from pathlib import Path
from random import Random

from fuzz import targets

INTERESTING = (0, 1, 4, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SLOW = 10.0
"""seconds that one input may take"""


def mutated(data: bytes, others: list[bytes], random: Random) -> bytes:
    """``data`` with one to four things wrong."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        how = random.randrange(7)
        if how == 0:
            del changed[at : at + random.choice((1, 4, 40))]
        elif how == 1:
            changed[at:at] = random.randbytes(random.choice((1, 4)))
        elif how == 2:  # a number, where numbers are
            changed[at & ~3 : (at & ~3) + 4] = random.choice(INTERESTING).to_bytes(4)
        elif how == 3 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif how == 4:
            piece = changed[at : at + random.choice((4, 8, 60))]
            changed[at:at] = piece * random.choice((1, 1, 30))
        elif how == 5:
            other = random.choice(others)
            changed[at:] = other[random.randrange(len(other) + 1) :]
        elif at < len(changed):
            changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(changed)


def run(name: str, seed: int, seconds: float, save: Path | None = None) -> list[str]:
    """Try the seeds of a target, and then for so many seconds; the tracebacks, one of each kind."""
    target = targets.load(name)
    seeds = list(target.seeds())
    random = Random(seed)
    found: dict[str, str] = {}
    tried, end = 0, time.monotonic() + seconds
    while tried < len(seeds) or time.monotonic() < end:
        data = seeds[tried] if tried < len(seeds) else mutated(random.choice(seeds), seeds, random)
        tried += 1
        begun = time.monotonic()
        try:
            target.run(data)
            took = time.monotonic() - begun
            assert took < SLOW, f"one input took {took:.0f} s"
        except Exception as error:  # noqa: BLE001  that is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {place.filename}:{place.lineno}"
            if kind not in found:
                found[kind] = f"{data.hex():.4000}\n{''.join(traceback.format_exception(error))}"
                if save is not None:
                    save.mkdir(parents=True, exist_ok=True)
                    (save / f"{name}-seed{seed}-{len(found)}").write_bytes(data)
    print(f"{name}, seed {seed}: {tried} inputs of {len(seeds)} seeds, {len(found)} failures")
    return list(found.values())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.blind")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("names", nargs="*", choices=[[], *targets.NAMES])
    options = parser.parse_args()
    logging.disable()
    found: list[str] = []
    for name in options.names or targets.NAMES:
        found += run(name, options.seed, options.seconds, Path("fuzz") / "found")
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
