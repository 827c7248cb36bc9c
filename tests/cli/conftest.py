"""What the tests of several verbs need."""

from collections.abc import Iterator

import pytest

from rpcserver.clients.finding import RPCBIND_VARIABLE
from rpcserver.servers.portmap import Portmapper


@pytest.fixture(autouse=True)
def _no_rpcbind_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RPCBIND_VARIABLE, raising=False)


@pytest.fixture
def rpcbind() -> Iterator[str]:
    """The URL of an embedded rpcbind of the test's own, empty."""
    with Portmapper(["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]) as server:
        server.start()
        yield server.endpoints[0]
