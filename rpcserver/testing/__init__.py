"""For the tests of people who use rpcserver: services without sockets, random values of types,
load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcserver.errors import UsageError
from rpcserver.testing.latencies import Latencies
from rpcserver.testing.load import Report, bench
from rpcserver.testing.memory import MemoryChannel, connect

if TYPE_CHECKING:
    from hypothesis import strategies as st

__all__ = ["Latencies", "MemoryChannel", "Report", "bench", "connect", "values"]


def values(designator: Any, *, max_size: int = 8) -> st.SearchStrategy[Any]:
    """A hypothesis strategy for valid values of an XDR type.

    ``max_size`` is how many elements or bytes something has at most, where the type's own limit
    is not smaller. Strings come with bytes that are no UTF-8, too. Raises ``UsageError`` for a
    type whose codec is the user's, and without ``rpcserver[testing]``.
    """
    try:
        from rpcserver.testing.strategies import strategy
    except ImportError as error:
        raise UsageError(f"{error}: pip install rpcserver[testing]") from error
    return strategy(designator, max_size)
