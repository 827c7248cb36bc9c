"""Rounds that go over the contestants in turn, and the rows that become of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Figures = dict[str, float]
"""What one measurement brought: name -> figure"""


class Failed(Exception):
    """A measurement that brought nothing, and why."""


class Missing(Exception):
    """A contestant that is not installed."""


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    rounds: int = 5
    seconds: float = 1.0
    results: Path = Path("benchmarks/results")
    only: frozenset[str] = frozenset()
    """Contestants; all of them if empty"""

    def wants(self, peer: str) -> bool:
        """Whether the contestant takes part."""
        return not self.only or peer in self.only


@dataclass
class Row:
    """One contestant in one case: a figure for each round."""

    case: str
    peer: str
    metric: str
    """What the figures are: ``calls/s``, ``us``, ..."""
    figures: list[float]
    less: bool = False
    """Whether less is better"""
    plot: str = ""
    """The picture that it is in, and there the panel"""
    panel: str = ""
    pinned: str = ""
    beside: dict[str, float] = field(default_factory=dict)
    """Medians of what else was measured"""
    problems: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds; NaN if there is none."""
        return statistics.median(self.figures) if self.figures else float("nan")

    @property
    def spread(self) -> float:
        """From the lowest to the highest, in parts of the median."""
        if not self.figures or not self.median:
            return 0.0
        return (max(self.figures) - min(self.figures)) / self.median

    def as_json(self) -> dict[str, Any]:
        """All of it, and the median."""
        return {**asdict(self), "median": self.median if self.figures else None}


def row_from_json(data: Mapping[str, Any]) -> Row:
    """The row that ``as_json`` wrote."""
    return Row(**{name: value for name, value in data.items() if name != "median"})


def alternate(
    case: str, measures: Mapping[str, Callable[[], Figures]], settings: Settings
) -> tuple[dict[str, list[Figures]], dict[str, list[str]]]:
    """A, B, A, B, ...: what each contestant's rounds brought, and what went wrong."""
    wanted = {peer: each for peer, each in measures.items() if settings.wants(peer)}
    found: dict[str, list[Figures]] = {peer: [] for peer in wanted}
    problems: dict[str, list[str]] = {peer: [] for peer in wanted}
    for number in range(settings.rounds):
        for peer, measure in wanted.items():
            say(f"{case}: round {number + 1} of {settings.rounds}: {peer}")
            if any(text.startswith("missing") for text in problems[peer]):
                continue
            try:
                found[peer].append(measure())
            except Missing as error:
                problems[peer].append(f"missing: {error}")
            except (Failed, OSError, subprocess.SubprocessError) as error:
                problems[peer].append(f"round {number + 1}: {error}")
    return found, problems


def rows(
    case: str,
    measures: Mapping[str, Callable[[], Figures]],
    settings: Settings,
    *,
    metric: str,
    figure: str,
    **about: Any,
) -> list[Row]:
    """One case: ``figure`` of what is measured is the row's, the rest stands beside it."""
    found, problems = alternate(case, measures, settings)
    made = []
    for peer, samples in found.items():
        beside = {
            name: statistics.median(each[name] for each in samples)
            for name in (samples[0] if samples else ())
            if name != figure
        }
        figures = [each[figure] for each in samples]
        row = Row(case, peer, metric, figures, beside=beside, problems=problems[peer], **about)
        say(f"{case}: {peer}: {row.median:,.1f} {metric}", end="\n")
        made.append(row)
    return made


def say(text: str, end: str = "") -> None:
    """Tell on stderr what is going on."""
    terminal = sys.stderr.isatty()
    if end:
        print(("\r\x1b[K" if terminal else "") + text, file=sys.stderr, flush=True)
    elif terminal:
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
