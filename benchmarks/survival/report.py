"""docs/survival.md, from the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.survival.attacks import MIB
from benchmarks.survival.running import BOUND, Row

HEAD = f"""# Survival

The same attacks on servers of several makes, by the same program: `python -m benchmarks.survival`,
as root and with Debian's rpcbind and libtirpc-dev for all of them. Each attack meets a fresh server
with all settings as they are. It *survived* if it lives, serves a new client within five seconds,
leaves the processor alone once it is over, lets nobody else wait for more than a second while it
lasts, and does not what it must not do. The number is the most memory that the process ever had
(VmHWM).

Ours has to stay below {BOUND // MIB} MiB under each of them, which `tests/survival/` asserts.
"""

ATTACKS = {
    "nothing": "the server alone, with a client or two",
    "2 GiB record mark": "a fragment of 2 GiB is announced, and 64 MiB of it come (RFC 5531 §11)",
    "20 million elements in 4 bytes": "a count, and nothing behind it (RFC 4506 §4.13)",
    "list of 1,000,000": "a linked list in 4 MB (RFC 4506 §4.19)",
    "recursion 100,000 deep": "a tree of which each node has a left one",
    "10,000 fragments of a byte": "a call, cut as small as can be",
    "200,000 empty fragments": "none of which is the last",
    "120 calls of 4 MB, all but a byte": "each over a connection of its own, 480 MB in all",
    "1,000 slow-loris connections": "each sends a byte of a call now and then, beside a busy"
    " client",
    "1 MiB replies that nobody reads": "up to 20,000 calls for them, beside a busy client; of a"
    " portmapper: its list",
    "flood of connections, CVE-2021-46828": "600 of them, to a server that may have 256"
    " descriptors: does it spin, and does it serve who was there before?",
    "malformed AUTH_SYS": "too many groups, so many that their bytes overflow 32 bits, names and"
    " lengths that lie, more than 400 bytes (RFC 5531 §8.2, appendix A)",
    "duplicate datagrams": "a call that counts comes five times with one xid",
    "rpcbomb, CVE-2017-8779": "400 calls with a string of 100 MB of which only the length is there",
    "spoofed datagrams": "of another host, to a portmapper with 60 registrations: bytes out for"
    " each byte in",
    "the same xids": "eight clients at a time, over TCP and UDP: nobody gets another's reply",
}

_BUSY = ("1,000 slow-loris connections", "1 MiB replies that nobody reads")


def page(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join(_page(rows, about)) + "\n"


def _page(rows: Sequence[Row], about: dict[str, Any]) -> Iterator[str]:
    targets = list(dict.fromkeys(row.target for row in rows))
    found = {(row.attack, row.target): row for row in rows}
    yield HEAD
    yield f"| attack | {' | '.join(targets)} |"
    yield f"|{' --- |' * (len(targets) + 1)}"
    for name in ATTACKS:
        cells = [_cell(found.get((name, target))) for target in targets]
        if any(cells):
            yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    yield "A dash: it has nothing that could be attacked so. The busy client beside two of them, as"
    yield "ratios to what it had just before:"
    yield ""
    yield "| attack | server | calls/s | p99 of its calls | its longest call |"
    yield "| --- | --- | --- | --- | --- |"
    for name in _BUSY:
        for target in targets:
            row = found.get((name, target))
            if row and "rate" in row.figures:
                rate, p99, most = (row.figures[key] for key in ("rate", "p99", "most_ms"))
                longest = "more than 5 s" if most >= 5000 else f"{most:.0f} ms"
                yield f"| {name} | {target} | {rate:.2f} x | {p99:,.1f} x | {longest} |"
    yield ""
    yield "Who attacks has one of the two processors for itself, and takes some of the other."
    yield from ("", "## The attacks", "")
    for name, text in ATTACKS.items():
        yield f"- **{name}**: {text}" + ("" if text.endswith("?") else ".")
    yield from (
        "",
        "STARTTLS injection, bytes in the clear behind an AUTH_TLS call, is a matter of",
        "`tests/auth/test_tls_servers.py`, where each kind of server closes the connection: the",
        "others have no TLS.",
        "",
        "## Where",
        "",
        f"{about['date']}, commit {about['commit']}; {about['machine']}; Python {about['python']};"
        f" codec: {about['codecs']['rpcserver']}; libtirpc {about['versions']['libtirpc']};"
        f" load before: {about['load before']}. On a busy machine `others wait` and the ratios say",
        "little.",
        "The figures are in `benchmarks/results/survival.json`.",
    )
    for note in about["notes"]:
        yield f"Not there: {note}."


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row.survived is None:
        return "-"
    beside = f": {row.said}" if row.said and row.survived else ""
    if row.attack == "nothing":
        return f"{row.peak_mib:.0f} MiB"
    verdict = "yes" if row.survived else f"**no**: {row.why}"
    return f"{verdict}{beside}, {row.peak_mib:.0f} MiB"
