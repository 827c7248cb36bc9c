"""Who an AUTH_SYS caller claims to be (RFC 5531 appendix A)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rpcserver.protocols.auth_sys import AuthsysParms
from rpcserver.rpc.calls import random_word
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
        return cls(os.geteuid(), os.getegid(), groups, machine, random_word())

    def pack(self) -> bytes:
        """The body of the credential. Raises ``XdrError`` for one over a limit."""
        parms = AuthsysParms(self.stamp, self.machine, self.uid, self.gid, list(self.groups))
        return encode(AuthsysParms, parms)

    @classmethod
    def unpack(cls, body: bytes) -> SysCredential:
        """What a body says. Raises ``XdrError`` for one that is cut off, or over a limit."""
        parms = decode(AuthsysParms, body)
        return cls(parms.uid, parms.gid, tuple(parms.gids), parms.machinename, parms.stamp)
