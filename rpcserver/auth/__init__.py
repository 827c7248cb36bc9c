"""Authentication flavors (RFC 5531 section 8.2), each whole in its file: client and server side."""

from typing import TYPE_CHECKING, Any

from rpcserver.auth.base import client_flavor, server_flavors
from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.policy import Policy, all_squash, each_call, in_turn, root_squash
from rpcserver.auth.short import ShortTable
from rpcserver.auth.sys import ShortServer, SysClient, SysCredential, SysServer
from rpcserver.auth.tls_peer import TlsCredential, TlsInfo
from rpcserver.auth.tls_settings import TlsClient

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient, GssCredential, GssServer

__all__ = [
    "GssClient",
    "GssCredential",
    "GssServer",
    "NoneClient",
    "NoneServer",
    "Policy",
    "ShortServer",
    "ShortTable",
    "SysClient",
    "SysCredential",
    "SysServer",
    "TlsClient",
    "TlsCredential",
    "TlsInfo",
    "all_squash",
    "client_flavor",
    "each_call",
    "in_turn",
    "root_squash",
    "server_flavors",
]


def __getattr__(name: str) -> Any:
    if name in ("GssClient", "GssCredential", "GssServer"):
        from rpcserver.auth import gss  # where it is used

        return getattr(gss, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
