"""The RPC protocol (RFC 5531) without sockets: what generated code is made of, and the engines."""

from rpcserver.errors import ProcUnavail
from rpcserver.rpc.version import (
    AsyncClient,
    Call,
    Client,
    Peer,
    Procedure,
    Result,
    Service,
    Version,
    using,
)

__all__ = [
    "AsyncClient",
    "Call",
    "Client",
    "Peer",
    "ProcUnavail",
    "Procedure",
    "Result",
    "Service",
    "Version",
    "using",
]
