"""The benchmarks run, and say something about everything that is to be reached. No figure is
judged."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measure, parts, report
from benchmarks.measure import Row, Settings
from benchmarks.parts import codec, idle
from benchmarks.targets import TARGETS, judge
from tests.peers.need import need_c

ROOT = Path(__file__).parents[1]


class Anything(dict[str, float]):
    """A measurement that brought whatever is asked for."""

    def __missing__(self, name: str) -> float:
        return 2.0

    def __contains__(self, name: object) -> bool:
        return True


@pytest.fixture
def _no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def alternate(case: str, measures: Any, settings: Settings) -> Any:
        samples = [Anything() for _ in range(settings.rounds)]
        return dict.fromkeys(measures, samples), {peer: [] for peer in measures}

    for module in (measure, codec, idle):
        monkeypatch.setattr(module, "alternate", alternate)


@pytest.mark.usefixtures("_no_measuring")
def test_every_target_is_measured(tmp_path: Path) -> None:
    settings = Settings(rounds=3, results=tmp_path)
    about: dict[str, Any] = {"codecs": {}, "versions": {}, "date": "", "commit": "", "machine": ""}
    about |= {"python": "", "load before": 0}
    rows: list[Row] = []
    for name in parts.NAMES:
        found = import_module(f"benchmarks.parts.{name}").run(settings)
        report.save(name, about, found, settings)
        rows += found
    assert [part.rows for part in report.saved(tmp_path)] != []
    assert [row for part in report.saved(tmp_path) for row in part.rows] == rows
    for target in TARGETS:
        for check, figure, met in judge(target, rows):
            assert figure is not None, check
            assert met is not None, check
    page = report.page(report.saved(tmp_path))
    assert "not measured" not in page
    for target in TARGETS:
        assert f"| {target.shape} | {target.against} | {target.least} | " in page


def test_nothing_was_measured() -> None:
    page = report.page([])
    assert page.count("not measured") >= len(TARGETS)


def test_speed_is_how_many_times_as_fast() -> None:
    def row(case: str, peer: str, figures: list[float], less: bool = False) -> Row:
        return Row(case, peer, "", figures, less=less)

    (first, *_), (listing, *_) = TARGETS, [t for t in TARGETS if t.shape.startswith("codec: dir")]
    check = first.checks[0]
    rows = [row(check.case, check.peer, [1, 50, 100]), row(check.case, check.other, [9, 10, 11])]
    assert judge(first, rows)[0][1:] == (5.0, True)
    check = listing.checks[0]
    rows = [row(check.case, check.peer, [10], True), row(check.case, check.other, [7], True)]
    assert judge(listing, rows)[0][1:] == (0.7, False)


def test_a_part_of_it(tmp_path: Path) -> None:
    need_c()
    words = ["codec", "udp", "--rounds", "1", "--seconds", "0.5", "--results", str(tmp_path)]
    for peer in ("rpcserver", codec.BY_HAND, codec.LIBTIRPC, "libtirpc (C)"):
        words += ["--only", peer]
    subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        check=True,
        timeout=120,
        capture_output=True,
    )
    for name in ("codec", "udp"):
        data = json.loads((tmp_path / f"{name}.json").read_text())
        assert data["rows"]
        for row in data["rows"]:
            assert row["problems"] == []
            assert len(row["figures"]) == 1
    assert "## What is to be reached" in (tmp_path / "README.md").read_text()
