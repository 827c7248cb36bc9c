"""The event loop on which ``async def`` methods run under servers that have none themselves."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""by process: a thread does not survive a fork"""


def submit(awaitable: Awaitable[Any]) -> Future[Any]:
    """Have it run on the loop, which is started if it does not run yet."""
    return asyncio.run_coroutine_threadsafe(waited(awaitable), _loop())


def run(awaitable: Awaitable[Any]) -> Any:
    """Have it run on the loop, and wait for its result."""
    return submit(awaitable).result()


async def waited(awaitable: Awaitable[Any]) -> Any:
    """It as a coroutine, which is what loops want."""
    return await awaitable


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if os.getpid() not in _loops:
            _loops.clear()
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="rpcserver-async", daemon=True).start()
        return _loops[os.getpid()]
