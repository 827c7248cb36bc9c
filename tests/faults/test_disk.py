"""A full disk: what was there stays, nothing is there in part, and one line says why."""

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rpcserver.clients.finding import open_rpcbind
from rpcserver.rpcbind import state
from rpcserver.rpcbind.netid import parse_url
from rpcserver.rpcbind.table import Registration
from rpcserver.servers.portmap import Portmapper
from tests.cli.command import CALC, RPCSERVER, environment

ROOM = 500
"""bytes that a file may have"""

FULL = Path("/dev/full")
ENTRIES = [Registration(77, n, "udp", "127.0.0.1.4.1", "superuser") for n in range(20)]


def without_room(argv: Sequence[str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program whose files are full after ``ROOM`` bytes."""
    code = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        cwd=cwd,
        env=environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def test_what_is_registered_is_saved_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state.save(path, ENTRIES[:1])
    before = path.read_bytes()
    code = (
        "import sys; from pathlib import Path; from rpcserver.rpcbind import state\n"
        "from tests.faults.test_disk import ENTRIES\n"
        "try: state.save(Path(sys.argv[1]), ENTRIES)\n"
        "except OSError as error: sys.exit(error.strerror)"
    )
    done = without_room([sys.executable, "-c", code, str(path)], tmp_path)
    assert done.stderr == "File too large\n"
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


def test_an_rpcbind_goes_on_and_saves_all_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit is this process's own, for as long as it takes."""
    path = tmp_path / "state"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with Portmapper(["tcp://127.0.0.1:0"], probe=None, state=path) as portmap:
        (url,) = portmap.start().endpoints
        with open_rpcbind(url) as asked:
            for number in range(40):
                if number == 20:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
                try:
                    assert asked.set(77, number, parse_url("tcp://127.0.0.1:9"))
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                assert len(state.load(path)) == min(number + 1, 20)
                if number == 20:
                    assert "cannot be saved: [Errno 27] File too large" in caplog.text
                    break
            assert asked.set(78, 1, parse_url("tcp://127.0.0.1:9"))
        assert len(state.load(path)) == 22
    assert [*tmp_path.iterdir()] == [path]


def test_generated_files_are_whole_or_as_they_were(tmp_path: Path) -> None:
    output = tmp_path / "calc.py"
    output.write_text("what was there")
    done = without_room([*RPCSERVER, "gen", CALC, "-o", str(output)], tmp_path)
    assert one_line(done) == f"Error: cannot write {output}: File too large"
    assert output.read_text() == "what was there"
    assert [*tmp_path.iterdir()] == [output]


def test_a_sample_is_whole_or_not_there(tmp_path: Path) -> None:
    """What is there is never written to, so half a sample would be in the way of the next try."""
    output = tmp_path / "service.py"
    done = without_room([*RPCSERVER, "gen", "--sample", CALC, "-o", str(output)], tmp_path)
    assert one_line(done) == f"Error: cannot write {output}: File too large"
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", [("gen", CALC, "-o", "-"), ("gen", "--sample", CALC), ("lint", CALC), ("info", "{}")]
)
def test_standard_output_is_full(words: Sequence[str], tmp_path: Path) -> None:
    with Portmapper(["tcp://127.0.0.1:0"]) as portmap, FULL.open("w") as full:
        (url,) = portmap.start().endpoints
        host = ["--rpcbind", url] if words[0] == "info" else []
        done = subprocess.run(
            [*RPCSERVER, *(word for word in words if word != "{}"), *host],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    if words[0] == "lint" and not done.stderr:  # nothing to say
        return
    assert one_line(done) == "Error: cannot write the output: No space left on device"
