"""rpcserver on asyncio."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.auth.tls_settings import TlsClient, client_settings
from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.clients.aio import MAX_IN_FLIGHT, open_channel
from rpcserver.clients.finding import host_of, opener_for, remaining
from rpcserver.errors import UsageError
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.version import AsyncClient, Service
from rpcserver.servers.aio import AsyncServer
from rpcserver.servers.serve import LISTEN
from rpcserver.servers.serve import serve as _serve

if TYPE_CHECKING:
    import ssl

    from rpcserver.auth.gss import GssClient

__all__ = ["AsyncServer", "Connecting", "connect", "serve"]

ClientT = TypeVar("ClientT", bound=AsyncClient)


def serve(
    *services: Service,
    listen: Sequence[str | socket.socket] = LISTEN,
    register: bool | str = True,
    rpcbind: str | None = None,
    replace: bool = False,
    portmap: bool = False,
    executor: Callable[[], Executor] | None = None,
    **settings: Any,
) -> AsyncServer:
    """A server for ``services`` on the loop that runs: ``async with serve(Kv()) as server``.

    ``async def`` methods are tasks of that loop; the others run in it, or if marked as blocking
    in the executor. The arguments are those of ``rpcserver.serve``, and so is what is raised,
    on entering ``async with``.
    """
    make = partial(
        _serve,
        *services,
        listen=listen,
        register=register,
        kind="asyncio",
        rpcbind=rpcbind,
        replace=replace,
        portmap=portmap,
        executor=executor,
        **settings,
    )
    return AsyncServer(make)


def connect(
    client_class: type[ClientT],
    target: str,
    *,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    credentials: ClientFlavor | SysCredential | GssClient | str | None = None,
    rpcbind: str | None = None,
    transport: str | None = None,
    resend: bool = False,
    lenient: bool = False,
    privileged_port: bool = False,
    keep_alive: float | None = KEEP_ALIVE,
    tls: str | ssl.SSLContext | TlsClient | None = None,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    tls_name: str | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> Connecting[ClientT]:
    """A client for the service at ``target``: ``async with connect(...) as kv``, or ``kv = await
    connect(...)`` and at the end ``await kv.channel.close()``.

    The arguments are those of ``rpcserver.connect``, and so is what is raised, when it is awaited.
    ``max_in_flight``: calls that wait for their replies at the same time; more wait for those.
    """
    if not (isinstance(client_class, type) and issubclass(client_class, AsyncClient)):
        raise UsageError(f"{client_class!r} is no class of asyncio clients")
    flavor = client_flavor(credentials, host_of(target))
    secured = client_settings(tls, tls_ca, tls_cert, tls_key, tls_name)

    async def opened() -> ClientT:
        deadline = time.monotonic() + timeout
        opener = await asyncio.to_thread(
            opener_for,
            target,
            client_class._version,
            rpcbind=rpcbind,
            transport=transport,
            timeout=timeout,
            privileged_port=privileged_port,
            keep_alive=keep_alive,
            tls=secured,
        )
        channel = await open_channel(
            opener,
            flavor=flavor,
            timeout=timeout,
            connect_timeout=connect_timeout or remaining(deadline),
            max_in_flight=max_in_flight,
        )
        options = {name: True for name, on in (("resend", resend), ("lenient", lenient)) if on}
        return client_class(channel, **options)

    return Connecting(opened)


class Connecting(Generic[ClientT]):
    """What ``connect`` returns: to be awaited, or entered with ``async with``."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened = opened

    def __await__(self) -> Generator[Any, None, ClientT]:
        client: ClientT = yield from self._opened().__await__()
        return client

    async def __aenter__(self) -> ClientT:
        self._client: ClientT = await self
        return self._client

    async def __aexit__(self, *exc: object) -> None:
        await self._client.channel.close()
