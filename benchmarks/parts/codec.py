"""Codecs: microseconds to encode and to decode the data of c/codec.x."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import servers
from benchmarks.codecs.cases import TITLES
from benchmarks.measure import Figures, Row, Settings, alternate, say
from benchmarks.processes import FIRST, C, output

LIBTIRPC = "libtirpc (C structs)"
MSGSPEC = "msgspec (MessagePack)"
BY_HAND = "xdrlib3 by hand"

CODECS = {
    BY_HAND: "by_hand",
    MSGSPEC: "msgpack",
    "protobuf (parsed, not read)": "protobuf",
    "construct, compiled": "constructed",
}
ACTIONS = ("encode", "decode")
PINNED = "each codec in a process of its own, all on one CPU; no garbage collector"


def run(settings: Settings) -> list[Row]:
    """All cases by all codecs."""
    share = settings.seconds / (len(TITLES) * len(ACTIONS)) * 3
    measures = {
        LIBTIRPC: _libtirpc,
        servers.OURS: _python("ours", share, {}),
        servers.PYTHON_CODEC: _python("ours", share, servers.REFERENCE),
        **{peer: _python(name, share, {}) for peer, name in CODECS.items()},
    }
    found, problems = alternate("codec", measures, settings)
    made = []
    for case, title in TITLES.items():
        for action in ACTIONS:
            for peer, samples in found.items():
                name = f"{case} {action}"
                figures = [each[name] for each in samples if name in each]
                row = Row(
                    f"{title}, {action}",
                    peer,
                    "us",
                    figures,
                    less=True,
                    plot=f"codec {title}",
                    panel=action,
                    pinned=PINNED,
                    problems=problems[peer],
                )
                if samples and (size := samples[0].get(f"{case} bytes")):
                    row.beside["bytes"] = size
                if figures or row.problems:
                    made.append(row)
                    say(f"{row.case}: {peer}: {row.median:,.2f} us", end="\n")
    return made


def _python(name: str, seconds: float, env: dict[str, str]) -> Callable[[], Figures]:
    def measure() -> Figures:
        argv = [sys.executable, "-m", "benchmarks.codecs", name, str(seconds)]
        figures: Figures = output(argv, FIRST, env=env)
        return figures

    return measure


def _libtirpc() -> Figures:
    figures = {}
    for case, (encode, decode) in output([str(C / "tirpc_codec")], FIRST).items():
        figures[f"{case} encode"], figures[f"{case} decode"] = encode, decode
    return figures
