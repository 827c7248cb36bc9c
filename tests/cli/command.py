"""``rpcserver`` as tests run it: in this process, to its end, or beside the test."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from rpcserver.cli import main
from tests.peers.process import Process

ROOT = Path(__file__).resolve().parents[2]
RPCSERVER = [sys.executable, "-m", "rpcserver"]
CALC = str(ROOT / "idl" / "calc.x")
CALC_PROG = 0x20000199


def invoke(*args: str) -> Result:
    """Run a verb in this process. What is no exit status is raised."""
    result = CliRunner().invoke(main, args, prog_name="rpcserver")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, with our packages to be found from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}


def run(*args: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a verb in a process of its own, to its end."""
    return subprocess.run(
        [*RPCSERVER, *args],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Running:
    """A verb that serves, and the URLs where."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.urls = [
            line.removeprefix("listening ")
            for line in process.stdout().splitlines()
            if line.startswith("listening ")
        ]


@contextmanager
def running(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a verb that serves until the block is left, or the test ends it. It is ready."""
    with Process([*RPCSERVER, *args], cwd=cwd, env=environment(env)) as process:
        process.wait_for("^ready$", timeout=30)
        yield Running(process)
