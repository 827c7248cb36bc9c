"""Calls that came again over another connection, while the first of them still runs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from rpcserver.rpc.once import Duplicate
from rpcserver.rpc.replycache import Known
from rpcserver.servers.methods import LOOK


class Waiting:
    """One thread that looks for all of them, so that they take none from the methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[bytes, tuple[Duplicate, Future[Any]]] = {}
        self._thread: threading.Thread | None = None

    def submit(self, call: Duplicate) -> Future[Any]:
        """What has the outcome when it is known. Whoever sent the same call before does not wait
        any more: it is the client that sent it once more."""
        future: Future[Any] = Future()
        with self._lock:
            _, before = self._calls.pop(call.key, (None, None))
            self._calls[call.key] = call, future
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._look, name="rpcserver-waiting", daemon=True
                )
                self._thread.start()
        if before is not None:
            _end(before, Known.RUNNING)
        return future

    def _look(self) -> None:
        while True:
            with self._lock:
                calls = list(self._calls.values())
                if not calls:
                    self._thread = None
                    return
            now = time.monotonic()
            for call, future in calls:
                if future.cancelled() or call.look(now):
                    with self._lock:
                        if self._calls.get(call.key) == (call, future):
                            del self._calls[call.key]
                    _end(future, call.run())
            time.sleep(LOOK)


def _end(future: Future[Any], found: Any) -> None:
    with suppress(InvalidStateError):  # nobody wants it any more
        future.set_result(found)
