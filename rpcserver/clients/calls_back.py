"""Calls that come over a connection which a client made."""

from __future__ import annotations

from rpcserver.auth.base import server_flavors
from rpcserver.rpc.call import Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.invocation import Invocation

MAX_CALLS_BACK = 256
"""Calls that the server has made over our connection and that are not answered yet."""

_NOTHING = ServerEngine([], server_flavors())
_SERVER = Peer("the server", "")


def refuse_call(record: bytes) -> bytes | None:
    """The reply of a client that serves nothing: PROG_UNAVAIL; ``None`` for what is no call."""
    reply = _NOTHING.begin(record, _SERVER)
    assert not isinstance(reply, Invocation)
    return reply
