"""The results as a page: what was to be reached, the tables, what was noisy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import parts
from benchmarks.measure import Row, Settings, row_from_json
from benchmarks.targets import TARGETS, Check, Verdict, judge, speed

NOISY = 0.25
"""A row whose rounds differ by more of their median is named"""

_BESIDE = {
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "server_cpu": "server CPU",
    "client_cpu": "load CPU",
    "errors": "errors",
    "timeouts": "lost",
    "bytes": "bytes",
}


class Part(NamedTuple):
    """What one run of one part brought."""

    name: str
    about: dict[str, Any]
    rows: list[Row]


def save(name: str, about: dict[str, Any], rows: list[Row], settings: Settings) -> None:
    """Write the part's JSON."""
    settings.results.mkdir(parents=True, exist_ok=True)
    about = {**about, "rounds": settings.rounds, "seconds": settings.seconds}
    data = {"part": name, "about": about, "rows": [row.as_json() for row in rows]}
    (settings.results / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def saved(results: Path) -> list[Part]:
    """The parts whose JSON is there."""
    found = []
    for name in parts.NAMES:
        path = results / f"{name}.json"
        if path.exists():
            data = json.loads(path.read_text())
            found.append(Part(name, data["about"], [row_from_json(row) for row in data["rows"]]))
    return found


def picture(plot: str) -> str:
    """The file of a plot: ``TCP echo 128 B`` -> ``tcp-echo-128-b.png``"""
    return "-".join(plot.lower().replace(",", "").split()) + ".png"


def plots(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows by the picture that they are in."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.plot, []).append(row)
    return found


def page(found: list[Part]) -> str:
    """The whole page, in Markdown."""
    return "\n".join(_page(found)) + "\n"


def _page(found: list[Part]) -> Iterator[str]:
    everything = [row for part in found for row in part.rows]
    yield from (
        "# Results",
        "",
        "Written by `make bench`. Figures are medians; each contestant had its turn in each round,",
        "with a fresh server. Trust the ratios, which are of one run: `x` says how many times as",
        "fast as the first of the same case.",
        "",
        "## What is to be reached",
        "",
        "| shape | against | at least | measured | met |",
        "| --- | --- | --- | --- | --- |",
    )
    for target in TARGETS:
        verdicts = judge(target, everything)
        met = _met(verdicts)
        yield (
            f"| {target.shape} | {target.against} | {target.least} | {_measured(verdicts)}"
            f" | {'not measured' if met is None else 'yes' if met else '**no**'} |"
        )
    several = [target for target in TARGETS if len(target.checks) > 1]
    yield from ("", "Each of those that are several:", "")
    yield from ("| case | against | at least | measured | met |", "| --- | --- | --- | --- | --- |")
    for target in several:
        for check, figure, ok in judge(target, everything):
            yield (
                f"| {_own(check)} | {_other(check)} | {_limit(check)} | {_figure(check, figure)}"
                f" | {'not measured' if ok is None else 'yes' if ok else '**no**'} |"
            )
    for part in found:
        yield from _part(part)
    yield from _noise(found)


def _met(verdicts: list[Verdict]) -> bool | None:
    if any(each.met is None for each in verdicts):
        return False if any(each.met is False for each in verdicts) else None
    return all(each.met for each in verdicts)


def _measured(verdicts: list[Verdict]) -> str:
    """The worst against each other, for its limit."""
    worst: dict[tuple[str, float], Verdict] = {}
    for each in verdicts:
        key = (_other(each.check), each.check.least)
        if each.figure is not None and (key not in worst or each.figure < (worst[key].figure or 0)):
            worst[key] = each
    return "; ".join(_figure(each.check, each.figure) for each in worst.values()) or "-"


def _own(check: Check) -> str:
    return check.case if check.peer == "rpcserver" else f"{check.case}: {check.peer}"


def _other(check: Check) -> str:
    return f"{check.other}, {check.other_case}" if check.other_case else check.other or "-"


def _limit(check: Check) -> str:
    return f"{check.least:g} x" if check.other else f"{check.most:g} at most"


def _figure(check: Check, figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:.3g} x" if check.other else f"{figure:.3g}"


def _part(part: Part) -> Iterator[str]:
    about = part.about
    codecs = ", ".join(f"{name}: {codec}" for name, codec in about["codecs"].items())
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield from (
        "",
        f"## {part.name}",
        "",
        f"{about['date']}, commit {about['commit']}; {about['rounds']} rounds of"
        f" {about['seconds']:g} s; {about['machine']}; load before: {about['load before']}.",
        f"Python {about['python']}; codecs: {codecs}; {versions}.",
    )
    for plot, rows in plots(part.rows).items():
        yield from ("", f"### {plot}", "", f"![{plot}]({picture(plot)})", "")
        yield from _table(rows)


def _table(rows: list[Row]) -> Iterator[str]:
    names = [name for name in _BESIDE if any(name in row.beside for row in rows)]
    heads = ["case", "who", "median", "", "x", "lowest", "highest", *(_BESIDE[n] for n in names)]
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    first: dict[str, Row] = {}
    for row in rows:
        if not row.figures:
            yield f"| {row.case} | {row.peer} | {'; '.join(row.problems)[:200] or '-'} |"
            continue
        base = first.setdefault(row.case, row)
        cells = [row.case, row.peer, number(row.median), row.metric, f"{speed(row, base):.2f}"]
        cells += [number(min(row.figures)), number(max(row.figures))]
        cells += [number(row.beside[n]) if n in row.beside else "" for n in names]
        yield f"| {' | '.join(cells)} |"
    yield from ("", "Pinned: " + "; ".join(_pinning(rows)) + ".")


def _pinning(rows: list[Row]) -> Iterator[str]:
    panels: dict[str, list[str]] = {}
    for row in rows:
        cases = panels.setdefault(row.pinned, [])
        if row.panel not in cases:
            cases.append(row.panel)
    for how, cases in panels.items():
        yield how if len(panels) == 1 else f"{', '.join(cases)}: {how}"


def _noise(found: list[Part]) -> Iterator[str]:
    yield from ("", "## What was noisy", "")
    rows = [row for part in found for row in part.rows]
    noisy = [row for row in rows if row.spread > NOISY]
    yield f"Rows whose rounds differ by more than {NOISY:.0%} of their median: {len(noisy)} of"
    yield f"{len(rows)}."
    yield ""
    for row in sorted(noisy, key=lambda row: -row.spread):
        yield f"- {row.case}: {row.peer}: {row.spread:.0%}"
    failed = [row for row in rows if row.problems]
    if failed:
        yield from ("", "What did not work:", "")
        for row in failed:
            yield f"- {row.case}: {row.peer}: {'; '.join(row.problems):.300}"


def number(value: float) -> str:
    """Three or four digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
