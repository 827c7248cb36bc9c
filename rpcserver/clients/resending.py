"""When to try again: datagrams that nobody answered, connections that were lost, replies that
are not whole."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from rpcserver.errors import CallError, NotReached, TlsError
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpcbind.netid import Endpoint

FIRST_RETRY = 0.5
"""Seconds after which a datagram that nobody answered is sent again; doubled each time."""

LAST_RETRY = 8.0
"""Seconds between two sendings, at most."""

FIRST_BACK_OFF = 0.1
"""Seconds before a connection that was lost is opened again for a call that may be sent twice;
doubled each time."""

LAST_BACK_OFF = 5.0
"""Seconds between two attempts, at most."""

MAX_DAMAGED = 8
"""Datagrams in a row that make no sense, or to whose sender ours made none, before a call that
may be sent twice ends with the last of them."""

MAX_UNMARKED = 16
"""Looks at a record whose end is not marked, whether it is a whole reply."""

_JITTER = 0.25


class Unreachable(NotReached):
    """Nobody has the port that a datagram went to."""


def not_reached(endpoint: Endpoint, error: Exception) -> CallError:
    """What calls over a connection end with that has failed."""
    if isinstance(error, TlsError):
        return TlsError(f"{endpoint}: {error}")
    unreachable = isinstance(error, ConnectionRefusedError) and not endpoint.stream
    return (Unreachable if unreachable else NotReached)(
        f"{endpoint}: {getattr(error, 'strerror', None) or error}"
    )


def went_nowhere(pending: PendingCall, since: float) -> bool:
    """Whether a call, first sent at ``since`` (``time.monotonic``), cannot have run: its only
    datagram came to a port that nobody has."""
    once = time.monotonic() - since < FIRST_RETRY * (1 - _JITTER)
    return once and pending.lost and isinstance(pending.error, Unreachable)


def pauses(first: float, last: float) -> Iterator[float]:
    """Seconds to wait before each further try, without end: doubled up to ``last``, and a quarter
    more or less, so that many clients do not come at the same time."""
    pause = first
    while True:
        yield pause * random.uniform(1 - _JITTER, 1 + _JITTER)
        pause = min(2 * pause, last)
