"""The client's engine: calls out, replies in, each reply to its call by the xid (RFC 5531)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rpcserver.errors import (
    AuthError,
    BadReply,
    CallError,
    GarbageArgs,
    NotReached,
    ProcUnavail,
    ProgMismatch,
    ProgUnavail,
    RpcMismatch,
    SystemErr,
    XdrError,
)
from rpcserver.protocols import rpc_msg
from rpcserver.rpc.flavor import Auth, ClientFlavor, SessionFlavor
from rpcserver.rpc.message import CALL_HEADER, RPC_VERSION, ReplyMessage, parse_reply
from rpcserver.rpc.version import Procedure, Version

_REFUSED: dict[int, type[CallError]] = {
    error.status: error for error in (ProgUnavail, ProcUnavail, GarbageArgs, SystemErr)
}


Open = Callable[[Auth, bytes], bytes]

_MAX_OPENERS = 16
"""Sendings of a call of which each may be the one that is answered: a minute of datagrams."""


def random_word() -> int:
    """32 bits that nobody foresees: a client's first xid, the stamp of a credential.

    ``secrets`` has them from the same place, and OpenSSL with it.
    """
    return int.from_bytes(os.urandom(4))


class PendingCall:
    """A call that was made: ``message`` goes to the server, and once ``done``, ``result()``
    returns what came back or raises it.

    ``resend``: it may be sent again. ``lenient``: its result may be padded too far, and have
    numbers and labels that its type has not. ``oneway``: no reply is waited for.
    """

    __slots__ = (
        "_openers",
        "_value",
        "done",
        "error",
        "flavor",
        "lenient",
        "message",
        "oneway",
        "procedure",
        "resend",
        "unprotected",
        "xid",
    )

    def __init__(
        self,
        xid: int,
        procedure: Procedure[Any],
        flavor: ClientFlavor,
        resend: bool = False,
        lenient: bool = False,
    ) -> None:
        self.xid = xid
        self.flavor = flavor
        self.resend = resend
        self.lenient = lenient
        self.oneway = False
        self.procedure = procedure
        self.message = b""
        self.unprotected: tuple[bytes, bytes] | None = None  # header and arguments
        self.done = False
        self._openers: list[Open] = []  # of each message that was sent
        self._value: Any = None
        self.error: BaseException | None = None

    @property
    def lost(self) -> bool:
        """Whether the connection went away before a reply came."""
        return isinstance(self.error, NotReached)

    @property
    def damaged(self) -> bool:
        """Whether one side did not understand the other: a datagram was cut, perhaps."""
        if isinstance(self.error, AuthError):
            return not self.unprotected  # another session is to be made, then
        return isinstance(self.error, (BadReply, GarbageArgs))

    def result(self) -> Any:
        """The decoded result. Raises the ``CallError`` that the call ended with."""
        if self.error is not None:
            raise self.error
        return self._value

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

    def protect(self, header: bytes, arguments: bytes) -> None:
        """Make the message."""
        self.message, open_reply = self.flavor.protect(header, arguments)
        self._openers = [open_reply, *self._openers[: _MAX_OPENERS - 1]]

    def refused(self, stat: int) -> bool:
        """Whether another try may go better, now that the server refused with ``stat``."""
        told = getattr(self._openers[0], "refused", None) if self._openers else None
        again: bool = (told or self.flavor.refused)(stat)
        return again

    def _open(self, verifier: Auth, results: bytes) -> bytes:
        for open_reply in self._openers[:-1]:
            with suppress(BadReply):  # it answers what was sent before
                return open_reply(verifier, results)
        return self._openers[-1](verifier, results)

    def settle(self, reply: ReplyMessage) -> None:
        """End the call with its reply."""
        self.done = True
        try:
            if reply.body is not None:
                self.error = _refused(reply.body)
                return
            results = self._open(reply.verifier, reply.record[reply.start :])
            codec = self.procedure.result_codec
            if self.lenient:
                self._value, _ = codec.unpack(results, lenient=True)
            else:
                self._value = codec.unpack_whole(results)
        except XdrError as error:
            error.within("result")
            self.error = BadReply(f"the result could not be decoded: {error}")
        except CallError as error:
            self.error = error


class ClientEngine:
    """Makes calls with one credential and sorts the replies.

    ``first_xid`` should be random, so that a client that starts anew is not answered from what a
    server remembers of the last one.
    """

    def __init__(self, flavor: ClientFlavor, first_xid: int) -> None:
        self.flavor = flavor
        self._xid = first_xid
        self.session = flavor if isinstance(flavor, SessionFlavor) else None
        self.lenient = False  # whether any call was
        self._pending: dict[int, PendingCall] = {}

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
        flavor: ClientFlavor | None = None,
    ) -> PendingCall:
        """Encode a call, with the credential of ``flavor`` if given; ``sealed`` has what is to be
        sent. Raises ``XdrError`` for arguments that the procedure does not take."""
        try:
            encoded = procedure.arguments_codec.pack(arguments)
        except XdrError as error:
            raise error.within("args") from None
        self._xid = xid = (self._xid + 1) & 0xFFFF_FFFF
        header = CALL_HEADER.pack(
            xid, rpc_msg.MsgType.CALL, RPC_VERSION, version._prog, version._vers, procedure.number
        )
        pending = PendingCall(xid, procedure, flavor or self.flavor, resend, lenient)
        if self.session is None or flavor is not None:
            pending.protect(header, encoded)
        else:
            pending.unprotected = header, encoded
        self.lenient = self.lenient or lenient
        self._pending[xid] = pending
        return pending

    def sealed(self, pending: PendingCall) -> bytes:
        """The message to be sent now. Raises ``AuthError`` if it cannot be protected."""
        if pending.unprotected is not None:
            pending.protect(*pending.unprotected)
        return pending.message

    def receive(self, record: bytes) -> PendingCall | None:
        """Give a reply to its call, which is then done, and return it; ``None`` for a reply that
        nobody waits for any more."""
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
            pending.settle(reply)
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
        pending.settle(reply)
        if isinstance(pending.error, BadReply):  # the rest is still to come
            pending.reset()
            return None
        del self._pending[pending.xid]
        return pending

    def again(self, pending: PendingCall) -> None:
        """Wait for a reply to a call that is sent, or sent once more, whatever became of it."""
        pending.reset()
        self._pending[pending.xid] = pending

    def forget(self, pending: PendingCall) -> None:
        """Wait no longer for this call."""
        self._pending.pop(pending.xid, None)

    def fail_all(self, error: CallError) -> None:
        """End every call that is waiting, for instance because the connection is gone."""
        waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.fail(type(error)(*error.args))  # each caller raises one of its own


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
