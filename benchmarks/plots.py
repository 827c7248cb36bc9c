"""A picture per shape: bars of medians, with the lowest and the highest round."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Row
from benchmarks.report import number, picture, plots
from benchmarks.targets import speed

_OURS, _OTHERS = "#2a6fb0", "#a8a8a8"
_INCH = 0.34  # for a bar


def draw(rows: list[Row], results: Path) -> None:
    """All pictures of these rows, as PNG. Without matplotlib there are none, and a word why."""
    try:
        matplotlib: Any = import_module("matplotlib")
        matplotlib.use("Agg")
        pyplot: Any = import_module("matplotlib.pyplot")
    except ImportError as error:
        print(f"no pictures: {error}", file=sys.stderr)
        return
    for plot, shown in plots(rows).items():
        panels: dict[str, list[Row]] = {}
        for row in shown:
            if row.figures:
                panels.setdefault(row.panel, []).append(row)
        if not panels:
            continue
        height = sum(_INCH * len(each) + 0.9 for each in panels.values())
        figure, axes = pyplot.subplots(
            len(panels),
            squeeze=False,
            figsize=(8, height),
            height_ratios=[len(each) + 1 for each in panels.values()],
        )
        for axis, (panel, each) in zip(axes[:, 0], panels.items(), strict=True):
            _bars(axis, panel, each)
        figure.suptitle(plot)
        figure.tight_layout()
        figure.savefig(results / picture(plot), dpi=110)
        pyplot.close(figure)


def _bars(axis: Any, panel: str, rows: list[Row]) -> None:
    medians = [row.median for row in rows]
    below = [row.median - min(row.figures) for row in rows]
    above = [max(row.figures) - row.median for row in rows]
    axis.barh(
        range(len(rows)),
        medians,
        xerr=(below, above),
        color=[_OURS if row.peer.startswith(("rpcserver", "serve")) else _OTHERS for row in rows],
        ecolor="#555555",
        capsize=2,
    )
    axis.set_yticks(range(len(rows)), [row.peer for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, max(max(row.figures) for row in rows) * 1.25 or 1)
    for place, row in enumerate(rows):
        text = f"  {number(row.median)}  ({speed(row, rows[0]):.2f} x)"
        axis.text(max(row.figures), place, text, va="center", fontsize=7)
    direction = "less is better" if rows[0].less else "more is better"
    axis.set_title(f"{panel}: {rows[0].metric}, {direction}", fontsize=9)
    axis.tick_params(axis="x", labelsize=7)
    axis.xaxis.set_major_formatter(lambda value, _: number(value))
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
