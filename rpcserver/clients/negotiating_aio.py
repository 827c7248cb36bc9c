"""The same as ``clients.negotiating`` for asyncio's channels."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from rpcserver.clients.negotiating import FAREWELL_TIMEOUT, MAX_SESSIONS, advance, repairable
from rpcserver.clients.opening import check_size
from rpcserver.errors import CallError
from rpcserver.rpc.calls import ClientEngine
from rpcserver.rpc.flavor import SessionFlavor
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpcbind.netid import Endpoint


class AsyncNegotiating:
    """What ``AsyncChannel`` has for sessions. What a flavor computes, it does in a thread."""

    _engine: ClientEngine
    _room: asyncio.Semaphore
    _transport: Any
    _closed: bool

    def __init__(self, max_in_flight: int) -> None:
        self._negotiating = asyncio.Lock()
        self._max_in_flight = max_in_flight

    @property
    def endpoint(self) -> Endpoint:
        """Where the service is, as far as is known."""
        raise NotImplementedError

    async def _deliver_in_session(
        self, session: SessionFlavor, pending: PendingCall, connect_timeout: float | None
    ) -> None:
        for tried in range(MAX_SESSIONS):
            # As the blocking channels have it.
            if tried > 1 and self.endpoint.stream and not pending.resend:
                return
            try:
                await self._negotiate(session, connect_timeout, pending.resend)
            except CallError as error:
                pending.fail(error)
                return
            await self._deliver(pending, connect_timeout)
            if not repairable([pending]):
                return

    async def _negotiate(
        self, session: SessionFlavor, connect_timeout: float | None, resend: bool
    ) -> None:
        """Have a session; ``resend``: over another connection, if one is lost. Raises
        ``CallError``."""
        if session.ready:
            return
        async with self._negotiating:
            if session.ready:
                return
            await self.connect(connect_timeout)
            steps = session.negotiate()
            step = await asyncio.to_thread(advance, steps)
            while step is not None:
                pending = self._engine.own(step, resend)
                await self._deliver(pending, connect_timeout)
                result, error = None, None
                try:
                    result = pending.result()
                except CallError as raised:
                    error = raised
                step = await asyncio.to_thread(advance, steps, result, error)
            self._room = asyncio.Semaphore(min(self._max_in_flight, session.window))

    def _sealed(self, pending: PendingCall) -> bytes:
        """A call as it goes over the socket now. Raises what the other ``_sealed`` does."""
        if self._engine.session is not None:
            self._engine.seal((pending,))
            check_size(self.endpoint, pending.message)
        return self._part(pending)

    async def _say_farewell(self) -> None:
        session, transport = self._engine.session, self._transport
        if session is None or self._closed or transport is None:
            return
        step = session.farewell()
        if step is not None:
            with suppress(TimeoutError):  # then the server will forget it by itself
                async with asyncio.timeout(FAREWELL_TIMEOUT):
                    await self._send(transport, self._sealed(self._engine.own(step)))

    async def connect(self, connect_timeout: float | None = None) -> Any:
        """Open the connection if it is not open. Raises ``NotReached``."""
        raise NotImplementedError

    async def _deliver(self, pending: PendingCall, connect_timeout: float | None) -> None:
        raise NotImplementedError

    async def _send(self, transport: Any, part: bytes) -> None:
        raise NotImplementedError

    def _part(self, pending: PendingCall) -> bytes:
        raise NotImplementedError
