"""The server's engine: a record in, a reply or an ``Invocation`` out (RFC 5531 sections 8 and 9).

``ServerEngine.begin`` does all that comes before the user's method and ``Invocation.reply`` all
that comes after it. The faces in ``servers/`` differ only in who calls the method in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

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
    UsageError,
    XdrError,
)
from rpcserver.protocols import rpc_msg
from rpcserver.rpc import message
from rpcserver.rpc.access import Access
from rpcserver.rpc.call import Call, Connection, Peer
from rpcserver.rpc.counters import UNKNOWN, Counters, Row
from rpcserver.rpc.entries import FLAVORS, NULL, Entry, table_of, version_of
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, Answered, Auth, ServerFlavor, Work
from rpcserver.rpc.message import CALL_HEADER
from rpcserver.rpc.plain import Line, PlainCalls, Ran
from rpcserver.rpc.version import Service, Version
from rpcserver.xdr.types import Void

logger = logging.getLogger("rpcserver")


class ServerEngine:
    """Answers the calls for ``services`` with the flavors it is given; ``clock`` is asked how long
    plain calls take.

    Raises ``UsageError`` for two services of one version and for a method that cannot be called
    with the arguments of its procedure.
    """

    def __init__(
        self,
        services: Sequence[Service],
        flavors: Sequence[ServerFlavor],
        clock: Callable[[], float] = float,
    ) -> None:
        self._clock = clock
        self.flavors: Mapping[int, ServerFlavor] = {each.flavor: each for each in flavors}
        self.services = list(services)
        self.access: Mapping[int, Access] = {}  # by program; who is not on the list is refused
        self.trailing_arguments = False  # whether bytes behind the arguments are overlooked
        self.versions: list[type[Version]] = []
        self._entries: dict[Row, Entry] = {}
        for service in services:
            version = version_of(service)
            if (version._prog, version._vers, 0) in self._entries:
                raise UsageError(f"two services for {version.__name__}: one of them can answer")
            self._entries |= {
                (version._prog, version._vers, proc): entry
                for proc, entry in table_of(service, version).items()
            }
            self.versions.append(version)
        self.counters = Counters(list(self._entries))

    def begin(
        self,
        record: bytes,
        peer: Peer,
        connection: Connection | None = None,
        now: float = 0.0,
        time_limit: float | None = None,
    ) -> bytes | Invocation | None:
        """The reply to ``record``, or what must be run to get it, or ``None`` for silence.

        ``now`` is the time of a clock that ``Invocation`` is told again; ``time_limit`` the
        seconds that the call may take.
        """
        xid, verifier, entry = int.from_bytes(record[:4]), NO_AUTH, None
        try:
            call = message.parse_call(record)
            if call is None:
                logger.debug("%s: %d bytes that are no call", peer, len(record))
                return None
            if (access := self.access.get(call.prog)) is not None and not access.admits(peer):
                raise AuthError(rpc_msg.AuthStat.AUTH_TOOWEAK, "not on the program's access list")
            accepted = self._accept(call, peer, connection)
            if isinstance(accepted, Work):
                return FlavorsOwn(self, xid, peer, accepted, now)
            if not isinstance(accepted, Accepted):
                return self._by_flavor(xid, accepted)
            verifier = accepted.verifier
            entry = self._entries.get((call.prog, call.vers, call.proc))
            if entry is None:
                raise self._unavailable(call)
            for demand in entry.demands:
                demand.check(call.credential.flavor, accepted, connection)
            if accepted.garbage is not None:
                raise GarbageArgs(accepted.garbage)
            try:
                if entry.procedure.arguments or accepted.start != len(accepted.data):
                    codec = entry.procedure.arguments_codec
                    if self.trailing_arguments:
                        arguments, _ = codec.unpack(
                            accepted.data, accepted.start, buffers=entry.buffers
                        )
                    else:
                        arguments = codec.unpack_whole(
                            accepted.data, accepted.start, buffers=entry.buffers
                        )
                else:
                    arguments = ()
            except XdrError as error:
                raise GarbageArgs(str(error.within("args"))) from error
        except Refused as error:
            logger.info("%s: xid %#x: %s: %s", peer, xid, type(error).__name__, error)
            row = self.counters.row(entry.row if entry else UNKNOWN)
            self.counters.count(row, _OUTCOMES[type(error)])
            return None if entry and entry.oneway else refusal(xid, verifier, error)
        deadline = None if time_limit is None else now + time_limit
        about = Call(
            peer, accepted.credential, xid, entry.version, entry.procedure, connection, deadline
        )
        return Invocation(self.counters, about, entry, arguments, accepted, now)

    @cached_property
    def plain(self) -> PlainCalls:
        """What answers the plain calls, with the settings that there are when it is first asked
        for."""
        lines = [
            Line(
                entry,
                entry.version,
                entry.procedure,
                None if entry.procedure is NULL else entry.method,
                self.counters.row(row),
                entry.oneway,
            )
            for row, entry in self._entries.items()
            if not (entry.special or entry.version._prog in self.access)
        ]
        flavor_none = AUTH_NONE in self.flavors
        return PlainCalls(lines, self.counters, self.trailing_arguments, flavor_none, self._clock)

    def resume(self, ran: Ran) -> Invocation:
        """What is left of a plain call: the method has run, and what came out waits."""
        entry, call, arguments, result, error, begun = ran
        accepted = Accepted(call.credential, b"", 0)
        return Invocation(self.counters, call, entry, arguments, accepted, begun, (result, error))

    def _by_flavor(self, xid: int, answered: Answered | None) -> bytes | None:
        row = self.counters.row(UNKNOWN)
        if answered is None:
            self.counters.count(row, "SILENT")
            return None
        self.counters.count(row, "SUCCESS")
        return message.success(xid, answered.verifier, answered.results)

    def _accept(
        self, call: message.CallMessage, peer: Peer, connection: Connection | None
    ) -> Accepted | Answered | Work | None:
        flavor = self.flavors.get(call.credential.flavor)
        if flavor is None:
            raise AuthError(
                rpc_msg.AuthStat.AUTH_REJECTEDCRED, f"flavor {call.credential.flavor} is not served"
            )
        return flavor.accept(call, peer, connection)

    def _unavailable(self, call: message.CallMessage) -> Refused:
        """Why nothing answers a call."""
        versions = [version._vers for version in self.versions if version._prog == call.prog]
        if not versions:
            return ProgUnavail(f"program {call.prog}")
        if call.vers not in versions:
            return ProgMismatch(min(versions), max(versions))
        return ProcUnavail(f"procedure {call.proc} of program {call.prog} version {call.vers}")


class Invocation:
    """A call that waits for its method.

    ``blocking``, ``oneway`` and ``asynchronous`` are what the method was marked as, and whether
    it is an ``async def``.
    """

    __slots__ = ("_accepted", "_counters", "_entry", "_outcome", "arguments", "begun", "call")

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
        if self._outcome is None:
            return self._entry.method(self.call, *self.arguments)
        result, error = self._outcome
        if error is not None:
            raise error
        return result

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
            return None
        if self._accepted.wrap is not None:
            results = self._accepted.wrap(results)
        return message.success(self.call.xid, self._accepted.verifier, results)

    def fail(self, error: BaseException, now: float = 0.0) -> bytes | None:
        """The reply for a method that raised: its own ``Refused``, none for ``NoReply``, else
        SYSTEM_ERR and a log."""
        if isinstance(error, NoReply):
            self._count("SILENT", now)
            return None
        if not isinstance(error, Refused):
            call = self.call
            place = f"{call.version.__name__}.{call.procedure.name}"
            logger.error("%s: %s failed: %s", call.peer, place, error, exc_info=error)
            error = SystemErr()
        self._count(_OUTCOMES.get(type(error), "SYSTEM_ERR"), now)
        if self._entry.oneway:
            return None
        return refusal(self.call.xid, self._accepted.verifier, error)

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
        counters.count(counters.row(UNKNOWN), _OUTCOMES[type(error)])
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


_OUTCOMES: dict[type[BaseException], str] = {
    RpcMismatch: "RPC_MISMATCH",
    AuthError: "AUTH_ERROR",
    ProgUnavail: "PROG_UNAVAIL",
    ProgMismatch: "PROG_MISMATCH",
    ProcUnavail: "PROC_UNAVAIL",
    GarbageArgs: "GARBAGE_ARGS",
    SystemErr: "SYSTEM_ERR",
}
