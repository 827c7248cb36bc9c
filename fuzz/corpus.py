"""The targets' seeds as files, for a fuzzer to start with.

::

    python -m fuzz.corpus DIRECTORY [NAME...]

They are made from the tests' own vectors, so they are not kept. Those of ``NAME`` go to
``DIRECTORY/NAME``.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fuzz import targets


def write(directory: Path, name: str) -> int:
    """Write the seeds of one target; how many there are."""
    directory.mkdir(parents=True, exist_ok=True)
    seeds = set(targets.load(name).seeds())
    for seed in seeds:
        (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return len(seeds)


def main() -> None:
    """The command line."""
    directory, *names = sys.argv[1:]
    for name in names or targets.NAMES:
        print(f"{name}: {write(Path(directory, name), name)} seeds")


if __name__ == "__main__":
    main()
