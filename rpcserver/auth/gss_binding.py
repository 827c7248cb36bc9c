"""A context is bound to the channel under it, which is TLS (RFC 5403 section 3.3).

Channel bindings are bytes (RFC 5056): a prefix that says what they are made of, a colon, and what
both ends of one channel, and nobody else, have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rpcserver.auth.gss_api import Failure, Protection
from rpcserver.auth.gss_wire import RPCSEC_GSS
from rpcserver.errors import XdrError
from rpcserver.protocols.rpcsec_gss import (
    Rgss2BindChanMicInArgs,
    Rgss2BindChanMicInRes,
    Rgss2BindChanRes,
    Rgss2BindChanResRgss2BindChanHashNotsupp,
    Rgss2BindChanResRgss2BindChanOk,
    Rgss2BindChanResRgss2BindChanPrefNotsupp,
    Rgss2BindChanVerfArgs,
    Rgss2BindChanVerfRes,
    RpcGssCredVers1T,
)
from rpcserver.rpc.flavor import Auth
from rpcserver.rpc.message import CallMessage
from rpcserver.xdr.codec import decode, encode

Bindings = Callable[[Any], bytes | None]

SHA256 = bytes.fromhex("608648016503040201")
"""2.16.840.1.101.3.4.2.1 as GSS-API has an object identifier: the contents of its DER"""

_HASHES = {
    SHA256: "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}


def connection_bindings(connection: Any) -> bytes | None:
    """The channel bindings of a connection: those that its ``tls`` has, if there is one."""
    bindings: bytes | None = getattr(getattr(connection, "tls", None), "channel_bindings", None)
    return bindings


def bind(
    call: CallMessage, cred: RpcGssCredVers1T, protection: Protection, mine: bytes | None
) -> tuple[bool, Auth]:
    """Whether the caller has the same channel bindings as we, and the verifier of the answer.

    Raises ``XdrError`` for a verifier that is none, and ``Failure`` for a wrong one: another
    channel, another header, another context.
    """
    if call.verifier.flavor != RPCSEC_GSS:
        raise XdrError(f"flavor {call.verifier.flavor}")
    asked = decode(Rgss2BindChanVerfArgs, call.verifier.body)
    result: Rgss2BindChanRes = Rgss2BindChanResRgss2BindChanOk()
    hashed = b""
    prefix = prefix_of(mine) if mine is not None else None
    if asked.rbcva_chan_bind_oid_hash not in _HASHES:
        result = Rgss2BindChanResRgss2BindChanHashNotsupp(list(_HASHES))
    elif mine is None or asked.rbcva_chan_bind_prefix != prefix:
        result = Rgss2BindChanResRgss2BindChanPrefNotsupp([prefix] if prefix else [])
    if mine is not None and asked.rbcva_chan_bind_oid_hash in _HASHES:
        hashed = hash_of(mine, asked.rbcva_chan_bind_oid_hash)
    bound = isinstance(result, Rgss2BindChanResRgss2BindChanOk)
    if bound:
        protection.check(
            _signed_call(call.record[: call.verifier_at], hashed), asked.rbcva_chan_mic
        )
    mic = protection.sign(_signed_reply(cred.seq_num, hashed, result))
    return bound, Auth(RPCSEC_GSS, encode(Rgss2BindChanVerfRes, Rgss2BindChanVerfRes(result, mic)))


def asking(header: bytes, protection: Protection, bindings: bytes) -> Auth:
    """The verifier of the call that binds; ``header`` is its bytes up to it. Raises ``Failure``."""
    mic = protection.sign(_signed_call(header, hash_of(bindings)))
    verifier = Rgss2BindChanVerfArgs(prefix_of(bindings), SHA256, mic)
    return Auth(RPCSEC_GSS, encode(Rgss2BindChanVerfArgs, verifier))


def check_answer(verifier: Auth, number: int, protection: Protection, bindings: bytes) -> bool:
    """Whether the server has bound the context, too. Raises ``Failure`` for an answer that is not
    the server's."""
    try:
        answer = decode(Rgss2BindChanVerfRes, verifier.body)
    except XdrError as error:
        raise Failure(str(error)) from None
    bound = isinstance(answer.rbcvr_res, Rgss2BindChanResRgss2BindChanOk)
    if bound:
        signed = _signed_reply(number, hash_of(bindings), answer.rbcvr_res)
        protection.check(signed, answer.rbcvr_mic)
    return bound


def prefix_of(bindings: bytes) -> bytes:
    """What is before the colon."""
    return bindings.partition(b":")[0]


def hash_of(bindings: bytes, oid: bytes = SHA256) -> bytes:
    """The hash that is signed."""
    import hashlib  # few connections are bound

    return hashlib.new(_HASHES[oid], bindings).digest()


def _signed_call(header: bytes, hashed: bytes) -> bytes:
    return header + encode(Rgss2BindChanMicInArgs, Rgss2BindChanMicInArgs(hashed))


def _signed_reply(number: int, hashed: bytes, result: Rgss2BindChanRes) -> bytes:
    return encode(Rgss2BindChanMicInRes, Rgss2BindChanMicInRes(number, hashed, result))
