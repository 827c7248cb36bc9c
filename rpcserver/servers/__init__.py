"""Servers: RPC on the ``socketserver`` classes, and ``serve()`` on top of them."""

import os

from rpcserver.servers.blocking import (
    TCPServer,
    ThreadingTCPServer,
    ThreadingUDPServer,
    ThreadingUnixDatagramServer,
    ThreadingUnixStreamServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
)
from rpcserver.servers.multiplex import (
    MultiplexingMixIn,
    MultiplexingTCPServer,
    MultiplexingUDPServer,
    MultiplexingUnixDatagramServer,
    MultiplexingUnixStreamServer,
)

if hasattr(os, "fork"):
    from rpcserver.servers.blocking import (
        ForkingTCPServer as ForkingTCPServer,
    )
    from rpcserver.servers.blocking import (
        ForkingUDPServer as ForkingUDPServer,
    )
    from rpcserver.servers.blocking import (
        ForkingUnixDatagramServer as ForkingUnixDatagramServer,
    )
    from rpcserver.servers.blocking import (
        ForkingUnixStreamServer as ForkingUnixStreamServer,
    )

__all__ = [
    "MultiplexingMixIn",
    "MultiplexingTCPServer",
    "MultiplexingUDPServer",
    "MultiplexingUnixDatagramServer",
    "MultiplexingUnixStreamServer",
    "TCPServer",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixDatagramServer",
    "ThreadingUnixStreamServer",
    "UDPServer",
    "UnixDatagramServer",
    "UnixStreamServer",
]
