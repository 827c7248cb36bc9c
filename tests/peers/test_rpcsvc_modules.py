"""Debian's `.x` files as they are: each compiles, imports, and pleases the checkers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rpcserver import rpcgen
from tests.peers.need import unavailable
from tests.peers.rpcsvc import FILES, File
from tests.rpcgen import case


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_loads(file: File) -> None:
    file.need()
    module = file.load()
    for name in file.codecs:
        assert file.designator(name) is not None
    assert module.__doc__


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the modules of all files."""
    directory = tmp_path_factory.mktemp("rpcsvc")
    package = directory / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    for file in FILES:
        file.need()
        rpcgen.generate(
            file.path, package / f"{file.name}.py", define=file.define, shown_path=file.path.name
        )
    root = case.ROOT.as_posix()
    (directory / "pyproject.toml").write_text(
        f'[tool.ruff]\nline-length = 100\n[tool.mypy]\nstrict = true\nmypy_path = "{root}"\n'
        f'[tool.pyright]\nextraPaths = ["{root}"]\n'
    )
    return directory


def test_all_import(generated: Path) -> None:
    names = ", ".join(f"package.{file.name}" for file in FILES)
    subprocess.run(
        [sys.executable, "-c", f"import {names}"],
        cwd=generated,
        check=True,
        env=os.environ | {"PYTHONPATH": str(case.ROOT)},
    )


@pytest.mark.parametrize("tool", ["ruff format --check", "ruff check", "mypy .", "pyright"])
def test_all_is_clean(generated: Path, tool: str) -> None:
    name, *arguments = tool.split()
    if importlib.util.find_spec(name) is None:
        unavailable(f"{name} not found: pip install --group lint")
    if name == "pyright":
        arguments += ["--pythonpath", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=generated,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
