"""Authentication flavors (RFC 5531 section 8.2), each whole in its file: client and server side."""

from rpcserver.auth.base import client_flavor, server_flavors
from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.sys import SysClient, SysCredential, SysServer
from rpcserver.auth.tls_peer import TlsCredential, TlsInfo
from rpcserver.auth.tls_settings import TlsClient

__all__ = [
    "NoneClient",
    "NoneServer",
    "SysClient",
    "SysCredential",
    "SysServer",
    "TlsClient",
    "TlsCredential",
    "TlsInfo",
    "client_flavor",
    "server_flavors",
]
