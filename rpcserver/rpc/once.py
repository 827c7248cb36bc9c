"""Calls that came before, and do not run again (``rpc.replycache``): how they are known, and what
they are answered."""

from __future__ import annotations

import logging
from typing import Any

from rpcserver.errors import SystemErr
from rpcserver.rpc import message
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.entries import FLAVORS
from rpcserver.rpc.flavor import Accepted
from rpcserver.rpc.invocation import RESULTS, SILENCE, Invocation, refusal
from rpcserver.rpc.replycache import Claim, Found, Known, ReplyCache

logger = logging.getLogger("rpcserver")


def once_only(
    replies: ReplyCache,
    invocation: Invocation,
    accepted: Accepted,
    header: bytes,
    now: float,
    time_limit: float | None,
) -> bytes | Invocation | None:
    """What becomes of a call that must not run again: itself, if it is new, or its reply; over a
    connection, where nobody asks again, also what waits for it. ``header``: from xid to procedure.
    """
    call = invocation.call
    who = caller(call.peer, call.connection, accepted.identity)
    key = replies.key(who, header, memoryview(accepted.data)[accepted.start :])
    found = replies.claim(key, now)
    if isinstance(found, Claim):
        invocation.claim = found
        return invocation
    if found is Known.RUNNING and call.connection is not None:
        until = now + (replies.max_age if time_limit is None else time_limit)
        return Duplicate(invocation, replies, key, until)
    return again(invocation, replies, found)


def caller(peer: Peer, connection: Connection | None, identity: bytes | None) -> bytes:
    """Who makes a call, so that nobody else gets its reply: over connections, a client that its
    credential tells from others, or else one connection alone."""
    if connection is None:
        place: Any = peer[:2]
    elif identity is None:
        return connection.name
    else:
        place = (peer.place,)
    return repr(place).encode("utf-8", "surrogateescape") + b" " + (identity or b"")


def again(invocation: Invocation, replies: ReplyCache, found: Found) -> bytes | None:
    """The reply to a call that does not run, because of what is ``found``."""
    call = invocation.call
    if isinstance(found, bytes):
        replies.count("answered")
        kind, rest = found[:1], found[1:]
        if kind == SILENCE:
            return None
        if kind == RESULTS:
            return invocation.success(rest)
        return message.verified(rest, call.xid, invocation.verifier)
    if found is Known.FULL:
        logger.info("%s: xid %#x: no place to remember the reply", call.peer, call.xid)
        if call.connection is None:
            return None  # it will come again
    elif found is Known.RUNNING:
        replies.count("dropped")
        return None
    else:
        replies.count("lost")
        logger.warning(
            "%s: xid %#x: %s.%s has run, or may have: its reply is lost",
            call.peer,
            call.xid,
            call.version.__name__,
            call.procedure.name,
        )
    if invocation.oneway:
        return None
    return refusal(call.xid, invocation.verifier, SystemErr())


class Duplicate(Invocation):
    """A call that came again over another connection, while it runs: it waits for the outcome,
    and for no method. Whoever has it asks ``look`` again and again, until it says so."""

    __slots__ = ("_replies", "_until", "_waiting", "key")

    def __init__(self, waiting: Invocation, replies: ReplyCache, key: bytes, until: float) -> None:
        self.call = waiting.call
        self.begun = waiting.begun
        self.claim = None
        self.key = key
        self._entry = FLAVORS
        self._accepted = waiting._accepted
        self._outcome = Known.RUNNING, None
        self._waiting = waiting
        self._replies = replies
        self._until = until

    def look(self, now: float) -> bool:
        """Whether there is nothing more to wait for; ``run`` says what was found."""
        self._outcome = self._replies.look(self.key, now), None
        return self._outcome[0] is not Known.RUNNING or now >= self._until

    @property
    def known(self) -> bytes:
        return b""

    def reply(self, result: Any, now: float = 0.0) -> bytes | None:
        """The reply for what was found."""
        return again(self._waiting, self._replies, result)

    def fail(self, error: BaseException, now: float = 0.0) -> bytes | None:
        """None: it was not waited for to the end."""
        return self.reply(Known.RUNNING, now)
