"""Plain calls, which nearly all are: whole in one fragment, with no credential or one that was
taken before, for a procedure whose method runs here and now.

``PlainCalls`` answers as many as there are in a buffer. It is what the engine has for speed, and
knows no refusals: at whatever is not plain it stops, and ``ServerEngine.begin`` looks at that. The
native codec has the same in C; a test holds the two equal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.rpc.call import Call, Connection, Peer
from rpcserver.rpc.counters import Counters
from rpcserver.rpc.version import Procedure, Version
from rpcserver.xdr.codec import NATIVE

SLOW = 0.1
"""Seconds from which on a method's time is worth a look of those who wait for it."""

BATCH = 64 << 10
"""Bytes of replies that wait for one another before they are sent."""

_LAST = 0x8000_0000
_HEADER = 24  # bytes of a call's header, from the xid to the procedure
_CREDENTIAL = 24  # where the credential begins
_NO_AUTH = bytes(16)  # credential and verifier of AUTH_NONE
_WORD = struct.Struct(">I")
_KEY = struct.Struct(">5I")  # from mtype to proc
_REPLY = struct.Struct(">3I")
_SUCCESS = _REPLY.pack(1, 0, 0)[:8] + bytes(12)  # REPLY, MSG_ACCEPTED, AUTH_NONE, SUCCESS


class Line(NamedTuple):
    """What answers the plain calls of one procedure. ``method`` is ``None`` for procedure 0."""

    entry: Any
    version: type[Version]
    procedure: Procedure[Any]
    method: Any
    row: int
    oneway: bool


class About(NamedTuple):
    """What all calls of a connection have in common.

    ``known``: the bytes of a credential and its verifier that need not be looked at again, and
    ``credential`` what was made of them.
    """

    peer: Peer
    connection: Connection | None
    time_limit: float | None = None
    credential: Any = None
    known: bytes = _NO_AUTH


Ran: TypeAlias = tuple[Any, Call, tuple[Any, ...], Any, BaseException | None, float]
"""a call whose method has run, and what is to become of that is for others to say: entry, call,
arguments, result, what it raised, when it began"""


class PythonPlainCalls:
    """``lines`` are the procedures whose calls may be plain.

    ``trailing``: bytes behind the arguments are overlooked. ``flavor_none``: AUTH_NONE is served.
    ``clock`` gives seconds; the native one asks the system itself, as ``time.monotonic`` does.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        counters: Counters,
        trailing: bool,
        flavor_none: bool,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._lines = {
            _KEY.pack(0, 2, line.version._prog, line.version._vers, line.procedure.number): line
            for line in lines
        }
        self._counters = counters
        self._trailing = trailing
        self._none = flavor_none

    def answer(
        self, data: bytearray | memoryview | bytes, start: int, end: int, about: About, until: float
    ) -> tuple[int, bytes, Ran | None]:
        """Answer the plain calls that follow one another in ``data`` (a stream's) from ``start``.

        The offset behind the last, their replies, and if the last one's is still to be made, what
        came out of its method. It stops early when there are many replies, or the time
        is after ``until``.
        """
        chunk = bytes(memoryview(data)[start:end])
        replies: list[bytes] = []
        ran: Ran | None = None
        position, end, size = 0, end - start, 0
        while end - position >= 44:
            (mark,) = _WORD.unpack_from(chunk, position)
            stop = position + 4 + (mark & ~_LAST)
            if not mark & _LAST or stop > end:
                break
            reply = self._one(chunk, position + 4, stop, about)
            if reply is None:
                break
            position = stop
            if not isinstance(reply, bytes):
                ran = reply
                break
            if reply:
                replies.append(_WORD.pack(_LAST | len(reply)))
                replies.append(reply)
                size += len(reply)
                if size > BATCH:
                    break
            if self._clock() > until:
                break
        return start + position, b"".join(replies), ran

    def answer_one(self, record: Any, about: About, marked: bool) -> bytes | Ran | None:
        """The reply to ``record`` (``marked``: as it goes on a stream), empty for none; or what
        came out of its method; ``None`` if it is no plain call."""
        reply = self._one(record, 0, len(record), about) if len(record) >= 40 else None
        if marked and reply and isinstance(reply, bytes):
            return _WORD.pack(_LAST | len(reply)) + reply
        return reply

    def _one(self, data: bytes, start: int, stop: int, about: About) -> bytes | Ran | None:
        line = self._lines.get(data[start + 4 : start + _HEADER])
        if line is None:
            return None
        arguments_at = start + 40
        credential = None
        if not self._none or data[start + _CREDENTIAL : arguments_at] != _NO_AUTH:
            arguments_at = start + _CREDENTIAL + len(about.known)
            if data[start + _CREDENTIAL : arguments_at] != about.known or (about.known is _NO_AUTH):
                return None
            credential = about.credential
        xid = data[start : start + 4]
        if line.method is None:
            if stop != arguments_at and not self._trailing:
                return None
            self._counters.count(line.row, "SUCCESS")
            return xid + _SUCCESS
        return self._run(line, data, arguments_at, stop, xid, about, credential)

    def _run(
        self,
        line: Line,
        data: bytes,
        start: int,
        stop: int,
        xid: bytes,
        about: About,
        credential: Any,
    ) -> bytes | Ran | None:
        procedure = line.procedure
        try:
            arguments, end = procedure.arguments_codec.unpack(data, start)
        except XdrError:
            return None
        if end != stop and not (self._trailing and end < stop):
            return None
        begun = self._clock()
        deadline = None if about.time_limit is None else begun + about.time_limit
        call = Call(
            about.peer,
            credential,
            int.from_bytes(xid),
            line.version,
            procedure,
            about.connection,
            deadline,
        )
        try:
            result = line.method(call, *arguments)
        except Exception as error:  # noqa: BLE001  others know what to do with it
            return line.entry, call, arguments, None, error, begun
        seconds = self._clock() - begun
        if seconds > SLOW:
            return line.entry, call, arguments, result, None, begun
        try:
            results = procedure.result_codec.pack(result)
        except Exception:  # noqa: BLE001  it may be no result yet
            return line.entry, call, arguments, result, None, begun
        self._counters.count(line.row, "SUCCESS", seconds)
        return b"" if line.oneway else b"".join((xid, _SUCCESS, results))


PlainCalls = PythonPlainCalls
if NATIVE and not TYPE_CHECKING:
    from rpcserver.xdr._native import PlainCalls  # noqa: F401
