"""What a server makes of the users that AUTH_SYS callers claim to be: ready-made policies.

A policy is called with the ``SysCredential`` and the ``Peer``. What it returns becomes
``call.credential``: the same, another one, or anything else that the methods know what to do
with. It refuses by raising ``AuthError`` with AUTH_BADCRED, AUTH_TOOWEAK, ... It must not wait.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from rpcserver.auth.credential import SysCredential
from rpcserver.rpc.call import Peer

NOBODY = 65534


class Policy(Protocol):
    """A function that is asked about each credential."""

    def __call__(self, credential: SysCredential, peer: Peer, /) -> Any:
        """What ``call.credential`` is to be. Raises ``AuthError`` to refuse the call."""


def root_squash(uid: int = NOBODY, gid: int = NOBODY) -> Policy:
    """A policy that makes user 0 and group 0, also among the further groups, ``uid`` and ``gid``,
    and leaves all others as they are: what NFS servers call ``root_squash``."""

    def squash(credential: SysCredential, peer: Peer) -> SysCredential:
        return replace(
            credential,
            uid=credential.uid or uid,
            gid=credential.gid or gid,
            groups=tuple(group or gid for group in credential.groups),
        )

    return squash


def all_squash(uid: int = NOBODY, gid: int = NOBODY) -> Policy:
    """A policy that makes everybody ``uid`` and ``gid``, with no further groups: what NFS servers
    call ``all_squash``."""

    def squash(credential: SysCredential, peer: Peer) -> SysCredential:
        return replace(credential, uid=uid, gid=gid, groups=())

    return squash


def in_turn(*policies: Policy) -> Policy:
    """A policy that asks several, each with what the one before returned.

    It is asked for each call if one of them is.
    """

    def all_of_them(credential: Any, peer: Peer) -> Any:
        for policy in policies:
            credential = policy(credential, peer)
        return credential

    return all_of_them if all(map(lasts, policies)) else each_call(all_of_them)


def each_call(policy: Policy) -> Policy:
    """Have ``policy`` asked for each call; else its outcome, if that is no refusal, lasts as long
    as a connection, over which it is not asked again about the same credential."""

    def asked(credential: SysCredential, peer: Peer) -> Any:
        return policy(credential, peer)

    asked._each_call = True  # type: ignore[attr-defined]
    return asked


def lasts(policy: Policy | None) -> bool:
    """Whether the outcome of a policy lasts as long as a connection."""
    return not getattr(policy, "_each_call", False)
