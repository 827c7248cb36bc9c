"""The multiplexed servers on asyncio's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rpcserver.servers.loop import POLL


class AsyncioLoop:
    """A loop of asyncio's, or of what the policy makes, driven as ours is."""

    def __init__(self) -> None:
        self.events = asyncio.new_event_loop()
        self._changed = asyncio.Event()

    def run(
        self,
        until: Callable[[], bool],
        turn: Callable[[], object] = lambda: None,
        poll: float = POLL,
    ) -> None:
        """Serve until ``until()`` is true; ``turn()`` is called each ``poll`` seconds."""
        self.events.run_until_complete(drive(self._changed, until, turn, poll))

    def wake(self) -> None:
        """Have ``until`` asked soon; from any thread, or a signal handler."""
        if not self.events.is_closed():
            self.events.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        """Cancel what still runs, and give back what the loop holds."""
        for task in asyncio.all_tasks(self.events):
            task.cancel()
        self.events.run_until_complete(asyncio.sleep(0))
        self.events.run_until_complete(self.events.shutdown_asyncgens())
        self.events.close()


async def drive(
    changed: asyncio.Event,
    until: Callable[[], bool],
    turn: Callable[[], object],
    poll: float = POLL,
) -> None:
    """Let the loop serve until ``until()`` is true, which is asked when ``changed`` is set."""
    while not until():
        try:
            await asyncio.wait_for(changed.wait(), poll)
        except TimeoutError:
            pass
        changed.clear()
        turn()
