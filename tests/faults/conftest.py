"""The library that makes faults, once, and a file of them for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim import Faults, build


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Faults]:
    found = Faults(tmp_path / "faults")
    yield found
    found.close()
