"""Calls that were made, and the plain replies that end nearly all of them: whole in one fragment,
a success without a verifier, for a call whose flavor protects nothing.

At whatever is not plain the functions here stop, and ``ClientEngine`` looks at it. The native
codec has the same in C; a test holds the two equal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from rpcserver.errors import AuthError, BadReply, CallError, GarbageArgs, NotReached, XdrError
from rpcserver.rpc.flavor import Auth, ClientFlavor, OpenReply
from rpcserver.rpc.message import parse_call
from rpcserver.rpc.record import MAX_FRAGMENT, frame, mark_of
from rpcserver.rpc.version import Procedure
from rpcserver.xdr.codec import NATIVE, Codec

T = TypeVar("T")

_LAST = 0x8000_0000
_MARK_AND_XID = struct.Struct(">2I")
_SUCCESS = struct.pack(">5I", 1, 0, 0, 0, 0)  # REPLY, MSG_ACCEPTED, AUTH_NONE, SUCCESS
_MAX_OPENERS = 16  # sendings of which each may be the one that is answered: a minute of datagrams
_REPLY = 24  # bytes of a plain reply before its results


class Way(NamedTuple):
    """How one procedure is called with one flavor. ``head``: the message up to its arguments, with
    room for mark and xid; ``None`` if the flavor has to see each call. ``open_reply``: what opens
    replies that have a verifier."""

    flavor: ClientFlavor
    procedure: Procedure[Any]
    head: bytes | None
    arguments: Codec
    results: Codec
    open_reply: OpenReply | None


class PythonPending:
    """What ``PendingCall`` holds. ``framed`` is the message as it goes on a stream, in one
    fragment; ``open_reply`` gets replies with a verifier, if anything does, and those of a
    ``ProtectedCall``."""

    __slots__ = (
        "done",
        "error",
        "framed",
        "lenient",
        "oneway",
        "open_reply",
        "procedure",
        "resend",
        "value",
        "xid",
    )

    def __init__(
        self,
        xid: int,
        procedure: Procedure[Any],
        message: bytes,
        open_reply: OpenReply | None = None,
        resend: bool = False,
        lenient: bool = False,
        oneway: bool = False,
    ) -> None:
        self.xid = xid
        self.procedure = procedure
        self.framed = mark_of(message) + message
        self.open_reply = open_reply
        self.resend = resend
        self.lenient = lenient
        self.oneway = oneway
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None

    @property
    def message(self) -> bytes:
        """The message as it goes into a datagram."""
        return self.framed[4:]


if TYPE_CHECKING or not NATIVE:
    Pending = PythonPending
else:
    from rpcserver.xdr._native import Pending


class PendingCall(Pending):
    """A call that was made: ``message`` goes to the server, and once ``done``, ``result()``
    returns what came back or raises it.

    ``resend``: it may be sent again. ``lenient``: its result may be padded too far, and have
    numbers and labels that its type has not. ``oneway``: no reply is waited for.
    """

    __slots__ = ()

    @property
    def arguments(self) -> bytes:
        """The encoded arguments, which nothing protects."""
        message = self.message
        call = parse_call(message)
        return message[call.start :] if call is not None else b""

    @property
    def lost(self) -> bool:
        """Whether the connection went away before a reply came."""
        return isinstance(self.error, NotReached)

    @property
    def damaged(self) -> bool:
        """Whether one side did not understand the other: a datagram was cut, perhaps."""
        return isinstance(self.error, (BadReply, GarbageArgs, AuthError))

    def result(self) -> Any:
        """The decoded result. Raises the ``CallError`` that the call ended with."""
        if self.error is not None:
            raise self.error
        return self.value

    def fail(self, error: BaseException) -> None:
        """End the call without a reply."""
        self.done = True
        self.error = error

    def sent(self) -> None:
        """End a call that waits for no reply."""
        self.done = True

    def reset(self) -> None:
        """Forget how it ended."""
        self.done = False
        self.error = None

    def settle(self, verifier: Auth, results: bytes) -> None:
        """End the call with what its reply brought."""
        self.done = True
        try:
            results = self._opened(verifier, results)
            codec = self.procedure.result_codec
            if self.lenient:
                self.value, _ = codec.unpack(results, lenient=True)
            else:
                self.value = codec.unpack_whole(results)
        except XdrError as error:
            error.within("result")
            self.error = BadReply(f"the result could not be decoded: {error}")
        except CallError as error:
            self.error = error

    def end(self, verifier: Auth, error: CallError) -> None:
        """End the call with the error that its reply brought, which has that verifier."""
        self.fail(error)

    def _opened(self, verifier: Auth, results: bytes) -> bytes:
        return results if self.open_reply is None else self.open_reply(verifier, results)


class ProtectedCall(PendingCall):
    """A call whose flavor has to see it, and its reply: ``made`` makes it, ``protect`` its message.

    ``in_session``: it is protected when it is sent, anew each time.
    """

    __slots__ = ("_arguments", "_flavor", "_header", "_openers", "framed", "in_session")

    _flavor: ClientFlavor
    _header: bytes
    _openers: list[OpenReply]  # of each message that was sent
    _arguments: bytes
    framed: bytes
    in_session: bool

    @classmethod
    def made(
        cls,
        flavor: ClientFlavor,
        header: bytes,
        procedure: Procedure[Any],
        arguments: bytes,
        *options: bool,
        in_session: bool = False,
    ) -> Self:
        """A call that is not protected yet; ``options`` are ``resend``, ``lenient``, ``oneway``."""
        self = cls(int.from_bytes(header[:4]), procedure, b"", None, *options)
        self._flavor, self._header, self._arguments = flavor, header, arguments
        self._openers, self.framed, self.in_session = [], b"", in_session
        return self

    @property
    def message(self) -> bytes:
        return self.framed[4:]

    @property
    def arguments(self) -> bytes:
        return self._arguments

    @property
    def damaged(self) -> bool:
        if isinstance(self.error, AuthError):
            return not self.in_session  # another session is to be made, then
        return super().damaged

    def protect(self) -> None:
        """Have its flavor make the message. Raises ``AuthError``."""
        message, open_reply = self._flavor.protect(self._header, self._arguments)
        self.framed = mark_of(message) + message
        self._openers = [open_reply, *self._openers[: _MAX_OPENERS - 1]]

    def refused(self, stat: int) -> bool:
        """Whether another try may go better, now that the server refused with ``stat``."""
        if not self._openers:
            return self.in_session  # nothing was sent: the session protects no calls any more
        told = getattr(self._openers[0], "refused", None)
        again: bool = (told or self._flavor.refused)(stat)
        return again

    def end(self, verifier: Auth, error: CallError) -> None:
        def check(opener: OpenReply) -> None:
            if (checked := getattr(opener, "check", None)) is not None:
                checked(verifier)

        try:
            self._by_any(check)
        except BadReply as wrong:
            error = wrong
        self.fail(error)

    def _opened(self, verifier: Auth, results: bytes) -> bytes:
        return self._by_any(lambda opener: opener(verifier, results))

    def _by_any(self, use: Callable[[OpenReply], T]) -> T:
        for opener in self._openers[:-1]:
            with suppress(BadReply):  # it answers what was sent before
                return use(opener)
        return use(self._openers[-1])


def framed(pending: PythonPending) -> bytes:
    """The call as it goes on a stream, in several fragments if it is too large for one."""
    one: bytes = pending.framed
    return one if len(one) <= MAX_FRAGMENT else frame(pending.message)


PendingT = TypeVar("PendingT", bound=PythonPending)


def python_begin_call(
    cls: type[PendingT],
    way: Way,
    xid: int,
    arguments: tuple[Any, ...],
    resend: bool,
    lenient: bool,
    oneway: bool,
) -> PendingT:
    """A call that needs no flavor's help. Raises ``XdrError``."""
    assert way.head is not None
    encoded = way.arguments.pack(arguments)
    message = b"".join((xid.to_bytes(4), way.head[8:], encoded))
    return cls(xid, way.procedure, message, way.open_reply, resend, lenient, oneway)


