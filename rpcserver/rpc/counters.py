"""Counts of calls by procedure and outcome; several processes may share them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rpcserver.xdr.codec import NATIVE

if NATIVE:
    from rpcserver.xdr._native import add

OUTCOMES = (
    "SUCCESS", "RPC_MISMATCH", "AUTH_ERROR", "PROG_UNAVAIL", "PROG_MISMATCH", "PROC_UNAVAIL",
    "GARBAGE_ARGS", "SYSTEM_ERR", "SILENT",
)  # fmt: skip
"""What becomes of a call: a reply that says so, or none at all."""

_INDEX = {name: n for n, name in enumerate(OUTCOMES)}
_NANOSECONDS = len(OUTCOMES)
_COLUMNS = len(OUTCOMES) + 1

Row = tuple[int, int, int]
"""program, version, procedure"""

UNKNOWN: Row = (0, 0, 0)
"""The row of calls for what is not served, or that no procedure could be found for."""


@dataclass(frozen=True, slots=True)
class Count:
    """The calls of one procedure: how many by outcome, and the seconds from call to reply."""

    prog: int
    vers: int
    proc: int
    outcomes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


class Counters:
    """``rows`` are fixed. Until ``share``, only one thread may count. ``cells`` are the numbers."""

    seconds_column = _NANOSECONDS

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row: n * _COLUMNS for n, row in enumerate([UNKNOWN, *rows])}
        self.cells = memoryview(bytearray(self.size)).cast("Q")
        self._lock: AbstractContextManager[Any] = nullcontext()

    @property
    def size(self) -> int:
        """Bytes that the counts take."""
        return len(self._rows) * _COLUMNS * 8

    def share(self, lock: AbstractContextManager[Any], memory: memoryview | None = None) -> None:
        """Count under ``lock`` from now on, and in ``memory`` (of ``size`` bytes) if given."""
        self._lock = lock
        if memory is not None:
            memory = memory[: self.size]
            memory[:] = self.cells.cast("B")
            self.cells = memory.cast("Q")

    def row(self, row: Row) -> int:
        """The place of a row, for ``count``."""
        return self._rows[row]

    def count(self, row: int, outcome: str, seconds: float = 0.0, calls: int = 1) -> None:
        """One more call, or some more that took ``seconds`` together."""
        cells, nanoseconds = self.cells, int(seconds * 1e9)
        if NATIVE:  # as one step of the processor: nobody is waited for
            add(cells, row + _INDEX[outcome], calls)
            add(cells, row + _NANOSECONDS, nanoseconds)
            return
        with self._lock:
            cells[row + _INDEX[outcome]] += calls
            cells[row + _NANOSECONDS] += nanoseconds

    def counts(self) -> list[Count]:
        """A line for each procedure that was called."""
        with self._lock:
            cells = self.cells.tolist()
        found = []
        for (prog, vers, proc), start in self._rows.items():
            numbers = dict(zip(OUTCOMES, cells[start : start + _NANOSECONDS], strict=True))
            outcomes = {name: number for name, number in numbers.items() if number}
            if outcomes:
                seconds = cells[start + _NANOSECONDS] / 1e9
                found.append(Count(prog, vers, proc, outcomes, seconds))
        return found
