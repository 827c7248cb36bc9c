"""The tables of docs/conformance.md, made of the probes and the disagreements."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rpcserver.conform import PROBES, Probe, Subject, probes_for
from rpcserver.conform.probe import DATAGRAM, STREAM
from tests.conformance import ours
from tests.conformance.disagreements import (
    DISAGREEMENTS,
    GANESHA,
    LIBTIRPC,
    PLAIN,
    RPCBIND,
    known,
)
from tests.peers import wire

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
PEERS = (LIBTIRPC, RPCBIND, GANESHA, PLAIN)
OURS = "rpcserver"

_BEGIN, _END = "<!-- made by tests/conformance -->", "<!-- to here -->"
_SUBJECT = Subject(0x20000401, 3, 1, wire.opaque(b"probe"))
_OVER = {"stream": (STREAM,), "datagram": (DATAGRAM,), "any": (STREAM, DATAGRAM)}
_NAMES = {STREAM: "streams", DATAGRAM: "datagrams"}


def with_tables(page: str) -> str:
    """The page with the tables as they should be."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{tables()}\n\n{_END}{after}"


def tables() -> str:
    """What is between the two marks."""
    probes = ["probe", "section", "what is sent", "what may come", "what comes from ours", *PEERS]
    disagreements = ["server", "over", "probes", "what comes", "why"]
    return "\n".join(
        [
            "## How many are passed",
            "",
            *_table(["server", "over streams", "over datagrams"], _passed()),
            "",
            "## The probes",
            "",
            *_table(probes, map(_row, PROBES)),
            "",
            "## Where servers disagree",
            "",
            *_table(disagreements, _disagreements()),
        ]
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _passed() -> Iterator[list[str]]:
    for server in (OURS, *PEERS):
        cells = [server]
        for stream, over in ((True, STREAM), (False, DATAGRAM)):
            count = len(probes_for(stream, _with_arguments(server)))
            cells.append(f"{count - len(known(server, over))} of {count}")
        yield cells


def _with_arguments(server: str) -> bool:
    """Whether one of its procedures is called, beside procedure 0."""
    return server in (OURS, LIBTIRPC)


def _row(probe: Probe) -> list[str]:
    overs = _OVER[probe.over]
    wanted = probe.wanted(_SUBJECT)
    came = {ours.came(each)[probe.name]: None for each in overs}
    peers = [_peer(server, probe, overs) for server in PEERS]
    return [f"`{probe.name}`", probe.section, probe.about, wanted, "; ".join(came), *peers]


def _peer(server: str, probe: Probe, overs: tuple[str, ...]) -> str:
    if probe.arguments and not _with_arguments(server):
        return ""
    agrees = {over: probe.name not in known(server, over) for over in overs}
    if all(agrees.values()):
        return "yes"
    if not any(agrees.values()):
        return "**no**"
    return ", ".join(f"{_NAMES[over]} **no**" for over, agreed in agrees.items() if not agreed)


def _disagreements() -> Iterator[list[str]]:
    for each in DISAGREEMENTS:
        probes = ", ".join(f"`{name}`" for name in each.probes)
        yield [each.server, _NAMES[each.over], probes, " or ".join(each.came), each.why]
