"""The client's engine: calls out, replies in, each reply to its call by the xid (RFC 5531)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from rpcserver.errors import (
    AuthError,
    BadReply,
    CallError,
    GarbageArgs,
    ProcUnavail,
    ProgMismatch,
    ProgUnavail,
    RpcMismatch,
    SystemErr,
    XdrError,
)
from rpcserver.protocols import rpc_msg
from rpcserver.rpc.flavor import AUTH_NONE, ClientFlavor, Exchange, SessionFlavor, after_header
from rpcserver.rpc.message import CALL_HEADER, RPC_VERSION, ReplyMessage, is_call, parse_reply
from rpcserver.rpc.pending import (
    PendingCall,
    ProtectedCall,
    Way,
    begin_call,
    settle_record,
    settle_stream,
)
from rpcserver.rpc.record import RecordReader
from rpcserver.rpc.version import Procedure, Version

_CALL = int(rpc_msg.MsgType.CALL)
_MAX_WAYS = 1024  # a program may make versions as it goes, without end
_REFUSED: dict[int, type[CallError]] = {
    error.status: error for error in (ProgUnavail, ProcUnavail, GarbageArgs, SystemErr)
}


def random_word() -> int:
    """32 bits that nobody foresees: a client's first xid, the stamp of a credential.

    ``secrets`` has them from the same place, and OpenSSL with it.
    """
    return int.from_bytes(os.urandom(4))


class ClientEngine:
    """Makes calls with one credential and sorts the replies.

    ``first_xid`` should be random, so that a client that starts anew is not answered from what a
    server remembers of the last one.
    """

    def __init__(self, flavor: ClientFlavor, first_xid: int) -> None:
        self.flavor = flavor
        self.session = flavor if isinstance(flavor, SessionFlavor) else None
        self._asked: type[Version] | None = None  # what is called in the session
        self._xid = first_xid
        self.lenient = False  # whether any call was
        self._pending: dict[int, PendingCall] = {}
        self._ways: dict[tuple[type[Version], Procedure[Any], bool], Way] = {}

    @property
    def idle(self) -> bool:
        """Whether no call waits for its reply."""
        return not self._pending

    def begin(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        *,
        resend: bool = False,
        lenient: bool = False,
        oneway: bool = False,
        flavor: ClientFlavor | None = None,
    ) -> PendingCall:
        """Encode a call, with the credential of ``flavor`` if given, and wait for its reply.

        Raises ``XdrError`` for arguments that the procedure does not take.
        """
        pending = self.make(version, procedure, arguments, resend, lenient, oneway, flavor)
        if not oneway:
            self._pending[pending.xid] = pending
        return pending

    def make(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: tuple[Any, ...],
        resend: bool = False,
        lenient: bool = False,
        oneway: bool = False,
        flavor: ClientFlavor | None = None,
    ) -> PendingCall:
        """The same for a call that is not sent yet: ``wait`` for it when it is."""
        flavor = flavor or self.flavor
        way = self._ways.get((version, procedure, oneway))
        if way is None or way.flavor is not flavor:
            way = self._way(version, procedure, flavor, oneway)
        xid = (self._xid + 1) & 0xFFFF_FFFF
        try:
            if way.head is not None:
                pending = begin_call(PendingCall, way, xid, arguments, resend, lenient, oneway)
            else:
                encoded, options = way.arguments.pack(arguments), (resend, lenient, oneway)
                pending = self._protected(flavor, xid, version, procedure, encoded, *options)
        except XdrError as error:
            raise error.within("args") from None
        self._xid = xid
        if lenient:
            self.lenient = True
        return pending

    def _protected(
        self,
        flavor: ClientFlavor,
        xid: int,
        version: type[Version],
        procedure: Procedure[Any],
        arguments: bytes,
        *options: bool,
    ) -> ProtectedCall:
        header, in_session = _header(xid, version, procedure), flavor is self.session
        pending = ProtectedCall.made(
            flavor, header, procedure, arguments, *options, in_session=in_session
        )
        if in_session:
            self._asked = version
        else:
            pending.protect()
        return pending

    def moved(self, bindings: bytes | None) -> None:
        """Calls go over a new connection from now on, which has these channel bindings."""
        if self.session is not None:
            self.session.moved(bindings)

    def own(self, step: Exchange, resend: bool = False) -> PendingCall:
        """A call of the session's own, to what is called in it."""
        assert self._asked is not None
        return self.make(self._asked, step.procedure, step.arguments, resend, flavor=step.flavor)

    def seal(self, calls: Iterable[PendingCall]) -> None:
        """Protect the calls of a session that are sent now. Raises ``AuthError``."""
        for pending in calls:
            if isinstance(pending, ProtectedCall) and pending.in_session:
                pending.protect()

    def _way(
        self,
        version: type[Version],
        procedure: Procedure[Any],
        flavor: ClientFlavor,
        oneway: bool = False,
    ) -> Way:
        head = open_reply = None
        if fixed := after_header(flavor, oneway):
            credential, open_reply = fixed
            head = bytes(4) + _header(0, version, procedure) + credential
        codecs = procedure.arguments_codec, procedure.result_codec
        way = Way(flavor, procedure, head, *codecs, open_reply)
        if len(self._ways) >= _MAX_WAYS:
            self._ways.clear()
        self._ways[version, procedure, oneway] = way
        return way

    def refused(self, stat: int) -> bool:
        """Tell the flavor that the server refused with ``stat``: whether another try may go
        better."""
        self._ways.clear()
        return self.flavor.refused(stat)

    def renewed(self, pending: PendingCall) -> PendingCall | None:
        """The same call with a better credential, if the server refused the one that it had, and
        the flavor has one.

        It may have run before it was refused, the reply lost: where it may be sent again, the
        server finds it by its xid. Else it has a new one: a refusal may come twice.
        """
        error, flavor = pending.error, self.flavor
        if not (isinstance(error, AuthError) and self.refused(error.stat)):
            return None
        xid = pending.xid
        if not pending.resend:
            self._xid = xid = (self._xid + 1) & 0xFFFF_FFFF
        header = xid.to_bytes(4) + pending.message[4 : CALL_HEADER.size]
        procedure, arguments = pending.procedure, pending.arguments
        options = pending.resend, pending.lenient
        if isinstance(pending, ProtectedCall):
            again = ProtectedCall.made(flavor, header, procedure, arguments, *options)
            again.protect()
            return again
        message, open_reply = flavor.protect(header, arguments)
        return PendingCall(xid, procedure, message, open_reply, *options)

    def take(self, reader: RecordReader, made: Callable[[bytes], object]) -> list[PendingCall]:
        """Give the replies that ``reader`` has to their calls, which are then done, and return
        these. A call that the server makes is for ``made``. Raises ``RecordError``."""
        ended: list[PendingCall] = []
        while True:
            if reader.whole:
                reader.start, plain = settle_stream(
                    self._pending, reader.buffer, reader.start, reader.end, reader.max_record
                )
                ended += plain
                if reader.start == reader.end:
                    break
            record: Any = reader.next()
            if record is None:
                break
            if is_call(record):
                made(record)
            elif pending := self.receive(record):
                ended.append(pending)
        reader.keep()
        return ended

    def receive(self, record: bytes) -> PendingCall | None:
        """Give a reply to its call, which is then done, and return it; ``None`` for a reply that
        nobody waits for any more."""
        if pending := settle_record(self._pending, record):
            return pending
        try:
            reply = parse_reply(record)
        except BadReply as error:
            message, xid = error.args
            if pending := self._pending.pop(xid, None):
                pending.fail(BadReply(message))
            return pending
        if reply is None:
            return None
        pending = self._pending.pop(reply.xid, None)
        if pending is not None:
            self._settle(pending, reply)
        return pending

    def receive_unmarked(self, fragments: bytes) -> PendingCall | None:
        """The same for a record whose end was not marked: the call of which ``fragments`` are the
        whole reply, if it is a lenient one."""
        pending = self._pending.get(int.from_bytes(fragments[:4]))
        if pending is None or not pending.lenient:
            return None
        try:
            reply = parse_reply(fragments)
        except BadReply:
            return None
        if reply is None:
            return None
        self._settle(pending, reply)
        if isinstance(pending.error, BadReply):  # the rest is still to come
            pending.reset()
            return None
        del self._pending[pending.xid]
        return pending

    def _settle(self, pending: PendingCall, reply: ReplyMessage) -> None:
        if reply.body is not None:
            if isinstance(reply.body, rpc_msg.ReplyBodyMsgDenied):
                pending.fail(_refused(reply.body))  # which has no verifier
            else:
                pending.end(reply.verifier, _refused(reply.body))
            return
        pending.settle(reply.verifier, reply.record[reply.start :])
        if reply.verifier.flavor != AUTH_NONE and not isinstance(pending, ProtectedCall):
            self._ways.clear()  # the flavor may have been handed out something

    def wait(self, calls: Iterable[PendingCall]) -> None:
        """Wait for the replies to calls that are sent, or sent once more, whatever became of
        them; not to those that bring none."""
        waiting = self._pending
        for pending in calls:
            if not pending.oneway:
                pending.done = False
                pending.error = None
                waiting[pending.xid] = pending

    def again(self, pending: PendingCall) -> None:
        """The same for one, which brings a reply."""
        pending.done = False
        pending.error = None
        self._pending[pending.xid] = pending

    def forget(self, pending: PendingCall) -> None:
        """Wait no longer for this call."""
        self._pending.pop(pending.xid, None)

    def fail_all(self, error: CallError) -> None:
        """End every call that is waiting, for instance because the connection is gone."""
        waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.fail(type(error)(*error.args))  # each caller raises one of its own


def _header(xid: int, version: type[Version], procedure: Procedure[Any]) -> bytes:
    return CALL_HEADER.pack(xid, _CALL, RPC_VERSION, version._prog, version._vers, procedure.number)


def _refused(body: rpc_msg.ReplyBody) -> CallError:
    match body:
        case rpc_msg.ReplyBodyMsgDenied(rpc_msg.RejectedReplyRpcMismatch(info)):
            return RpcMismatch(info.low, info.high)
        case rpc_msg.ReplyBodyMsgDenied(rpc_msg.RejectedReplyAuthError(why)):
            return AuthError(why, f"authentication refused: {why.name}")
        case rpc_msg.ReplyBodyMsgAccepted(areply):
            match areply.reply_data:
                case rpc_msg.AcceptedReplyReplyDataProgMismatch(versions):
                    return ProgMismatch(versions.low, versions.high)
                case rpc_msg.AcceptedReplyReplyDataDefault(stat):
                    return _REFUSED[stat](f"the server answered {stat.name}")
    return BadReply("a success that was not taken for one")
