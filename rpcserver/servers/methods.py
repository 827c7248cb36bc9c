"""From a call to the user's method and back, for servers whose thread waits for the method."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rpcserver.auth import server_flavors
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.flavor import ServerFlavor
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.once import Duplicate
from rpcserver.rpc.replycache import ReplyCache
from rpcserver.rpc.version import Service
from rpcserver.servers.child import InChild

if TYPE_CHECKING:
    from rpcserver.servers.base import RpcServer

LOOK = 0.005
"""Seconds between looks whether a call is over that came again."""


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


def remember_replies(server: RpcServer) -> None:
    """Have the engine of ``server`` remember its replies, if that is wanted, for threads of this
    process, and for children that methods leave work to. Raises ``UsageError``."""
    if not server.reply_cache:
        return
    engine = server.engine
    if engine.replies is None:
        from rpcserver.servers.shared import is_alive, shared_memory

        memory = shared_memory(server.reply_cache_size)  # which is there when it is used
        engine.replies = ReplyCache(memory, server.reply_cache_age, is_alive)
        engine.replies.share(threading.Lock())
    if server.one_at_a_time and hasattr(os, "fork"):
        share_replies(engine)


def share(engine: ServerEngine) -> None:
    """Have the processes that are forked from now on count, and remember, in one place."""
    from rpcserver.servers.shared import ProcessLock, shared_memory

    engine.counters.share(ProcessLock(), shared_memory(engine.counters.size))
    share_replies(engine)


def share_replies(engine: ServerEngine) -> None:
    """Have them remember in one place what they answered, if they do."""
    if engine.replies is not None:
        from rpcserver.servers.shared import ProcessLock

        engine.replies.share(ProcessLock(), processes=True)


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
    here = in_child or InChild.run

    def elsewhere(work: InChild) -> Any:
        return here(InChild(_taken_over, (invocation, work)))

    try:
        if isinstance(invocation, Duplicate):
            here(InChild(wait_for, (invocation,)))
        result = resolved(invocation.run(), elsewhere)
    except Exception as error:  # noqa: BLE001  whatever the method raises, the server lives on
        return invocation.fail(error, time.monotonic())
    except (KeyboardInterrupt, SystemExit) as error:
        invocation.fail(error, time.monotonic())  # for who asks again
        raise
    return invocation.reply(result, time.monotonic())


def _taken_over(invocation: Invocation, work: InChild) -> Any:
    invocation.take_over()
    return work.run()


def wait_for(call: Duplicate) -> None:
    """Until it is known what becomes of the call."""
    while not call.look(time.monotonic()):
        time.sleep(LOOK)


def resolved(result: Any, in_child: Callable[[InChild], Any] = InChild.run) -> Any:
    """What a method's result becomes in the end, with the calling thread waiting for it."""
    if isinstance(result, InChild):
        result = in_child(result)
    if inspect.isawaitable(result):
        from rpcserver.servers import background  # with asyncio, which only such methods need

        return background.run(result)
    return result
