"""Servers: RPC on the ``socketserver`` classes, and ``serve()`` on top of them."""

import os

from rpcserver.servers.access import AccessMixIn
from rpcserver.servers.blocking import (
    TCPServer,
    ThreadingTCPServer,
    ThreadingUDPServer,
    ThreadingUnixDatagramServer,
    ThreadingUnixStreamServer,
    ThreadingVsockServer,
    UDPServer,
    UnixDatagramServer,
    UnixStreamServer,
    VsockServer,
)
from rpcserver.servers.child import in_child
from rpcserver.servers.multiplex import (
    MultiplexingMixIn,
    MultiplexingTCPServer,
    MultiplexingUDPServer,
    MultiplexingUnixDatagramServer,
    MultiplexingUnixStreamServer,
    MultiplexingVsockServer,
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
    from rpcserver.servers.blocking import (
        ForkingVsockServer as ForkingVsockServer,
    )

__all__ = [
    "AccessMixIn",
    "MultiplexingMixIn",
    "MultiplexingTCPServer",
    "MultiplexingUDPServer",
    "MultiplexingUnixDatagramServer",
    "MultiplexingUnixStreamServer",
    "MultiplexingVsockServer",
    "Stats",
    "TCPServer",
    "ThreadingTCPServer",
    "ThreadingUDPServer",
    "ThreadingUnixDatagramServer",
    "ThreadingUnixStreamServer",
    "ThreadingVsockServer",
    "UDPServer",
    "UnixDatagramServer",
    "UnixStreamServer",
    "VsockServer",
    "in_child",
]
