"""The window of sequence numbers that keeps replays out (RFC 2203 section 5.3.3.1)."""

from __future__ import annotations


class Window:
    """Takes each number once, in any order, while it is among the last ``size``."""

    __slots__ = ("_highest", "_seen", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._highest = 0
        self._seen = 0  # bit n: the highest less n has come

    def take(self, number: int) -> bool:
        """Whether ``number`` is new; it is not, from now on."""
        ahead = number - self._highest
        if ahead > 0:
            self._highest = number
            kept = self._seen << ahead if ahead < self.size else 0
            self._seen = (kept | 1) & ((1 << self.size) - 1)
            return True
        if -ahead >= self.size or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True
