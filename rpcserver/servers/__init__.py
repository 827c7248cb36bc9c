"""Servers: RPC on the ``socketserver`` classes, and ``serve()`` on top of them."""

from rpcserver.servers.blocking import (
    TCPServer,
    ThreadingTCPServer,
    ThreadingUDPServer,
    ThreadingUnixStreamServer,
    UDPServer,
    UnixStreamServer,
)

__all__ = [
    "TCPServer",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixStreamServer",
    "UDPServer",
    "UnixStreamServer",
]
