"""Run the benchmarks, or some parts of them, and write the results.

python -m benchmarks                                    everything: about half an hour
python -m benchmarks codec
python -m benchmarks tcp --rounds 1 --seconds 0.5
python -m benchmarks tcp --only 'libtirpc (C)' --only rpcserver
python -m benchmarks report                             only the page and the pictures
RPCSERVER_CODEC=reference python -m benchmarks --results DIR     all without the native codec
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

from benchmarks import machine, parts, plots, processes, report
from benchmarks.measure import Settings


def main() -> None:
    """Each part is saved when it is done, so that a run may be ended, and a part run again."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = (*parts.NAMES, "report")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "5")))
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement")
    parser.add_argument("--only", action="append", default=[], metavar="WHO")
    parser.add_argument("--results", type=Path, default=Settings.results)
    given = parser.parse_args()
    if unknown := set(given.parts) - set(names):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(names)}")
    settings = Settings(given.rounds, given.seconds, given.results, frozenset(given.only))
    chosen = [name for name in parts.NAMES if not given.parts or name in given.parts]
    if chosen:
        processes.build()
    described = machine.describe()
    for name in chosen:
        about = {**described, **machine.now()}
        rows = import_module(f"benchmarks.parts.{name}").run(settings)
        report.save(name, about, rows, settings)
        _publish(settings)
    if not chosen:
        _publish(settings)
    print(settings.results / "README.md")


def _publish(settings: Settings) -> None:
    found = report.saved(settings.results)
    (settings.results / "README.md").write_text(report.page(found))
    plots.draw([row for part in found for row in part.rows], settings.results)


if __name__ == "__main__":
    main()
