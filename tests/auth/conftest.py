"""Certificates, once for all."""

import pytest

from tests.auth import certs as making
from tests.auth.certs import Certs


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    return making.make(tmp_path_factory.mktemp("certs"))
