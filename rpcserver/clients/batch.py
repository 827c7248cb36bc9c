"""Calls that are sent together, and whose results are collected."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, ParamSpec, Self, TypeVar

from rpcserver.errors import CallError, TimedOut, UsageError
from rpcserver.rpc.calls import PendingCall
from rpcserver.rpc.version import using

T = TypeVar("T")
Arguments = ParamSpec("Arguments")


class _AnyBatch:
    def __init__(self, channel: Any, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._calls: list[PendingCall] = []

    def _begun(self, method: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a method of a client gives whose calls are kept for this batch."""
        client: Any = getattr(method, "__self__", None)
        if getattr(client, "_channel", None) is not self._channel:
            raise UsageError(f"{method!r} is no method of a client on this channel")
        again: Any = getattr(using(client, batch=self), getattr(method, "__name__", ""))
        return again(*arguments, **named)

    def _add(self, pending: PendingCall) -> BatchedCall[Any]:
        self._calls.append(pending)
        return BatchedCall(pending)


class Batch(_AnyBatch):
    """What ``BlockingChannel.batch`` gives."""

    def call(
        self,
        method: Callable[Arguments, T],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> BatchedCall[T]:
        """Have ``method``, a client's on this channel, called with ``arguments``.

        Raises ``XdrError`` for arguments that the procedure refuses, ``UsageError`` for what is
        no such method.
        """
        return self._add(self._begun(method, arguments, named))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *exc: object) -> None:
        calls, deadline = self._calls, time.monotonic() + self._timeout
        while error is None and calls:
            with suppress(CallError):  # each call says so for itself
                self._channel.exchange(calls, deadline)
            calls = self._channel.refused(calls)


class AsyncBatch(_AnyBatch):
    """What ``AsyncChannel.batch`` gives."""

    def call(
        self,
        method: Callable[Arguments, Awaitable[T]],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> BatchedCall[T]:
        """Have ``method``, a client's on this channel, called with ``arguments``: not awaited.

        Raises what ``Batch.call`` does.
        """
        begun: Coroutine[Any, Any, PendingCall] = self._begun(method, arguments, named)
        try:
            begun.send(None)  # nothing is sent yet, so there is nothing to wait for
        except StopIteration as done:
            return self._add(done.value)
        begun.close()
        raise UsageError(f"{method!r} waits for something else than its call")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, error: object, *exc: object) -> None:
        calls, deadline = self._calls, time.monotonic() + self._timeout
        while error is None and calls:
            await self._channel.exchange(calls, deadline - time.monotonic())
            calls = self._channel.refused(calls)


class BatchedCall(Generic[T]):
    """A call of a batch."""

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending

    def result(self) -> T:
        """The result, after the batch was sent. Raises what the call ended with."""
        if not self._pending.done:
            raise TimedOut(f"no answer to {self._pending.procedure.name or 'NULL'} in time")
        result: T = self._pending.result()
        return result
