"""Services on a connection that this side made."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

from rpcserver.clients.aio_base import AsyncChannel
from rpcserver.clients.base import BlockingChannel
from rpcserver.errors import UsageError
from rpcserver.rpc.call import Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation
from rpcserver.rpc.version import AsyncClient, Client, Service
from rpcserver.servers.methods import answer, engine_for


def serve_on(client: Client | AsyncClient, *services: Service) -> None:
    """Answer the calls that the server makes over the connection of ``client``.

    For as long as the channel is open; over a new connection, if it was lost and a call opened
    another. A blocking client's methods run in a thread of the channel's own, one after the other;
    an asyncio client's in its loop. A client that serves nothing refuses such calls.

    Raises ``UsageError`` for datagrams, which have no connection, and what ``serve`` raises it
    for.
    """
    channel = client.channel
    engine = engine_for(services)
    if not isinstance(channel, BlockingChannel | AsyncChannel):
        raise UsageError(f"{type(channel).__name__} has no connection for calls of the server")
    place = channel.endpoint
    if not place.stream:
        raise UsageError(f"{place}: datagrams have no connection: serve on an address of your own")
    peer = Peer(place.transport, place.path or (place.host, place.port))
    if isinstance(channel, BlockingChannel):
        channel.answer_calls(lambda record: answer(engine, record, peer))
    else:
        channel.answer_calls(lambda record: _answered(engine, record, peer))


async def _answered(engine: ServerEngine, record: bytes, peer: Peer) -> bytes | None:
    outcome = engine.begin(record, peer, None, time.monotonic())
    if not isinstance(outcome, Invocation):
        return outcome
    try:
        result: Any = await asyncio.to_thread(outcome.run) if outcome.blocking else outcome.run()
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:  # noqa: BLE001  whatever the method raises, the client lives on
        return outcome.fail(error, time.monotonic())
    return outcome.reply(result, time.monotonic())
