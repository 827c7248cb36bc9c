"""The contexts that a server keeps: so many, for so long, and nobody's at another's cost."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from rpcserver.auth.gss_api import Protection
from rpcserver.auth.gss_window import Window

_HANDLE_SIZE = 16  # nobody guesses one


@dataclass(eq=False, slots=True)
class HalfOpen:
    """A context that takes another leg; only who began it may go on."""

    owner: Hashable  # whoever is at the other end
    version: int
    context: Any
    handle: bytes = field(default_factory=lambda: os.urandom(_HANDLE_SIZE))
    expires: float = 0.0


@dataclass(eq=False, slots=True)
class Established:
    """A context for calls. ``owner`` is the principal; ``channel`` the connection that it was
    bound to (RFC 5403)."""

    owner: str
    version: int
    mechanism: str
    protection: Protection
    window: Window
    expires: float
    handle: bytes = field(default_factory=lambda: os.urandom(_HANDLE_SIZE))
    channel: Any = None


class Table:
    """At most ``limit`` contexts, by their handles. Used under its owner's lock.

    When it is full, whoever has the most loses the one that was used least recently.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._all: OrderedDict[bytes, Any] = OrderedDict()  # the one used last at the end
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, context: Any, now: float) -> None:
        """Keep ``context``."""
        if len(self._all) >= self.limit:
            for each in [each for each in self._all.values() if each.expires <= now]:
                self.drop(each.handle)
        if len(self._all) >= self.limit:
            self._evict()
        self._all[context.handle] = context
        self._counts[context.owner] = self._counts.get(context.owner, 0) + 1

    def get(self, handle: bytes) -> Any:
        """The context with that handle, which is used now; ``None`` if there is none."""
        context = self._all.get(handle)
        if context is not None:
            self._all.move_to_end(handle)
        return context

    def drop(self, handle: bytes) -> Any:
        """Forget a context, and return it if it was there."""
        context = self._all.pop(handle, None)
        if context is not None:
            left = self._counts[context.owner] - 1
            if left:
                self._counts[context.owner] = left
            else:
                del self._counts[context.owner]
        return context

    def _evict(self) -> None:
        most = max(self._counts.values())
        self.drop(
            next(each.handle for each in self._all.values() if self._counts[each.owner] == most)
        )
