"""Authentication flavors (RFC 5531 section 8.2), each whole in its file: client and server side."""

from rpcserver.auth.base import client_flavor, server_flavors
from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.policy import Policy, all_squash, each_call, in_turn, root_squash
from rpcserver.auth.short import ShortTable
from rpcserver.auth.sys import ShortServer, SysClient, SysCredential, SysServer
from rpcserver.auth.tls_peer import TlsCredential, TlsInfo
from rpcserver.auth.tls_settings import TlsClient

__all__ = [
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
