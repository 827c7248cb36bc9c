"""What came back for a probe, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rpcserver.conform.answers import CLOSED, DEAF, SILENCE, STARTTLS, answer_in
from rpcserver.conform.line import Line
from rpcserver.conform.probe import Case, Probe

UNSERVED = "afterwards nobody is served"

_LABELS = 8
"""How many are shown"""


class Outcomes(dict[str, list[str]]):
    """What came, and for which cases; as a text, these are left out where all are meant."""

    def __str__(self) -> str:
        return "; ".join(
            f"{outcome} ({', '.join(_ranges(labels))})" if any(labels) else outcome
            for outcome, labels in self.items()
        )

    def bare(self) -> Outcomes:
        """The same without the cases."""
        return Outcomes({outcome: [] for outcome in self})


@dataclass(frozen=True)
class Result:
    """``came``: all that came back; ``wrong``: that of it which must not come; ``wanted``: what
    may come, in words."""

    probe: Probe
    wanted: str
    came: Outcomes
    wrong: Outcomes

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def as_json(self) -> dict[str, Any]:
        """All of it, for ``json.dumps``."""
        return {
            "probe": self.probe.name,
            "section": self.probe.section,
            "sends": self.probe.about,
            "wanted": self.wanted,
            "came": str(self.came),
            "wrong": str(self.wrong),
            "passed": self.passed,
        }


@dataclass
class Exchange:
    """A case, the line that it went over, and whether that was of use afterwards."""

    case: Case
    line: Line
    of_use: bool
    strays: list[bytes]

    @property
    def awaited(self) -> set[int]:
        """The xids that an answer must come for, or the end of the connection."""
        return {
            xid
            for xid, answers in self.case.wanted.items()
            if xid is not None and SILENCE not in answers
        }

    def outcomes(self, vers: int) -> Iterator[tuple[str, bool]]:
        """What came for each message, and whether it may."""
        case, line = self.case, self.line
        for xid, answers in case.wanted.items():
            replies = self.strays if xid is None else line.replies.get(xid, [])
            kinds = [answer_in(reply, vers, case.results) for reply in replies]
            came = " and ".join(kinds) or self._nothing()
            if kinds and line.tls and came != STARTTLS:
                came += f" after {STARTTLS}"
            if kinds and not self.of_use:
                came += f", then {self._nothing()}"
            yield came, came in answers
        if None not in case.wanted:
            for stray in self.strays:
                yield f"a reply to no call: {answer_in(stray, vers)}", False

    def _nothing(self) -> str:
        if self.of_use:
            return SILENCE
        return CLOSED if self.line.closed else DEAF


def result(
    probe: Probe, wanted: str, exchanges: Iterable[Exchange], vers: int, served: bool
) -> Result:
    """The exchanges of a probe in words; ``served``: whether others were, afterwards."""
    came, wrong = Outcomes(), Outcomes()
    for each in exchanges:
        for outcome, good in each.outcomes(vers):
            came.setdefault(outcome, []).append(each.case.label)
            if not good:
                wrong.setdefault(outcome, []).append(each.case.label)
    if len(came) == 1:
        came, wrong = came.bare(), wrong.bare()
    if not served:
        came[UNSERVED] = wrong[UNSERVED] = []
    return Result(probe, wanted, came, wrong)


def _ranges(labels: list[str]) -> Iterator[str]:
    """The labels, those of consecutive numbers as first-last; not too many."""
    ranges: list[list[str]] = []
    for label in dict.fromkeys(labels):
        last = ranges[-1][-1] if ranges else ""
        if label.isdecimal() and last.isdecimal() and int(label) == int(last) + 1:
            ranges[-1].append(label)
        elif label:
            ranges.append([label])
    shown = [each[0] if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in ranges]
    yield from shown[:_LABELS]
    if len(shown) > _LABELS:
        yield f"and {len(shown) - _LABELS} more"
