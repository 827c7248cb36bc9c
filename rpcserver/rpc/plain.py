"""Plain calls, which nearly all are: whole in one fragment, with no credential or one that was
taken before, for a procedure whose method runs here and now.

``PlainCalls`` answers as many as there are in a buffer. It is what the engine has for speed, and
knows no refusals: at whatever is not plain it stops, and ``ServerEngine.begin`` looks at that. The
native codec has the same in C; a test holds the two equal.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rpcserver.errors import XdrError
from rpcserver.rpc.call import Call, Connection, Peer
from rpcserver.rpc.counters import Counters
from rpcserver.rpc.version import Procedure, Version
from rpcserver.xdr.codec import NATIVE
from rpcserver.xdr.types import Void

SLOW = 0.1
"""Seconds from which on a method's time is worth a look of those who wait for it."""

BATCH = 64 << 10
"""Bytes of replies that wait for one another before they are sent."""

_LARGE = 4 << 10  # bytes from which on a part is better not copied
_NEVER = math.inf
_LAST = 0x8000_0000
_NO_AUTH = bytes(16)  # credential and verifier of AUTH_NONE
_WORD = struct.Struct(">I")
_KEY = struct.Struct(">5I")  # from mtype to proc
_HEADER = 4 + _KEY.size  # where the credential begins
_LEAST = 4 + _HEADER + len(_NO_AUTH)  # bytes of a call with its mark
_HEAD = struct.Struct(">2I")  # mark and xid
_SUCCESS = _KEY.pack(1, 0, 0, 0, 0)  # REPLY, MSG_ACCEPTED, AUTH_NONE, SUCCESS
_SIZE = 4 + len(_SUCCESS)  # of a reply without results
_NULL = struct.Struct(">I4s36s")  # mark, xid, and the rest of a call for procedure 0
_NULL_MARK = _LAST | _LEAST - 4
_NULL_REPLY = _HEAD.pack(_LAST | _SIZE, 0) + _SUCCESS
_call = partial(tuple.__new__, Call)  # half the price of Call(...)


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
        self._counters = counters
        self._trailing = trailing
        self._lines = {
            _KEY.pack(0, 2, line.version._prog, line.version._vers, line.procedure.number): line
            for line in lines
        }
        self._anonymous: dict[bytes, Line] = {}  # what most calls are, found at one look
        if flavor_none:
            self._anonymous = {key + _NO_AUTH: line for key, line in self._lines.items()}

    def answer(
        self, data: bytearray | memoryview | bytes, start: int, end: int, about: About, until: float
    ) -> tuple[int, bytes | list[bytes], Ran | None]:
        """Answer the plain calls that follow one another in ``data`` (a stream's) from ``start``.

        The offset behind the last, their replies (parts of them, if they are large), and if the
        last one's is still to be made, what came out of its method. It stops early when there are
        many replies, or the time is after ``until``.
        """
        turn = _Turn(bytes(memoryview(data)[start:end]), about, self._clock(), until)
        last = len(turn.chunk) - _LEAST
        while (position := turn.done) <= last:
            (mark,) = _WORD.unpack_from(turn.chunk, position)
            self._some(turn, position + 4, position + 4 + mark - _LAST)
            if turn.over or turn.done == position:
                break
        return start + turn.done, turn.joined(), turn.ran

    def answer_one(
        self, record: Any, about: About, marked: bool
    ) -> bytes | list[bytes] | Ran | None:
        """The reply to ``record`` (``marked``: as it goes on a stream), or parts of it, empty for
        none; or what came out of its method; ``None`` if it is no plain call."""
        record = record if type(record) is bytes else bytes(record)
        turn = _Turn(record, about, self._clock(), _NEVER)
        self._some(turn, 0, len(record))
        if not turn.done:
            return None
        if turn.ran is None and not marked and turn.replies:
            turn.replies[0] = turn.replies[0][4:]
        return turn.joined() if turn.ran is None else turn.ran

    def _some(self, turn: _Turn, start: int, stop: int) -> None:
        """Answer the call from ``start`` to ``stop``, and further ones for its procedure."""
        chunk, about = turn.chunk, turn.about
        if stop > len(chunk):
            return
        header, credential = chunk[start + 4 : start + _LEAST - 4], None
        line = self._anonymous.get(header)
        if line is None and about.credential is not None:
            header = chunk[start + 4 : start + _HEADER + len(about.known)]
            if header[_KEY.size :] == about.known:
                line, credential = self._lines.get(header[: _KEY.size]), about.credential
        if line is None:
            return
        if start and line.method is None and stop - start == _LEAST - 4:  # with a mark before it
            self._nulls(turn, line, start - 4, header)
        else:
            self._calls(turn, line, credential, start, stop, header)

    def _nulls(self, turn: _Turn, line: Line, start: int, header: bytes) -> None:
        """Calls for procedure 0 without credential or arguments: only their xids differ."""
        most = (BATCH - turn.size) // len(_NULL_REPLY) + 1
        calls = memoryview(turn.chunk)[start : start + most * _LEAST]
        xids: list[bytes] = []
        for mark, xid, other in _NULL.iter_unpack(calls[: len(calls) // _LEAST * _LEAST]):
            if mark != _NULL_MARK or other != header:
                break
            xids.append(xid)
        head, tail = _NULL_REPLY[:4], _NULL_REPLY[8:]
        replies = head + (tail + head).join(xids) + tail
        turn.replies.append(replies)
        turn.size += len(replies)
        turn.done = start + len(xids) * _LEAST
        self._counters.count(line.row, "SUCCESS", calls=len(xids))

    def _calls(
        self, turn: _Turn, line: Line, credential: Any, start: int, stop: int, header: bytes
    ) -> None:
        """Calls whose ``header``, from behind the xid to the arguments, is the same. The first is
        from ``start`` to ``stop``."""
        entry, version, procedure, method, row, oneway = line
        peer, connection, limit = turn.about[:3]
        unpack = procedure.arguments_codec.unpack if procedure.arguments else _no_arguments
        pack = _no_results if procedure.result is Void else procedure.result_codec.pack
        chunk, replies, clock = turn.chunk, turn.replies, self._clock
        last, behind = len(chunk) - _LEAST, 4 + len(header)
        first = begun = now = turn.now
        count = 0
        (xid,) = _WORD.unpack_from(chunk, start)
        while True:
            try:
                arguments, end = unpack(chunk, start + behind)
            except Exception:  # noqa: BLE001  who looks at it once more knows what to answer
                break
            if end != stop and not (self._trailing and end < stop):
                break
            turn.done = stop
            results: Any = b""
            if method is not None:
                begun = now
                deadline = None if limit is None else now + limit
                call = _call((peer, credential, xid, version, procedure, connection, deadline))
                try:
                    result = method(call, *arguments)
                except Exception as error:  # noqa: BLE001  others know what to do with it
                    turn.ran = entry, call, arguments, None, error, begun
                    break
                now = clock()
                try:
                    results = pack(result) if now - begun <= SLOW else None
                except Exception:  # noqa: BLE001  it may be no result yet
                    results = None
                if results is None:
                    turn.ran = entry, call, arguments, result, None, begun
                    break
            count += 1
            if not oneway:
                size = _SIZE + len(results)
                replies += (_HEAD.pack(_LAST | size, xid), _SUCCESS, results)
                turn.size += 4 + size
            if stop > last or now > turn.until or turn.size > BATCH:
                break
            mark, xid = _HEAD.unpack_from(chunk, stop)
            start, stop = stop + 4, stop + 4 + mark - _LAST
            if stop > len(chunk) or chunk[start + 4 : start + behind] != header:
                break
        turn.now = now
        if count:
            seconds = (now if turn.ran is None else begun) - first
            self._counters.count(row, "SUCCESS", seconds, count)


def _no_arguments(data: bytes, start: int) -> tuple[tuple[()], int]:
    return (), start


def _no_results(result: None) -> bytes:
    if result is not None:
        raise XdrError("expected None")
    return b""


class _Turn:
    """The calls in ``chunk``, as far as they are answered.

    ``done`` is the offset behind the last, ``size`` what their ``replies`` have in bytes, ``now``
    when the last method was through; ``ran``: a call whose method has run, and whose reply
    others make.
    """

    __slots__ = ("about", "chunk", "done", "now", "ran", "replies", "size", "until")

    def __init__(self, chunk: bytes, about: About, now: float, until: float) -> None:
        self.chunk = chunk
        self.about = about
        self.now = now
        self.until = until
        self.done = 0
        self.replies: list[bytes] = []
        self.size = 0
        self.ran: Ran | None = None

    @property
    def over(self) -> bool:
        """Whether others are to have their turn."""
        return self.ran is not None or self.size > BATCH or self.now > self.until

    def joined(self) -> bytes | list[bytes]:
        """The replies, or parts of them if these are large: then a copy costs more than to have
        the kernel gather them."""
        parts = self.replies
        return parts if self.size > len(parts) * _LARGE else b"".join(parts)


PlainCalls = PythonPlainCalls
if NATIVE and not TYPE_CHECKING:
    from rpcserver.xdr._native import PlainCalls  # noqa: F401
