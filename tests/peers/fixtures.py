"""The peers as pytest fixtures (a plugin, named in tests/conftest.py)."""

from collections.abc import Iterator

import pytest

from tests.peers.cc import ROOT, CalcC, CalcServer, build_calc
from tests.peers.netns import Namespace
from tests.peers.realm import Realm, realm
from tests.peers.rpcbind import Rpcbind, embedded
from tests.peers.xdr_peer import XdrPeer, build_xdr_peer


@pytest.fixture(scope="session")
def calc_c(tmp_path_factory: pytest.TempPathFactory) -> CalcC:
    """The C client and server of examples/c, built."""
    return build_calc(tmp_path_factory.mktemp("calc_c"))


@pytest.fixture(scope="session")
def calc_c_server(calc_c: CalcC) -> Iterator[CalcServer]:
    """A C server on free TCP and UDP ports, not registered, one for all tests."""
    with calc_c.serving() as server:
        yield server


@pytest.fixture(scope="session")
def calc_xdr_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XdrPeer]:
    """rpcgen's XDR routines for the types of idl/calc.x."""
    with build_xdr_peer(ROOT / "idl" / "calc.x", tmp_path_factory.mktemp("calc_xdr")) as peer:
        yield peer


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A private network and /run, where nothing runs yet."""
    with Namespace() as made:
        yield made


@pytest.fixture
def system_rpcbind(namespace: Namespace) -> Iterator[Rpcbind]:
    """The system's rpcbind in `namespace`."""
    with Rpcbind(namespace) as running:
        yield running


@pytest.fixture(params=["system", "embedded"])
def registry(request: pytest.FixtureRequest, namespace: Namespace) -> Iterator[Namespace]:
    """A namespace with an rpcbind, once the system's and once ours."""
    with Rpcbind(namespace) if request.param == "system" else embedded(namespace):
        yield namespace


@pytest.fixture(scope="module")
def kerberos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    """A realm where this process is alice, and has the keys of nfs@localhost."""
    with realm(tmp_path_factory.mktemp("realm")) as made:
        yield made
