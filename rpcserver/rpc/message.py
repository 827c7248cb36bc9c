"""Call and reply messages (RFC 5531 section 9): where a header ends and the rest starts.

The header that nearly every message has goes through one ``struct``; what is rarer is left to
``protocols.rpc_msg``, which the compiler made from the RFC's own text.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from rpcserver.errors import AuthError, BadReply, RpcMismatch, XdrError
from rpcserver.protocols import rpc_msg
from rpcserver.rpc.flavor import MAX_AUTH_BYTES, NO_AUTH, Auth
from rpcserver.xdr.codec import codec_of

RPC_VERSION = 2

CALL_HEADER = struct.Struct(">6I")
"""xid, CALL, rpcvers, prog, vers, proc"""

_WORD = struct.Struct(">I")
_TWO_WORDS = struct.Struct(">2I")
_REPLY_START = struct.Struct(">3I")
# Plain integers: to look an enum's member up costs more than to compare it.
_CALL = int(rpc_msg.MsgType.CALL)
_CALL_WORD = _CALL.to_bytes(4)
_REPLY = int(rpc_msg.MsgType.REPLY)
_ACCEPTED = int(rpc_msg.ReplyStat.MSG_ACCEPTED)
_NO_AUTH = bytes(8)
_SUCCESS = _WORD.pack(rpc_msg.AcceptStat.SUCCESS)
_RPC_MSG = codec_of(rpc_msg.RpcMsg)
_REPLY_DATA = codec_of(rpc_msg.AcceptedReplyReplyData)


class CallMessage(NamedTuple):
    """A call; its arguments are ``record`` from ``start`` on, ``verifier_at`` is where the
    verifier starts (flavors sign what is before it)."""

    xid: int
    prog: int
    vers: int
    proc: int
    credential: Auth
    verifier: Auth
    record: bytes
    verifier_at: int
    start: int


class ReplyMessage(NamedTuple):
    """A reply: ``body`` of one that is no success, else the results, ``record`` from ``start``."""

    xid: int
    verifier: Auth
    body: rpc_msg.ReplyBody | None
    record: bytes
    start: int


def parse_call(record: bytes) -> CallMessage | None:
    """The header of a call; ``None`` for what is no call or too short to be answered.

    Raises ``RpcMismatch`` for another version of RPC, and ``AuthError`` for a credential or
    verifier that is cut off or over-long.
    """
    try:
        xid, mtype, rpcvers, prog, vers, proc = CALL_HEADER.unpack_from(record)
    except struct.error:
        # Any version of RPC starts with xid, mtype, rpcvers.
        if len(record) < 12 or _REPLY_START.unpack_from(record)[1] != rpc_msg.MsgType.CALL:
            return None
        if _REPLY_START.unpack_from(record)[2] != RPC_VERSION:
            raise RpcMismatch(RPC_VERSION, RPC_VERSION) from None
        return None
    if mtype != _CALL:
        return None
    if rpcvers != RPC_VERSION:
        raise RpcMismatch(RPC_VERSION, RPC_VERSION)
    try:
        credential, verifier_at = _auth(record, CALL_HEADER.size)
    except XdrError as error:
        raise AuthError(rpc_msg.AuthStat.AUTH_BADCRED, f"credential: {error}") from None
    try:
        verifier, start = _auth(record, verifier_at)
    except XdrError as error:
        raise AuthError(rpc_msg.AuthStat.AUTH_BADVERF, f"verifier: {error}") from None
    return CallMessage(xid, prog, vers, proc, credential, verifier, record, verifier_at, start)


def _auth(record: bytes, start: int) -> tuple[Auth, int]:
    if record[start : start + 8] == _NO_AUTH:  # what most calls have, at least as verifier
        return NO_AUTH, start + 8
    try:
        flavor, size = _TWO_WORDS.unpack_from(record, start)
    except struct.error:
        raise XdrError("the message ends before it", start) from None
    start += 8
    end = start + size + -size % 4
    if size > MAX_AUTH_BYTES:
        raise XdrError(f"{size} bytes exceed the limit of {MAX_AUTH_BYTES}", start - 4)
    if end > len(record):
        raise XdrError(f"{size} bytes wanted and {len(record) - start} left", start)
    if record[start + size : end].strip(b"\0"):
        raise XdrError("the padding is not zero", start + size)
    return Auth(flavor, record[start : start + size]), end


def pack_auth(auth: Auth) -> bytes:
    """The encoding of a credential or verifier."""
    if auth is NO_AUTH:
        return _NO_AUTH
    size = len(auth.body)
    return _TWO_WORDS.pack(auth.flavor, size) + auth.body + bytes(-size % 4)


def success(xid: int, verifier: Auth, results: bytes) -> bytes:
    """The reply that brings ``results``."""
    start = _REPLY_START.pack(xid, _REPLY, _ACCEPTED)
    return b"".join((start, pack_auth(verifier), _SUCCESS, results))


def accepted(xid: int, verifier: Auth, data: rpc_msg.AcceptedReplyReplyData) -> bytes:
    """The reply to a call whose credential was good, and that brings no results."""
    start = _REPLY_START.pack(xid, rpc_msg.MsgType.REPLY, rpc_msg.ReplyStat.MSG_ACCEPTED)
    return start + pack_auth(verifier) + _REPLY_DATA.pack(data)


def denied(xid: int, rejected: rpc_msg.RejectedReply) -> bytes:
    """The reply to a call that was not let in."""
    body = rpc_msg.ReplyBodyMsgDenied(rejected)
    return _RPC_MSG.pack(rpc_msg.RpcMsg(xid, rpc_msg.RpcMsgBodyReply(body)))


def verified(reply: bytes, xid: int, verifier: Auth) -> bytes:
    """``reply``, which refuses and has no verifier of its own, for another call."""
    start, behind = xid.to_bytes(4) + reply[4 : _REPLY_START.size], _REPLY_START.size
    if _REPLY_START.unpack_from(reply)[2] != _ACCEPTED:
        return start + reply[behind:]
    return start + pack_auth(verifier) + reply[behind + len(_NO_AUTH) :]


def is_call(record: bytes | memoryview) -> bool:
    """Whether a record is no reply but a call, which the other side makes."""
    return record[4:8] == _CALL_WORD


def parse_reply(record: bytes) -> ReplyMessage | None:
    """The header of a reply; ``None`` for what is none. Raises ``BadReply``, which has the xid
    in ``args[1]``, for a reply that cannot be understood."""
    try:
        xid, mtype, stat = _REPLY_START.unpack_from(record)
    except struct.error:
        return None
    if mtype != rpc_msg.MsgType.REPLY:
        return None
    verifier = NO_AUTH
    try:
        if stat == rpc_msg.ReplyStat.MSG_ACCEPTED:
            verifier, end = _auth(record, _REPLY_START.size)
            if record[end : end + 4] == _SUCCESS:
                return ReplyMessage(xid, verifier, None, record, end + 4)
        message, end = _RPC_MSG.unpack(record)
        if end != len(record):
            raise XdrError(f"{len(record) - end} bytes left over", end)
    except XdrError as error:
        raise BadReply(f"the reply could not be decoded: {error}", xid) from error
    assert isinstance(message.body, rpc_msg.RpcMsgBodyReply)
    return ReplyMessage(xid, verifier, message.body.rbody, record, end)
