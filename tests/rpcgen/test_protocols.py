"""The project's own generated files: they are what the compiler writes, and it needs none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rpcserver import rpcgen
from rpcserver.rpcgen import project
from tests.rpcgen import case

TABLE = project.project_table(case.ROOT / "pyproject.toml")


def test_all_are_in_the_table() -> None:
    assert sorted(source for source, _ in TABLE) == case.PROJECT


@pytest.mark.parametrize(("source", "output"), TABLE, ids=lambda path: path.name)
def test_regenerating_changes_nothing(source: Path, output: Path) -> None:
    shown = source.relative_to(case.ROOT).as_posix()
    assert rpcgen.compile_file(source, shown_path=shown) == output.read_text(encoding="utf-8")


def run(code: str, directory: Path, **environment: str) -> str:
    """What ``code`` prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_deleted_files_can_be_made_again(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(case.ROOT / "rpcserver", tmp_path / "rpcserver", ignore=ignore)
    shutil.copytree(case.ROOT / "idl", tmp_path / "idl")
    shutil.copy(case.ROOT / "pyproject.toml", tmp_path)
    outputs = [tmp_path / output.relative_to(case.ROOT) for _, output in TABLE]
    for output in outputs:
        output.unlink(missing_ok=True)
    gen = "from rpcserver.cli import main; main(['gen'], standalone_mode=False)"
    assert run(gen, tmp_path).count("wrote ") == len(outputs)
    for output, (_, original) in zip(outputs, TABLE, strict=True):
        assert output.read_bytes() == original.read_bytes()


def test_the_output_does_not_depend_on_the_run() -> None:
    code = (
        "import glob; from rpcserver import rpcgen\n"
        "for path in sorted(glob.glob('tests/rpcgen/cases/rfc*.x')):\n"
        "    print(rpcgen.compile_file(path))\n"
        "    if 'program' in open(path).read(): print(rpcgen.sample(path))\n"
    ).replace("if 'program' in open(path).read()", "if '\\nprogram' in open(path).read()")
    first, second = (run(code, case.ROOT, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second


def test_no_module_hides_a_function_of_the_package() -> None:
    modules = {path.stem for path in (case.ROOT / "rpcserver" / "rpcgen").glob("*.py")}
    assert not modules & set(rpcgen.__all__)
