"""From a call to the user's method and back, for servers whose thread waits for the method."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from rpcserver.auth import server_flavors
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import Invocation, ServerEngine
from rpcserver.rpc.flavor import ServerFlavor
from rpcserver.rpc.version import Service
from rpcserver.servers.child import InChild


def engine_for(services: Iterable[Service]) -> ServerEngine:
    """An engine with every flavor that is there, for threads of this process."""
    engine = ServerEngine(list(services), server_flavors(), time.monotonic)
    engine.counters.share(threading.Lock())
    return engine


def add_flavor(engine: ServerEngine, flavor: ServerFlavor) -> None:
    """Have the engine take callers of one more flavor, for threads of this process."""
    share = getattr(flavor, "share", None)
    if share is not None and engine.flavors.get(flavor.flavor) is not flavor:
        share(threading.Lock, time.monotonic)
    engine.flavors = {**engine.flavors, flavor.flavor: flavor}


def share_counters(engine: ServerEngine) -> None:
    """Have the processes that are forked from now on count in one place."""
    from rpcserver.servers.shared import ProcessLock, shared_memory

    engine.counters.share(ProcessLock(), shared_memory(engine.counters.size))


def answer(
    engine: ServerEngine,
    record: bytes,
    peer: Peer,
    connection: Connection | None = None,
    time_limit: float | None = None,
    in_child: Callable[[InChild], Any] | None = None,
) -> bytes | None:
    """The reply to ``record``, with the method run here and now; ``None`` for silence."""
    now = time.monotonic()
    outcome = engine.begin(record, peer, connection, now, time_limit)
    if not isinstance(outcome, Invocation):
        return outcome
    return finish(outcome, in_child)


def finish(
    invocation: Invocation, in_child: Callable[[InChild], Any] | None = None
) -> bytes | None:
    """Run the method, and make the reply of what comes out."""
    try:
        result = resolved(invocation.run(), in_child or InChild.run)
    except Exception as error:  # noqa: BLE001  whatever the method raises, the server lives on
        return invocation.fail(error, time.monotonic())
    return invocation.reply(result, time.monotonic())


def resolved(result: Any, in_child: Callable[[InChild], Any] = InChild.run) -> Any:
    """What a method's result becomes in the end, with the calling thread waiting for it."""
    if isinstance(result, InChild):
        result = in_child(result)
    if inspect.isawaitable(result):
        from rpcserver.servers import background  # with asyncio, which only such methods need

        return background.run(result)
    return result
