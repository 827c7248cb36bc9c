"""Calls that are sent together, and whose results are collected."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from rpcserver.errors import CallError, TimedOut, UsageError
from rpcserver.rpc.calls import PendingCall
from rpcserver.rpc.version import using

if TYPE_CHECKING:
    from rpcserver.clients.base import BlockingChannel

T = TypeVar("T")
Arguments = ParamSpec("Arguments")


class Batch:
    """What ``BlockingChannel.batch`` gives."""

    def __init__(self, channel: BlockingChannel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._calls: list[PendingCall] = []

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
        client: Any = getattr(method, "__self__", None)
        if getattr(client, "_channel", None) is not self._channel:
            raise UsageError(f"{method!r} is no method of a client on this channel")
        again: Any = getattr(using(client, batch=self), getattr(method, "__name__", ""))
        pending: PendingCall = again(*arguments, **named)
        self._calls.append(pending)
        return BatchedCall(pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *exc: object) -> None:
        if error is None and self._calls:
            with suppress(CallError):  # each call says so for itself
                self._channel.exchange(self._calls, time.monotonic() + self._timeout)


class BatchedCall(Generic[T]):
    """A call of a ``Batch``."""

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending

    def result(self) -> T:
        """The result, after the batch was sent. Raises what the call ended with."""
        if not self._pending.done:
            raise TimedOut(f"no answer to {self._pending.procedure.name or 'NULL'} in time")
        result: T = self._pending.result()
        return result
