"""What the compiler writes is formatted, and pleases linters and type checkers.

One run of each tool over the modules and the samples of all cases, of files with long names, and
of the project's own files.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rpcserver import rpcgen
from rpcserver.rpcgen.project import module_name
from tests.peers.need import unavailable
from tests.rpcgen import case
from tests.rpcgen.long_names import LongNames

SETTINGS = """
[tool.ruff]
line-length = 100
target-version = "py311"
src = [".", "long_names"]
[tool.ruff.lint]
extend-select = ["I"]  # the default rules, and the order of imports
ignore = ["E741"]  # names like l are the .x's
[tool.ruff.lint.per-file-ignores]
"names_idl.py" = ["PYI042"]  # types keep their spelling
[tool.mypy]
strict = true
mypy_path = "{root}"
exclude = ["long_names"]
[tool.pyright]
pythonVersion = "3.11"
typeCheckingMode = "standard"
exclude = ["long_names"]
extraPaths = ["{root}"]
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all modules and samples."""
    directory = tmp_path_factory.mktemp("generated")
    root = case.ROOT.as_posix()
    (directory / "pyproject.toml").write_text(SETTINGS.replace("{root}", root), encoding="utf-8")
    for name in case.NAMES:
        _write(directory, case.source(name), name, **case.OPTIONS.get(name, {}))
    for path in case.PROJECT:
        _write(directory, path, f"project_{module_name(path)}")
    (directory / "long_names").mkdir()  # only their layout is of interest
    for seed in range(12):
        path = directory / "long_names" / f"names_{seed}.x"
        path.write_text(LongNames(seed, longest=4 + 3 * seed).file(), encoding="utf-8")
        _write(path.parent, path, path.stem)
    return directory


def _write(directory: Path, path: Path, name: str, **options: str) -> None:
    rpcgen.generate(path, directory / f"{name}.py", shown_path=path.name, **options)
    if case.has_program(path):
        sample = rpcgen.sample(path, module=name, **options)
        (directory / f"sample_{name}.py").write_text(sample, encoding="utf-8")


@pytest.mark.parametrize(
    "tool",
    ["ruff format --check --diff .", "ruff check .", "mypy .", "pyright"],
    ids=["format", "lint", "mypy", "pyright"],
)
def test_all_is_clean(tool: str, generated: Path) -> None:
    name, *arguments = tool.split()
    if importlib.util.find_spec(name) is None:
        unavailable(f"{name} not found: pip install --group lint")
    if name == "pyright":
        arguments += ["--pythonpath", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=generated,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(case.ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
