"""AUTH_SYS: the caller says who it is, and nothing proves it (RFC 5531 appendix A)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from rpcserver.auth.none import plain
from rpcserver.errors import AuthError, XdrError
from rpcserver.protocols.auth_sys import AuthsysParms
from rpcserver.protocols.rpc_msg import AuthFlavor, AuthStat
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.calls import random_word
from rpcserver.rpc.flavor import NO_AUTH, Accepted, Auth
from rpcserver.rpc.message import CallMessage, pack_auth
from rpcserver.xdr.codec import decode, encode

MAX_GROUPS = 16


@dataclass(frozen=True, slots=True)
class SysCredential:
    """What the caller claims: ``uid``, ``gid``, further ``groups`` (at most 16), and its
    ``machine`` name (at most 255 bytes). ``stamp`` is a number of the caller's choice."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    machine: str = ""
    stamp: int = 0

    @classmethod
    def current(cls) -> SysCredential:
        """This process's own. Groups beyond the sixteenth do not fit and are left out."""
        groups = tuple(os.getgroups())[:MAX_GROUPS]
        machine = os.uname().nodename.encode()[:255].decode(errors="ignore")
        return cls(os.getuid(), os.getgid(), groups, machine, random_word())


class SysServer:
    """Takes the caller at its word; ``call.credential`` is a ``SysCredential``."""

    flavor: int = AuthFlavor.AUTH_SYS

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Accepted:
        """The call with its credential. Raises ``AuthError`` AUTH_BADCRED for one that is
        cut off, over-long or over a limit."""
        try:
            parms = decode(AuthsysParms, call.credential.body)
        except XdrError as error:
            raise AuthError(AuthStat.AUTH_BADCRED, f"credential: {error}") from None
        credential = SysCredential(
            parms.uid, parms.gid, tuple(parms.gids), parms.machinename, parms.stamp
        )
        return Accepted(credential, call.record, call.start, lasting=True)


class SysClient:
    """Calls with ``credential``, by default that of this process.

    Raises ``XdrError`` for a credential over a limit.
    """

    def __init__(self, credential: SysCredential | None = None) -> None:
        self.credential = who = credential or SysCredential.current()
        parms = AuthsysParms(who.stamp, who.machine, who.uid, who.gid, list(who.groups))
        auth = Auth(AuthFlavor.AUTH_SYS, encode(AuthsysParms, parms))
        self._after_header = pack_auth(auth) + pack_auth(NO_AUTH)

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call with the credential, nothing else changed."""
        return header + self._after_header + arguments, plain

    def refused(self, stat: int) -> bool:
        """There is nothing else to try."""
        return False
