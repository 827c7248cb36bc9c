"""Clients of both kinds for the same tests."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from inspect import isawaitable
from typing import Any, TypeAlias

import pytest

import rpcserver
from rpcserver import aio, rpc
from tests.peers.netns import Namespace

Connect: TypeAlias = Callable[..., AbstractContextManager[Any]]


class Called:
    """A client whose methods run elsewhere, and return results that need not be awaited."""

    def __init__(self, client: Any, run: Callable[..., Any]) -> None:
        self._client = client
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return partial(self._run, getattr(self._client, name))


async def awaited(result: Awaitable[Any]) -> Any:
    return await result


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest, namespace: Namespace) -> Connect:
    """Connects in `namespace` a client of the class, or of asyncio's class beside it, to
    127.0.0.1, where rpcbind tells its port."""
    kind = request.param

    @contextmanager
    def connected(client_class: type[rpc.Client], **options: Any) -> Iterator[Called]:
        with asyncio.Runner() as runner, namespace.thread() as thread:

            def run(function: Callable[..., Any], *args: Any) -> Any:
                result = thread.submit(function, *args).result()
                if isawaitable(result):
                    result = thread.submit(runner.run, awaited(result)).result()
                return result

            opening: Callable[..., Any] = partial(rpcserver.connect, client_class)
            if kind == "asyncio":
                name = client_class.__name__.removesuffix("Client") + "AsyncClient"
                beside = getattr(sys.modules[client_class.__module__], name)
                opening = partial(aio.connect, beside)
            client = run(partial(opening, "127.0.0.1", timeout=10, **options))
            try:
                yield Called(client, run)
            finally:
                run(client.channel.close)

    return connected
