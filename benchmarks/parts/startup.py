"""How long importing takes, and the command line to start: whole processes, ended again."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Failed, Figures, Row, Settings, rows
from benchmarks.processes import FIRST, ROOT, pinned

TIMES = 10
"""Processes of one round"""

NOTHING = "python -c pass"
ASYNCIO = "import asyncio"
OURS = "serve, connect, a generated module"
LARGE = "serve, connect, a large generated module"
CLICK = "import click"
HELP = "rpcserver --help"

_BOTH = "from rpcserver import serve, connect"
_SCRIPT = Path(sys.executable).with_name("rpcserver")

CASES: dict[str, dict[str, Sequence[str]]] = {
    "import": {
        ASYNCIO: ["-c", "import asyncio"],
        OURS: ["-c", f"{_BOTH}; import generated.kv"],
        LARGE: ["-c", f"{_BOTH}; import generated.nfs3_prot"],
        NOTHING: ["-c", "pass"],
    },
    "command line": {
        CLICK: ["-c", "import click"],
        HELP: [str(_SCRIPT), "--help"] if _SCRIPT.exists() else ["-m", "rpcserver", "--help"],
        NOTHING: ["-c", "pass"],
    },
}


def run(settings: Settings) -> list[Row]:
    """Milliseconds of the whole process, the interpreter's own start included."""
    found = []
    for case, programs in CASES.items():
        found += rows(
            case,
            {name: _measured(words) for name, words in programs.items()},
            settings,
            metric="ms",
            figure="ms",
            less=True,
            plot="startup",
            panel=case,
            pinned="one CPU; byte code is there, files are in memory",
        )
    return found


def _measured(words: Sequence[str]) -> Callable[[], Figures]:
    argv = pinned([sys.executable, *words], FIRST)
    # Byte code may be written, whatever this process was told.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        begun = time.perf_counter()
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, check=False)
        took = time.perf_counter() - begun
        if done.returncode:
            raise Failed(done.stderr.decode(errors="replace").strip()[-200:])
        return took

    def measure() -> Figures:
        once()
        return {"ms": 1000 * statistics.median(once() for _ in range(TIMES))}

    return measure
