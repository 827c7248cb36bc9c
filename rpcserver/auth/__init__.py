"""Authentication flavors (RFC 5531 section 8.2), each whole in its file: client and server side."""

from typing import TYPE_CHECKING, Any

from rpcserver.auth.base import client_flavor, server_flavors
from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.sys import SysClient, SysCredential, SysServer

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient, GssCredential, GssServer

__all__ = [
    "GssClient",
    "GssCredential",
    "GssServer",
    "NoneClient",
    "NoneServer",
    "SysClient",
    "SysCredential",
    "SysServer",
    "client_flavor",
    "server_flavors",
]


def __getattr__(name: str) -> Any:
    if name in ("GssClient", "GssCredential", "GssServer"):
        from rpcserver.auth import gss  # where it is used

        return getattr(gss, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
