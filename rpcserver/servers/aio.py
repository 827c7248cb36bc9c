"""The multiplexed servers on asyncio's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from rpcserver.servers.loop import POLL

if TYPE_CHECKING:
    from rpcserver.servers.server import Server
    from rpcserver.servers.stats import Stats


class AsyncioLoop:
    """A loop of asyncio's, or of what the policy makes, driven as ours is.

    ``events`` is a loop that runs already: whoever runs it awaits ``drive``.
    """

    def __init__(self, events: asyncio.AbstractEventLoop | None = None) -> None:
        self._own = events is None
        self.events = events or asyncio.new_event_loop()
        self._changed = asyncio.Event()

    def run(
        self,
        until: Callable[[], bool],
        turn: Callable[[], object] = lambda: None,
        poll: float = POLL,
    ) -> None:
        """Serve until ``until()`` is true; ``turn()`` is called each ``poll`` seconds."""
        self.events.run_until_complete(self.drive(until, turn, poll))

    async def drive(
        self,
        until: Callable[[], bool],
        turn: Callable[[], object] = lambda: None,
        poll: float = POLL,
    ) -> None:
        """The same, as a coroutine of the loop."""
        while not until():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), poll)
            self._changed.clear()
            turn()

    def wake(self) -> None:
        """Have ``until`` asked soon; from any thread, or a signal handler."""
        if not self.events.is_closed():
            self.events.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        """Cancel what still runs, and give back what the loop holds, if it is ours."""
        if not self._own:
            return
        for task in asyncio.all_tasks(self.events):
            task.cancel()
        self.events.run_until_complete(asyncio.sleep(0))
        self.events.run_until_complete(self.events.shutdown_asyncgens())
        self.events.close()


class AsyncServer:
    """A server on the loop that runs; ``rpcserver.aio.serve`` makes it.

    ``async with`` binds, registers and serves; leaving it unregisters, lets the calls in flight
    finish, and closes.
    """

    def __init__(self, make: Callable[[], Server]) -> None:
        self._make = make

    @property
    def endpoints(self) -> list[str]:
        """The URLs where the server listens, with their real ports."""
        return self._server.endpoints

    def stats(self) -> Stats:
        """What it has done so far."""
        return self._server.stats()

    def shutdown(self) -> None:
        """Have ``serve_forever()`` return soon. Safe from any thread and from a signal handler."""
        self._server.shutdown()

    async def serve_forever(self) -> None:
        """Until ``shutdown()``."""
        await asyncio.shield(self._serving)

    async def __aenter__(self) -> Self:
        # To ask rpcbind takes time, which others may have.
        self._server = await asyncio.to_thread(self._make)
        self._loop = AsyncioLoop(asyncio.get_running_loop())
        self._serving = asyncio.ensure_future(self._server.serve_on(self._loop))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self._server.unregister)
        self._server.shutdown()
        await self._serving
        await self._server.close_on(self._loop)
