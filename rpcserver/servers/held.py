"""What the connections of a multiplexed server have in memory, all together."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rpcserver.servers.per_peer import origin
from rpcserver.servers.stream import LimitError


def held_by(stream: Any) -> int:
    """Bytes of calls that are not whole, and of replies that are not taken."""
    size: int = stream.held + stream._out.queued
    return size


def relieve(server: Any) -> None:
    """Close connections until the rest has no more than ``max_held`` bytes: first those of the
    host that has the most."""
    held = {stream: held_by(stream) for stream in server.streams}
    total = sum(held.values())
    if total <= server.max_held:
        return
    hosts = {stream: origin(stream.client_address) for stream in held}
    of_host: Counter[Any] = Counter()
    for stream, size in held.items():
        of_host[hosts[stream]] += size
    # Those of UNIX sockets are not one host's, for all that is known.
    order = sorted(
        held,
        key=lambda stream: (of_host[hosts[stream]] if hosts[stream] else 0, held[stream]),
        reverse=True,
    )
    for stream in order:
        if total <= server.max_held:
            break
        text = f"all connections have {total} bytes of calls that are not whole and of replies"
        stream.report(LimitError("max_held", f"{text} that are not taken, this {held[stream]}"))
        stream.close()
        total -= held[stream]
