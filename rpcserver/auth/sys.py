"""AUTH_SYS: the caller says who it is, and nothing proves it (RFC 5531 appendix A)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rpcserver.auth.credential import MAX_GROUPS, SysCredential
from rpcserver.auth.none import plain
from rpcserver.auth.policy import Policy, lasts
from rpcserver.auth.short import AUTH_SHORT, ShortTable, credential_in
from rpcserver.errors import AuthError, XdrError
from rpcserver.protocols.rpc_msg import AuthFlavor, AuthStat
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, AfterHeader, Auth, OpenReply
from rpcserver.rpc.message import CallMessage, pack_auth

__all__ = ["MAX_GROUPS", "ShortServer", "SysClient", "SysCredential", "SysServer"]

logger = logging.getLogger("rpcserver")

MAX_FORGOTTEN = 8
"""Short credentials that a server may have forgotten before a client asks for no more of them:
each costs a call that is refused."""

_FORGOTTEN = (AuthStat.AUTH_REJECTEDCRED, AuthStat.AUTH_BADCRED)


class SysServer:
    """Takes the caller at its word; ``call.credential`` is a ``SysCredential``, or what ``policy``
    makes of it (``auth.policy``).

    ``peer_credentials``: over a UNIX socket the caller must be the user and group that the kernel
    knows it to be; of its further groups those are left that the kernel knows, too. ``short``:
    the table of the short credentials that are handed out; ``None`` hands out none.
    """

    flavor: int = AuthFlavor.AUTH_SYS

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        peer_credentials: bool = False,
        short: ShortTable | None = None,
    ) -> None:
        self.short = short
        self._policy = policy
        self._peer_credentials = peer_credentials
        self._lasting = lasts(policy)

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Accepted:
        """The call with its credential. Raises ``AuthError`` AUTH_BADCRED for one that is
        cut off, over-long or over a limit, AUTH_BADVERF for a verifier that is not AUTH_NONE, and
        what the policy does."""
        _check_verifier(call)
        try:
            credential = SysCredential.unpack(call.credential.body)
        except XdrError as error:
            raise AuthError(AuthStat.AUTH_BADCRED, f"credential: {error}") from None
        accepted = self.admit(credential, call, peer)
        accepted.identity = _identity(call.credential.body)
        if self.short is not None:
            accepted.verifier = self.short.verifier(call.credential.body, peer)
        return accepted

    def admit(self, credential: SysCredential, call: CallMessage, peer: Peer) -> Accepted:
        """The call as one of ``credential``, if that may be. Raises ``AuthError``."""
        if self._peer_credentials and peer.transport in ("unix", "unixgram"):
            credential = _agreed(credential, peer)
        who: Any = credential
        if self._policy is not None:
            try:
                who = self._policy(credential, peer)
            except AuthError:
                raise
            except Exception as error:
                logger.exception("%s: the policy for AUTH_SYS failed", peer)
                raise AuthError(AuthStat.AUTH_FAILED, "the policy failed") from error
        return Accepted(who, call.record, call.start, lasting=self._lasting)


class ShortServer:
    """Takes the short credentials that ``sys`` handed out, each for the whole one that it stands
    for: whatever ``sys`` makes of that is made of it."""

    flavor: int = AuthFlavor.AUTH_SHORT

    def __init__(self, sys: SysServer) -> None:
        self._sys = sys

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Accepted:
        """The call with the credential. Raises ``AuthError`` AUTH_REJECTEDCRED for a short one
        that is not known, which tells the caller to send the whole one."""
        _check_verifier(call)
        table = self._sys.short
        body = table.whole(call.credential.body, peer) if table is not None else None
        if body is None:
            raise AuthError(AuthStat.AUTH_REJECTEDCRED, "a short credential that is not known")
        accepted = self._sys.admit(SysCredential.unpack(body), call, peer)
        accepted.identity = _identity(body)
        return accepted


class SysClient:
    """Calls with ``credential``, by default that of this process; with a short one instead, once
    the server has handed one out, until it has forgotten it.

    Raises ``XdrError`` for a credential over a limit.
    """

    def __init__(self, credential: SysCredential | None = None) -> None:
        self.credential = credential or SysCredential.current()
        body = self.credential.pack()
        self._whole = pack_auth(Auth(AuthFlavor.AUTH_SYS, body)) + pack_auth(NO_AUTH)
        self._short: bytes | None = None
        self._forgotten = 0

    def after_header(self, oneway: bool) -> AfterHeader:
        """The credential, and no verifier. A call whose refusal nobody would hear has the whole
        one."""
        if oneway:
            return self._whole, None
        return self._short or self._whole, self._opener()

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call with the credential, nothing else changed."""
        fixed, open_reply = self.after_header(False)
        return header + fixed + arguments, open_reply or plain

    def refused(self, stat: int) -> bool:
        """Whether the server may just have forgotten a short credential."""
        if stat not in _FORGOTTEN:
            return False
        if self._short is not None:
            self._short = None
            self._forgotten += 1
        return self._forgotten > 0

    def _opener(self) -> OpenReply | None:
        before = self._forgotten
        if self._short is not None or before >= MAX_FORGOTTEN:
            return None

        def opened(verifier: Auth, results: bytes) -> bytes:
            # Handed out before another one turned out to be forgotten, it may be no better.
            if verifier.flavor == AUTH_SHORT and self._forgotten == before:
                self._short = pack_auth(credential_in(verifier)) + pack_auth(NO_AUTH)
            return results

        return opened


def _identity(body: bytes) -> bytes:
    """Which client it is: the stamp tells those of one user apart."""
    return b"sys:" + body


def _check_verifier(call: CallMessage) -> None:
    if call.verifier.flavor != AUTH_NONE:
        raise AuthError(AuthStat.AUTH_BADVERF, f"a verifier of flavor {call.verifier.flavor}")


def _agreed(credential: SysCredential, peer: Peer) -> SysCredential:
    if peer.uid is None:
        raise AuthError(AuthStat.AUTH_TOOWEAK, "the kernel does not say who it is")
    if (credential.uid, credential.gid) != (peer.uid, peer.gid):
        raise AuthError(
            AuthStat.AUTH_BADCRED,
            f"uid {credential.uid} and gid {credential.gid} are claimed,"
            f" uid {peer.uid} and gid {peer.gid} it is",
        )
    known = {peer.gid, *(peer.groups or ())}
    return replace(credential, groups=tuple(each for each in credential.groups if each in known))
