"""Run the attacks, and write benchmarks/results/survival.json and docs/survival.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import benchmarks.survival
from benchmarks import machine
from benchmarks.measure import Failed, Missing, Settings, say
from benchmarks.processes import ROOT, C
from benchmarks.survival.report import page
from benchmarks.survival.running import ATTACKS, Row, attacked
from benchmarks.survival.targets import LIBTIRPC, TARGETS, Target, own_world


def main() -> None:
    """Every attack on every target, each time a fresh one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.survival",
        description=benchmarks.survival.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", default=[], metavar="TARGET")
    parser.add_argument("--attack", default="", metavar="WORD", help="those with it in their name")
    parser.add_argument("--print", action="store_true", help="print the rows, and write nothing")
    parser.add_argument("--results", type=Path, default=Settings.results)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "survival.md")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    wanted = [each for each in TARGETS if not given.only or each.name in given.only]
    names = [name for name in ATTACKS if given.attack in name]
    about = {**machine.describe(), **machine.now()}
    rows: list[Row] = []
    notes: list[str] = []
    for target in wanted:
        try:
            rows += (
                _in_own_world(target, given.attack)
                if target.portmap and not given.inside
                else _of(target, names)
            )
        except Missing as error:
            notes.append(f"{target.name} is not in it: {error}")
    about["notes"] = notes
    data = {"part": "survival", "about": about, "rows": [asdict(row) for row in rows]}
    if given.print:
        print(json.dumps(data, indent=1))
        return
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "survival.json").write_text(json.dumps(data, indent=1) + "\n")
    given.page.write_text(page(rows, about))


def _of(target: Target, names: list[str]) -> list[Row]:
    if target.name == LIBTIRPC:
        try:
            subprocess.run(["make", "--silent", "-C", C, "survivor"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Missing(f"it does not build: {error}") from None
    rows = []
    for name in names:
        say(f"{target.name}: {name}")
        try:
            row = attacked(target, name)
        except Failed as error:
            row = Row(name, target.name, False, str(error))
        verdict = {True: "survived", False: f"NOT: {row.why}", None: "-"}[row.survived]
        text = f"{row.peak_mib:.0f} MiB: {row.said} {row.figures}"
        say(f"{target.name}: {name}: {verdict}: {text}", "\n")
        rows.append(row)
    return rows


def _in_own_world(target: Target, word: str) -> list[Row]:
    argv = [sys.executable, "-m", "benchmarks.survival", "--inside", "--print"]
    argv += ["--only", target.name, "--attack", word]
    done = subprocess.run(own_world(argv), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    data: dict[str, Any] = json.loads(done.stdout)
    if data["about"]["notes"]:
        raise Missing("; ".join(data["about"]["notes"]))
    return [Row(**each) for each in data["rows"]]


if __name__ == "__main__":
    main()
