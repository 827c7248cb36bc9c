"""The clock on the wall may be set: nothing waits by it."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.cli.command import ROOT, environment
from tests.faults.shim import Faults

ASKED = {"rpcbind/service.py"}
"""who asks for the time of day: RPCBPROC_GETTIME tells it"""


def test_years_go_by_and_come_back(tmp_path: Path, shim: Path, faults: Faults) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.clock", str(tmp_path)],
        cwd=ROOT,
        env={**environment(), **faults.environment(shim)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_asks_for_the_time_of_day() -> None:
    found = set()
    for path in (ROOT / "rpcserver").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "time.time",
                "time.time_ns",
            ):
                found.add(path.relative_to(ROOT / "rpcserver").as_posix())
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                found.add(path.relative_to(ROOT / "rpcserver").as_posix())
    assert found == ASKED
