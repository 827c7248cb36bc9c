"""What a server has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rpcserver.rpc.counters import Count
from rpcserver.rpc.dispatch import ServerEngine


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers since the server was made.

    ``calls``: a ``Count`` for each program, version and procedure that was called, with the
    calls by outcome and the seconds spent; (0, 0, 0) has those for what is not served. Several
    processes count together. ``requests``: connections and datagrams taken; ``open``: those
    that are not done; ``limits``: how often each limit was reached, by its name. These three are
    of this process alone. ``duplicates``, of all again: how many calls that came again were
    ``answered`` with the reply they had, ``dropped`` because they ran, or refused because their
    reply was ``lost``; ``full`` are new ones for which the reply cache had no place.
    """

    calls: list[Count]
    requests: int
    open: int
    limits: dict[str, int]
    duplicates: dict[str, int] = field(default_factory=dict)


def stats_of(listeners: Iterable[Any], engine: ServerEngine) -> Stats:
    """Those of servers that share ``engine``."""
    listeners = list(listeners)
    limits: Counter[str] = Counter()
    for listener in listeners:
        limits += listener.reached
    return Stats(
        engine.counters.counts(),
        sum(listener.taken for listener in listeners),
        sum(listener.open_requests() for listener in listeners),
        dict(limits),
        engine.replies.counts() if engine.replies is not None else {},
    )
