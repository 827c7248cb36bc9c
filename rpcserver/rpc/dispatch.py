"""The server's engine: a record in, a reply or an ``Invocation`` out (RFC 5531 sections 8 and 9).

``ServerEngine.begin`` does all that comes before the user's method and ``Invocation.reply`` all
that comes after it. The faces in ``servers/`` differ only in who calls the method in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from rpcserver.errors import (
    AuthError,
    GarbageArgs,
    ProcUnavail,
    ProgMismatch,
    ProgUnavail,
    Refused,
    UsageError,
    XdrError,
)
from rpcserver.protocols import rpc_msg
from rpcserver.rpc import message
from rpcserver.rpc.access import Access
from rpcserver.rpc.call import Call, Connection, Peer
from rpcserver.rpc.counters import UNKNOWN, Counters, Row
from rpcserver.rpc.entries import NULL, Entry, table_of, version_of
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, Answered, ServerFlavor, Work
from rpcserver.rpc.invocation import OUTCOMES, FlavorsOwn, Invocation, refusal
from rpcserver.rpc.message import CALL_HEADER
from rpcserver.rpc.once import once_only
from rpcserver.rpc.plain import Line, PlainCalls, Ran
from rpcserver.rpc.replycache import ReplyCache
from rpcserver.rpc.version import Service, Version

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
        self.replies: ReplyCache | None = None  # those that were given, for calls that come again
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
        once: bool = False,
    ) -> bytes | Invocation | None:
        """The reply to ``record``, or what must be run to get it, or ``None`` for silence.

        ``now`` is the time of a clock that ``Invocation`` is told again; ``time_limit`` the
        seconds that the call may take. ``once``: unless it is idempotent, a call that was made
        before does not run again, as far as ``replies`` knows.
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
            self.counters.count(row, OUTCOMES[type(error)])
            return None if entry and entry.oneway else refusal(xid, verifier, error)
        deadline = None if time_limit is None else now + time_limit
        about = Call(
            peer, accepted.credential, xid, entry.version, entry.procedure, connection, deadline
        )
        invocation = Invocation(self.counters, about, entry, arguments, accepted, now)
        if self.replies is None or not once or entry.idempotent:
            return invocation
        header = record[: CALL_HEADER.size]
        return once_only(self.replies, invocation, accepted, header, now, time_limit)

    @cached_property
    def plain(self) -> PlainCalls:
        """What answers the plain calls, with the settings that there are when it is first asked
        for."""
        return self._plain(once=False)

    @cached_property
    def plain_once(self) -> PlainCalls:
        """The same where calls do not run again: these are not plain."""
        return self._plain(once=True)

    def _plain(self, once: bool) -> PlainCalls:
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
            and (entry.idempotent or not once)
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
