"""How arguments and results travel under RPCSEC_GSS (RFC 2203 sections 5.3.2 and 5.3.3)."""

from __future__ import annotations

from rpcserver.auth.gss_api import Failure, Protection
from rpcserver.errors import AuthError, UsageError, XdrError
from rpcserver.protocols.rpc_msg import AuthFlavor, AuthStat
from rpcserver.protocols.rpcsec_gss import (
    RpcGssCredTRpcsecGssVers1,
    RpcGssCredVers1T,
    RpcGssIntegData,
    RpcGssPrivData,
    RpcGssProcT,
    RpcGssServiceT,
)
from rpcserver.rpc.flavor import Auth
from rpcserver.rpc.message import CallMessage
from rpcserver.xdr.codec import codec_of, encode

RPCSEC_GSS = int(AuthFlavor.RPCSEC_GSS)
PLAIN = (RpcGssServiceT.RPC_GSS_SVC_NONE, RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT)

SERVICES = {
    "none": RpcGssServiceT.RPC_GSS_SVC_NONE,
    "integrity": RpcGssServiceT.RPC_GSS_SVC_INTEGRITY,
    "privacy": RpcGssServiceT.RPC_GSS_SVC_PRIVACY,
    "channel": RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT,
}
"""how arguments and results are protected: not at all, signed, encrypted; or by the channel, which
is TLS that the context is bound to (RFC 5403)"""

_INTEG = codec_of(RpcGssIntegData)
_PRIV = codec_of(RpcGssPrivData)


def service_number(name: str) -> RpcGssServiceT:
    """The service with that name. Raises ``UsageError``."""
    try:
        return SERVICES[name]
    except KeyError:
        names = ", ".join(SERVICES)
        raise UsageError(f"no service {name!r} of RPCSEC_GSS: it is one of {names}") from None


def word(number: int) -> bytes:
    """A number as it is signed and wrapped."""
    return number.to_bytes(4)


def credential(
    version: int,
    proc: RpcGssProcT,
    number: int = 0,
    service: RpcGssServiceT = RpcGssServiceT.RPC_GSS_SVC_NONE,
    handle: bytes = b"",
) -> Auth:
    """The credential of a call."""
    inner = RpcGssCredVers1T(proc, number, service, handle)
    body = RpcGssCredTRpcsecGssVers1(inner, rgc_version=version)  # type: ignore[arg-type]
    return Auth(RPCSEC_GSS, encode(RpcGssCredTRpcsecGssVers1, body))


def protected(protection: Protection, service: RpcGssServiceT, number: int, data: bytes) -> bytes:
    """``data`` as it travels in the call with that number, or in its reply. Raises ``Failure``."""
    if service in PLAIN:
        return data
    body = word(number) + data
    if service == RpcGssServiceT.RPC_GSS_SVC_INTEGRITY:
        return _INTEG.pack(RpcGssIntegData(body, protection.sign(body)))
    return _PRIV.pack(RpcGssPrivData(protection.wrap(body)))


def opened(
    protection: Protection, service: RpcGssServiceT, number: int, data: bytes, start: int
) -> tuple[bytes, int]:
    """What travelled as ``data`` from ``start`` on, and where it starts in that. Raises ``Failure``
    for what is not what was sent."""
    if service in PLAIN:
        return data, start
    try:
        if service == RpcGssServiceT.RPC_GSS_SVC_INTEGRITY:
            signed = _INTEG.unpack_whole(data, start)
            body: bytes = signed.databody_integ
            protection.check(body, signed.checksum)
        else:
            body = protection.unwrap(_PRIV.unpack_whole(data, start).databody_priv)
    except XdrError as error:
        raise Failure(str(error)) from None
    if body[:4] != word(number):
        raise Failure("it is of another call")
    return body, 4


def check_header(call: CallMessage, protection: Protection) -> None:
    """Raises ``AuthError`` unless the verifier is the MIC of what is before it."""
    if call.verifier.flavor != RPCSEC_GSS:
        raise AuthError(AuthStat.AUTH_BADVERF, f"verifier of flavor {call.verifier.flavor}")
    try:
        protection.check(call.record[: call.verifier_at], call.verifier.body)
    except Failure as error:
        raise header_problem(error) from None


def header_problem(error: Failure) -> AuthError:
    """What is answered to a verifier that does not fit."""
    stat = AuthStat.RPCSEC_GSS_CTXPROBLEM if error.expired else AuthStat.RPCSEC_GSS_CREDPROBLEM
    return AuthError(stat, f"verifier: {error}")


def signed(protection: Protection, message: bytes) -> Auth:
    """The verifier that signs ``message``. Raises ``AuthError``."""
    try:
        return Auth(RPCSEC_GSS, protection.sign(message))
    except Failure as error:
        raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, str(error)) from None
