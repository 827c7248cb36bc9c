"""Servers: RPC on the ``socketserver`` classes, and ``serve()`` on top of them."""

import os

from rpcserver.servers.access import AccessMixIn
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
from rpcserver.servers.child import in_child
from rpcserver.servers.multiplex import (
    MultiplexingMixIn,
    MultiplexingTCPServer,
    MultiplexingUDPServer,
    MultiplexingUnixDatagramServer,
    MultiplexingUnixStreamServer,
)
from rpcserver.servers.stats import Stats

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
    "AccessMixIn",
    "MultiplexingMixIn",
    "MultiplexingTCPServer",
    "MultiplexingUDPServer",
    "MultiplexingUnixDatagramServer",
    "MultiplexingUnixStreamServer",
    "Stats",
    "TCPServer",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixDatagramServer",
    "ThreadingUnixStreamServer",
    "UDPServer",
    "UnixDatagramServer",
    "UnixStreamServer",
    "in_child",
]
