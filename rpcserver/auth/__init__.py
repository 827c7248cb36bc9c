"""Authentication flavors (RFC 5531 section 8.2), each whole in its file: client and server side."""

from rpcserver.auth.base import client_flavor, server_flavors
from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.sys import SysClient, SysCredential, SysServer

__all__ = [
    "NoneClient",
    "NoneServer",
    "SysClient",
    "SysCredential",
    "SysServer",
    "client_flavor",
    "server_flavors",
]
