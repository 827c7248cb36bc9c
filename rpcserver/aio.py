"""rpcserver on asyncio."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from rpcserver.rpc.version import Service
from rpcserver.servers.aio import AsyncServer
from rpcserver.servers.serve import LISTEN
from rpcserver.servers.serve import serve as _serve

__all__ = ["AsyncServer", "serve"]


def serve(
    *services: Service,
    listen: Sequence[str | socket.socket] = LISTEN,
    register: bool = True,
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
