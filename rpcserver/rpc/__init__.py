"""The RPC protocol (RFC 5531) without sockets: what generated code is made of, and the engines."""

from rpcserver.errors import ProcUnavail
from rpcserver.rpc.access import Access
from rpcserver.rpc.call import Call, Connection, Peer, blocking, buffers, idempotent, oneway
from rpcserver.rpc.demands import requires
from rpcserver.rpc.version import (
    AsyncClient,
    Client,
    Procedure,
    Result,
    Service,
    Version,
    using,
)

__all__ = [
    "Access",
    "AsyncClient",
    "Call",
    "Client",
    "Connection",
    "Peer",
    "ProcUnavail",
    "Procedure",
    "Result",
    "Service",
    "Version",
    "blocking",
    "buffers",
    "idempotent",
    "oneway",
    "requires",
    "using",
]
