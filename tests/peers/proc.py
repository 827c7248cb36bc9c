"""What a process has, as Linux's /proc tells."""

import os
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """What grows when something is forgotten. ``memory`` is in KiB, and nobody else's."""

    files: int
    threads: int
    children: int
    memory: int

    def no_more_than(self, other: "Held") -> bool:
        """Whether there is no more of anything but memory."""
        return all(mine <= its for mine, its in zip(self[:3], other[:3], strict=True))


def children(pid: int) -> set[int]:
    """The processes that it has started, those that have ended and were not asked for too."""
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def held(pid: int) -> Held:
    """What one process has."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    memory = int(status["RssAnon"].split()[0])
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return Held(files, int(status["Threads"]), len(children(pid)), memory)


def family(pid: int) -> set[int]:
    """It, and its children's children."""
    return {pid}.union(*map(family, children(pid)))
