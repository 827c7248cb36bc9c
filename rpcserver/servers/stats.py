"""What a server has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rpcserver.rpc.counters import Count


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers since the server was made.

    ``calls``: a ``Count`` for each program, version and procedure that was called, with the
    calls by outcome and the seconds spent; (0, 0, 0) has those for what is not served. Several
    processes count together. ``requests``: connections and datagrams taken; ``open``: those
    that are not done; ``limits``: how often each limit was reached, by its name. These three are
    of this process alone.
    """

    calls: list[Count]
    requests: int
    open: int
    limits: dict[str, int]


def stats_of(listeners: Iterable[Any], calls: list[Count]) -> Stats:
    """Those of servers that share an engine."""
    listeners = list(listeners)
    limits: Counter[str] = Counter()
    for listener in listeners:
        limits += listener.reached
    return Stats(
        calls,
        sum(listener.taken for listener in listeners),
        sum(listener.open_requests() for listener in listeners),
        dict(limits),
    )
