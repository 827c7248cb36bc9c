"""The table in docs/howto/authentication.md: what it says of each cell is so.

Another flavor takes rows in the table, and its entry in ``FLAVORS``.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import rpcserver
from rpcserver.auth import SysClient, SysCredential
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import KINDS
from tests.auth.service import PROG, URLS, WhoClient, serving
from tests.auth.test_short import exchange
from tests.cli.command import running
from tests.peers import wire

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "authentication.md"
COLUMNS = (*KINDS, "workers")
ALICE = SysCredential(1000, 100, (4,), "here", 7)

Serving = Callable[..., AbstractContextManager[tuple[str, Any]]]
"""Called with the settings of a flavor: a server of the cell's kind and transport"""


class Cell(NamedTuple):
    """A place in the table, and what it says."""

    flavor: str
    transport: str
    kind: str
    text: str


def table() -> list[Cell]:
    section = PAGE.read_text().split("## Where each flavor works")[1].split("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    header, _, *rest = rows
    assert header[:2] == ["flavor", "transport"]
    return [
        Cell(flavor, transport, kind, text)
        for flavor, transport, *cells in rest
        for kind, text in zip(header[2:], cells, strict=True)
    ]


def anonymous(serve: Serving, directory: Path) -> None:
    with serve() as (url, _), rpcserver.connect(WhoClient, url, timeout=10) as client:
        assert client.who() == client.who() == "nobody"
        assert client.echo(b"x") == b"x"


def by_claim(serve: Serving, directory: Path) -> None:
    with serve() as (url, _):
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=ALICE) as client:
            assert client.who() == client.who() == "1000:100:4"
            assert client.echo(b"x") == b"x"


def by_handle(serve: Serving, directory: Path) -> None:
    flavor = SysClient(ALICE)
    with serve(short_credentials=10) as (url, _):
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=flavor) as client:
            assert client.who() == "1000:100:4"
            assert flavor.protect(bytes(24), b"")[0][24:28] == wire.words(2)
            assert client.who() == client.who() == "1000:100:4"
            assert client.echo(b"x") == b"x"


def refused(flavor: int) -> Callable[[Serving, Path], None]:
    def check(serve: Serving, directory: Path) -> None:
        with serve() as (url, _), exchange(url, directory) as ask:
            assert parse_url(url)
            assert ask(wire.call(PROG, 1, 1, flavor=flavor, body=bytes(20))).auth_stat == 2

    return check


def by_context(serve: Serving, directory: Path) -> None:
    with serve(gss="nfs@localhost") as (url, _):
        credentials = "krb5i:nfs@localhost"
        with rpcserver.connect(WhoClient, url, timeout=10, credentials=credentials) as client:
            assert client.who() == client.who() == "alice@RPC.TEST"
            assert client.echo(b"x") == b"x"


def without_the_context(serve: Serving, directory: Path) -> None:
    """What a worker answers that has not made the context."""
    body = wire.words(1, 0, 1, 2) + wire.opaque(b"another's")
    call = wire.call(PROG, 1, 1, flavor=6, body=body, verf_flavor=6, verf_body=b"x")
    with serve(gss="nfs@localhost") as (url, _), exchange(url, directory) as ask:
        assert ask(call).auth_stat == 14


FLAVORS: dict[str, Callable[[Serving, Path], None]] = {
    "AUTH_NONE": anonymous,
    "AUTH_SYS": by_claim,
    "AUTH_SHORT": by_handle,
    "RPCSEC_GSS": by_context,
    "AUTH_DH": refused(3),
}
"""flavor -> what must work in a cell that says yes; for one that says no, what happens"""


def cases() -> list[Cell]:
    return [
        cell._replace(transport=transport)
        for cell in table()
        for transport in (URLS if cell.transport == "all" else [cell.transport])
    ]


def test_the_table_is_whole() -> None:
    found = [(cell.flavor, cell.transport, cell.kind) for cell in cases()]
    assert len(set(found)) == len(found)
    assert set(found) == {(f, t, k) for f in FLAVORS for t in URLS for k in COLUMNS}
    for cell in table():
        assert cell.text == "yes" or re.fullmatch(r"no: RFC \d+ section [\d.]+", cell.text), cell


@pytest.mark.parametrize("cell", cases(), ids=lambda cell: "-".join(cell[:3]))
def test_cell(cell: Cell, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kerberos = cell.flavor == "RPCSEC_GSS"
    if kerberos:
        request.getfixturevalue("kerberos")

    def serve(**settings: Any) -> AbstractContextManager[tuple[str, Any]]:
        if cell.kind == "forks" and kerberos:
            return elsewhere(URLS[cell.transport].format(path=tmp_path / "sock"), settings["gss"])
        if cell.kind == "workers":
            return serving(cell.transport, tmp_path, workers=2, **settings)
        return serving(cell.transport, tmp_path, cell.kind, **settings)

    if kerberos and cell.text != "yes":
        without_the_context(serve, tmp_path)
    else:
        FLAVORS[cell.flavor](serve, tmp_path)


@contextmanager
def elsewhere(url: str, gss: str) -> Iterator[tuple[str, None]]:
    """A server that forks in a process of its own: a child of this one could inherit a lock that
    the client's Kerberos library holds just then."""
    options = ("--no-register", "--kind", "forks", "--gss", gss, "--listen", url)
    with running("serve", "tests.auth.service:Who", *options) as server:
        yield server.urls[0], None
