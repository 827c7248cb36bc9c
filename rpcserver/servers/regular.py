"""What a server does now and then, beside its calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Regular:
    """``function()`` each ``seconds``, as soon as somebody looks; ``threaded``: in a thread, so
    that whoever looks need not wait for it."""

    def __init__(self, seconds: float, function: Callable[[], object], threaded: bool) -> None:
        self._seconds = seconds
        self._function = function
        self._threaded = threaded
        self._next = time.monotonic() + seconds
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Do it if it is time, and if the last time is over."""
        if time.monotonic() < self._next:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        if self._threaded:
            self._thread = threading.Thread(target=self._function, daemon=True)
            self._thread.start()
        else:
            self._function()
        self._next = time.monotonic() + self._seconds
