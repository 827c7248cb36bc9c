"""Many times in little memory: counts in steps of three per cent."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

_STEPS = 32  # for each doubling
_EDGES = [
    round(digits * 10**power / 10)  # nanoseconds
    for power in range(1, 14)
    for digits in (10, 15, 20, 30, 50, 70)
]
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


class Latencies:
    """Seconds, as they come in. Percentiles are right to three per cent."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = 0.0
        self.most = 0.0
        self._counts: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """One more."""
        if not self.count or seconds < self.least:
            self.least = seconds
        self.most = max(self.most, seconds)
        self.count += 1
        self.total += seconds
        self._counts[_step(int(seconds * 1e9))] += 1

    @property
    def mean(self) -> float:
        """The mean; 0 if there is none."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, part: float) -> float:
        """The time that this part of them (0 to 1) took at most; 0 if there is none."""
        seen = 0
        for step, count in sorted(self._counts.items()):
            seen += count
            if seen >= part * self.count:
                middle = (_low(step) + _low(step + 1)) / 2e9
                return min(max(middle, self.least), self.most)
        return self.most

    def summary(self) -> dict[str, float]:
        """``min``, ``mean``, ``p50``, ``p90``, ``p99``, ``p999``, ``max``: seconds."""
        middle = {name: self.percentile(part) for name, part in PERCENTILES.items()}
        return {"min": self.least, "mean": self.mean, **middle, "max": self.most}

    def histogram(self) -> list[tuple[float, float, int]]:
        """From, to (seconds), how many: from the first to the last that is not empty."""
        bins: Counter[int] = Counter()
        for step, count in self._counts.items():
            bins[bisect_right(_EDGES, _low(step))] += count
        if not bins:
            return []
        edges = [0, *_EDGES]
        return [
            (edges[at] / 1e9, edges[min(at + 1, len(edges) - 1)] / 1e9, bins[at])
            for at in range(min(bins), max(bins) + 1)
        ]


def _step(ns: int) -> int:
    if ns < _STEPS:
        return max(ns, 0)
    doublings = ns.bit_length() - 5
    return doublings * _STEPS + (ns >> (doublings - 1)) - _STEPS


def _low(step: int) -> int:
    """The least nanoseconds of a step."""
    doublings, rest = divmod(step, _STEPS)
    return (rest + _STEPS) << (doublings - 1) if doublings else rest
