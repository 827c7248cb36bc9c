"""Calls that wait for their methods, and the replies that are made of what comes out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rpcserver.errors import (
    AuthError,
    GarbageArgs,
    NoReply,
    ProcUnavail,
    ProgMismatch,
    ProgUnavail,
    Refused,
    RpcMismatch,
    SystemErr,
    XdrError,
)
from rpcserver.protocols import rpc_msg
from rpcserver.rpc import message
from rpcserver.rpc.call import Call, Peer
from rpcserver.rpc.counters import UNKNOWN, Counters
from rpcserver.rpc.entries import FLAVORS, Entry
from rpcserver.rpc.flavor import NO_AUTH, Accepted, Auth, Work
from rpcserver.rpc.message import CALL_HEADER
from rpcserver.rpc.version import Service
from rpcserver.xdr.types import Void

if TYPE_CHECKING:
    from rpcserver.rpc.dispatch import ServerEngine
    from rpcserver.rpc.replycache import Claim

logger = logging.getLogger("rpcserver")

SILENCE, RESULTS, REFUSAL = b"\0", b"\1", b"\2"
"""How an outcome begins that is remembered: then come the plain results, or a reply that refuses,
with neither xid nor verifier of its own."""


class Invocation:
    """A call that waits for its method.

    ``blocking``, ``oneway`` and ``asynchronous`` are what the method was marked as, and whether
    it is an ``async def``. ``claim`` is told what becomes of a call that must not run again.
    """

    __slots__ = (
        "_accepted", "_counters", "_entry", "_outcome", "arguments", "begun", "call", "claim",
    )  # fmt: skip

    def __init__(
        self,
        counters: Counters,
        call: Call,
        entry: Entry,
        arguments: tuple[Any, ...],
        accepted: Accepted,
        begun: float,
        outcome: tuple[Any, BaseException | None] | None = None,
    ) -> None:
        self.call = call
        self.arguments = arguments
        self.begun = begun
        self._counters = counters
        self._entry = entry
        self._accepted = accepted
        self._outcome = outcome
        self.claim: Claim | None = None

    @property
    def blocking(self) -> bool:
        return self._entry.blocking

    @property
    def asynchronous(self) -> bool:
        return self._entry.asynchronous

    @property
    def known(self) -> bytes:
        """The bytes of the credential and its verifier, if they need not be looked at again."""
        accepted = self._accepted
        return accepted.data[CALL_HEADER.size : accepted.start] if accepted.lasting else b""

    @property
    def size(self) -> int:
        """Bytes of the call, as far as they are kept."""
        return len(self._accepted.data)

    @property
    def service(self) -> Service:
        """Whose method answers the call."""
        return self._entry.service

    @property
    def name(self) -> str:
        """``Class.method``, for messages."""
        return f"{type(self.service).__qualname__}.{self.call.procedure.method}"

    def run(self) -> Any:
        """Call the method, unless it has run: its result, or an awaitable of it."""
        self.take_over()
        if self._outcome is None:
            return self._entry.method(self.call, *self.arguments)
        result, error = self._outcome
        if error is not None:
            raise error
        return result

    def take_over(self) -> None:
        """Be told that this process, which may be a child, runs it."""
        if self.claim is not None:
            self.claim.take_over()

    def abandon(self) -> None:
        """It will not run, and nobody will be told."""
        if self.claim is not None:
            self.claim.abandon()

    def reply(self, result: Any, now: float = 0.0) -> bytes | None:
        """The reply that brings ``result``, SYSTEM_ERR if it is not of the procedure's type;
        ``None`` if the caller wants none. ``now`` is the time of the clock that ``begin`` had."""
        procedure = self.call.procedure
        try:
            nothing = result is None and procedure.result is Void
            results = b"" if nothing else procedure.result_codec.pack(result)
        except XdrError as error:
            error.within("result")
            return self.fail(error, now)
        self._count("SUCCESS", now)
        if self._entry.oneway:
            self._keep(SILENCE, now)
            return None
        if self.claim is not None:  # else they are not copied
            self._keep(RESULTS + results, now)
        return self.success(results)

    def success(self, results: bytes) -> bytes:
        """The reply that brings ``results``, encoded and not protected yet."""
        if self._accepted.wrap is not None:
            results = self._accepted.wrap(results)
        return message.success(self.call.xid, self._accepted.verifier, results)

    def _keep(self, outcome: bytes, now: float) -> None:
        if self.claim is not None:
            self.claim.finish(outcome, now)

    def fail(self, error: BaseException, now: float = 0.0) -> bytes | None:
        """The reply for a method that raised: its own ``Refused``, none for ``NoReply``, else
        SYSTEM_ERR and a log."""
        if isinstance(error, NoReply):
            self._count("SILENT", now)
            self._keep(SILENCE, now)
            return None
        if not isinstance(error, Refused):
            call = self.call
            place = f"{call.version.__name__}.{call.procedure.name}"
            logger.error("%s: %s failed: %s", call.peer, place, error, exc_info=error)
            error = SystemErr()
        self._count(OUTCOMES.get(type(error), "SYSTEM_ERR"), now)
        if self._entry.oneway:
            self._keep(SILENCE, now)
            return None
        if self.claim is not None:
            self._keep(REFUSAL + refusal(0, NO_AUTH, error), now)
        return refusal(self.call.xid, self._accepted.verifier, error)

    @property
    def oneway(self) -> bool:
        return self._entry.oneway

    @property
    def verifier(self) -> Auth:
        """What goes into its reply."""
        return self._accepted.verifier

    def _count(self, outcome: str, now: float) -> None:
        row = self._counters.row(self._entry.row)
        self._counters.count(row, outcome, max(0.0, now - self.begun))


class FlavorsOwn(Invocation):
    """A call that waits for its flavor, and for no method."""

    __slots__ = ("_engine", "_peer", "_work", "_xid")

    def __init__(
        self, engine: ServerEngine, xid: int, peer: Peer, work: Work, begun: float
    ) -> None:
        self._engine = engine
        self._xid = xid
        self._peer = peer
        self._work = work
        self._entry = FLAVORS
        self._accepted = Accepted(None, b"", 0)
        self.begun = begun
        self.claim = None

    @property
    def name(self) -> str:
        return "authentication"

    def run(self) -> Any:
        """Have the flavor do its work: its answer."""
        return self._work.run()

    def reply(self, result: Any, now: float = 0.0) -> bytes | None:
        """The reply that brings what the flavor answered."""
        return self._engine._by_flavor(self._xid, result)

    def fail(self, error: BaseException, now: float = 0.0) -> bytes | None:
        """The reply if it raised: its own ``Refused``, else SYSTEM_ERR and a log."""
        if isinstance(error, Refused):
            logger.info("%s: xid %#x: %s: %s", self._peer, self._xid, type(error).__name__, error)
        else:
            logger.error("%s: authentication failed: %s", self._peer, error, exc_info=error)
            error = SystemErr()
        counters = self._engine.counters
        counters.count(counters.row(UNKNOWN), OUTCOMES[type(error)])
        return refusal(self._xid, NO_AUTH, error)


def refusal(xid: int, verifier: Auth, error: Refused) -> bytes:
    """The reply for a refusal: the one table from failure to answer (RFC 5531 section 9)."""
    match error:
        case RpcMismatch(low=low, high=high):
            info = rpc_msg.RejectedReplyMismatchInfo(low, high)
            return message.denied(xid, rpc_msg.RejectedReplyRpcMismatch(info))
        case AuthError(stat=stat):
            return message.denied(xid, rpc_msg.RejectedReplyAuthError(rpc_msg.AuthStat(stat)))
        case ProgMismatch(low=low, high=high):
            mismatch = rpc_msg.AcceptedReplyReplyDataMismatchInfo(low, high)
            return message.accepted(
                xid, verifier, rpc_msg.AcceptedReplyReplyDataProgMismatch(mismatch)
            )
    stat = rpc_msg.AcceptStat(error.status or SystemErr.status)
    return message.accepted(xid, verifier, rpc_msg.AcceptedReplyReplyDataDefault(stat))


OUTCOMES: dict[type[BaseException], str] = {
    RpcMismatch: "RPC_MISMATCH",
    AuthError: "AUTH_ERROR",
    ProgUnavail: "PROG_UNAVAIL",
    ProgMismatch: "PROG_MISMATCH",
    ProcUnavail: "PROC_UNAVAIL",
    GarbageArgs: "GARBAGE_ARGS",
    SystemErr: "SYSTEM_ERR",
}
"""What a refusal is counted as."""
