"""The command as a whole: what it offers, and how it ends."""

import subprocess
import sys

import pytest

import rpcserver
from rpcserver import errors
from rpcserver.cli import VERBS, exit_status
from rpcserver.xdr import codec_name
from tests.cli.command import environment, invoke, run


def test_help_names_every_verb() -> None:
    shown = invoke("--help")
    assert shown.exit_code == 0
    for verb, what in VERBS.items():
        assert f"  {verb} " in shown.stdout
        assert what in shown.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    shown = invoke(verb, "--help")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: rpcserver {verb} ")


def test_help_loads_nothing_but_click() -> None:
    source = """
import sys
from rpcserver.cli import main
main(["--help"], standalone_mode=False)
loaded = {"lark", "rich", "socketserver", "rpcserver.rpc", "rpcserver.xdr"} & set(sys.modules)
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_version_says_which_codec_runs() -> None:
    done = run("--version")
    assert done.stdout == f"rpcserver {rpcserver.__version__} (codec: {codec_name()})\n"


@pytest.mark.parametrize("args", [["sing"], ["ping"], ["call", "x.x"], ["info", "--loud"]])
def test_a_wrong_command_line(args: list[str]) -> None:
    done = invoke(*args)
    assert done.exit_code == 2
    assert "Usage: rpcserver" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.IdlError("no"), 1),
        (errors.UsageError("no"), 1),
        (errors.NotReached("no"), 3),
        (errors.TimedOut("no"), 3),
        (errors.BadReply("no"), 4),
        (errors.RpcMismatch(2, 2), 64),
        (errors.ProgUnavail(), 65),
        (errors.ProgMismatch(1, 2), 66),
        (errors.ProcUnavail(), 67),
        (errors.GarbageArgs(), 68),
        (errors.SystemErr(), 69),
        (errors.AuthError(1), 81),
        (errors.AuthError(14), 94),
    ],
)
def test_exit_status(error: errors.RpcServerError, status: int) -> None:
    assert exit_status(error) == status
