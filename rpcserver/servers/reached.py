"""What a server counts and says when somebody comes to one of its limits."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

logger = logging.getLogger("rpcserver")


class Reached:
    """A part of every server class; ``reached`` is how often each limit was, by its name."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.reached: Counter[str] = Counter()
        self._unsaid: dict[str, tuple[float, int]] = {}
        super().__init__(*args, **options)

    def limit_reached(self, limit: str, peer: object, text: str) -> None:
        """Count, and say in the log, that a peer came to ``limit`` (the name of the setting)."""
        self.reached[limit] += 1
        logger.warning("%s: %s (%s)", peer, text, limit)

    def turned_away(self, limit: str, peer: object, text: str) -> None:
        """The same for what costs a peer nothing: a line a second at most, so that nobody can
        fill the log."""
        now, (since, unsaid) = time.monotonic(), self._unsaid.get(limit, (-1.0, 0))
        if now - since < 1:
            self.reached[limit] += 1
            self._unsaid[limit] = since, unsaid + 1
        else:
            self._unsaid[limit] = now, 0
            others = f", and {unsaid} more before" if unsaid else ""
            self.limit_reached(limit, peer, text + others)