def python_settle_stream(
    waiting: dict[int, PendingCall],
    data: bytes | memoryview,
    start: int,
    end: int,
    max_record: int,
) -> tuple[int, list[PendingCall]]:
    """End the calls, ``waiting`` by their xid, whose plain replies follow one another in ``data``
    (a stream's) from ``start``: the offset behind the last, and the calls.

    A plain reply that nobody waits for is passed over.
    """
    ended = []
    while end - start >= 4 + _REPLY:
        mark, xid = _MARK_AND_XID.unpack_from(data, start)
        stop = start + 4 + (mark & ~_LAST)
        if not mark & _LAST or mark & ~_LAST > max_record or stop > end:
            break
        record = bytes(data[start + 4 : stop])
        pending = waiting.get(xid)
        if record[4:_REPLY] != _SUCCESS or (pending is not None and not _settle(pending, record)):
            break
        if pending is not None:
            del waiting[xid]
            ended.append(pending)
        start = stop
    return start, ended


def python_settle_record(waiting: dict[int, PendingCall], record: bytes) -> PendingCall | None:
    """The same for one record: the call, ``None`` if ``record`` is no plain reply, or nobody's."""
    if record[4:_REPLY] != _SUCCESS:
        return None
    pending = waiting.get(int.from_bytes(record[:4]))
    if pending is None or not _settle(pending, record):
        return None
    del waiting[pending.xid]
    return pending


def _settle(pending: PendingCall, record: bytes) -> bool:
    if pending.lenient or isinstance(pending, ProtectedCall):
        return False
    try:
        pending.value = pending.procedure.result_codec.unpack_whole(record[_REPLY:])
    except Exception:  # noqa: BLE001  who decodes it once more says what is wrong
        return False
    pending.done = True
    return True


begin_call = python_begin_call
settle_stream = python_settle_stream
settle_record = python_settle_record
if NATIVE and not TYPE_CHECKING:
    from rpcserver.xdr._native import begin_call, settle_record, settle_stream  # noqa: F401
