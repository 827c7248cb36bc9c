"""Calls that are sent together, and whose results are collected."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeVar

from rpcserver.errors import CallError, TimedOut, UsageError
from rpcserver.rpc.pending import PendingCall
from rpcserver.rpc.version import Procedure, Version

T = TypeVar("T")
Arguments = ParamSpec("Arguments")


class _Keeper:
    """What a client calls through whose calls are kept for a batch: they are made, not sent."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._make = channel.make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def call(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        oneway: bool = False,
        resend: bool = False,
        lenient: bool = False,
    ) -> Any:
        """The call, as ``BlockingChannel.call`` would send it; the batch has times of its own."""
        return self._make(version, procedure, arguments, resend, lenient, oneway)


class _AsyncKeeper(_Keeper):
    async def call(self, *call: Any, **options: Any) -> Any:
        """The call, as ``AsyncChannel.call`` would send it."""
        return super().call(*call, **options)


class _AnyBatch:
    _keeper: ClassVar[type[_Keeper]]

    def __init__(self, channel: Any, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._calls: list[BatchedCall[Any]] = []
        self._client: Any = None  # that was called last
        self._keeping: Any = None  # the same, with its calls kept

    def _begun(self, method: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a method of a client gives whose calls are kept for this batch."""
        client: Any = getattr(method, "__self__", None)
        if client is None or client is not self._client:
            if getattr(client, "_channel", None) is not self._channel:
                raise UsageError(f"{method!r} is no method of a client on this channel")
            kind: Any = type(client)
            self._client = client
            self._keeping = kind(self._keeper(self._channel), **method.__self__._options)
        again: Any = getattr(self._keeping, getattr(method, "__name__", ""))
        return again(*arguments, **named)

    def _renewed(self) -> list[PendingCall]:
        """The calls whose credentials were refused, made anew with better ones."""
        again = []
        for call in self._calls:
            if call._pending.error is not None and (one := self._channel.renewed(call._pending)):
                call._pending = one
                again.append(one)
        return again


class Batch(_AnyBatch):
    """What ``BlockingChannel.batch`` gives."""

    _keeper = _Keeper

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
        call: BatchedCall[T] = BatchedCall(self._begun(method, arguments, named))
        self._calls.append(call)
        return call

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *exc: object) -> None:
        if error is None and self._calls:
            deadline = time.monotonic() + self._timeout
            with suppress(CallError):  # each call says so for itself
                self._channel.exchange([each._pending for each in self._calls], deadline)
                if again := self._renewed():
                    self._channel.exchange(again, deadline)


class AsyncBatch(_AnyBatch):
    """What ``AsyncChannel.batch`` gives."""

    _keeper = _AsyncKeeper

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
            call: BatchedCall[T] = BatchedCall(done.value)
            self._calls.append(call)
            return call
        begun.close()
        raise UsageError(f"{method!r} waits for something else than its call")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, error: object, *exc: object) -> None:
        if error is None and self._calls:
            deadline = time.monotonic() + self._timeout
            await self._channel.exchange([each._pending for each in self._calls], self._timeout)
            if again := self._renewed():
                await self._channel.exchange(again, deadline - time.monotonic())


class BatchedCall(Generic[T]):
    """A call of a batch."""

    __slots__ = ("_pending",)

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending

    def result(self) -> T:
        """The result, after the batch was sent. Raises what the call ended with."""
        pending = self._pending
        if not pending.done:
            raise TimedOut(f"no answer to {pending.procedure.name or 'NULL'} in time")
        result: T = pending.result()
        return result
