"""Servers: RPC on the ``socketserver`` classes, and ``serve()`` on top of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpcserver.servers.access import AccessMixIn
    from rpcserver.servers.auth import SysMixIn
    from rpcserver.servers.blocking import ForkingTCPServer as ForkingTCPServer
    from rpcserver.servers.blocking import ForkingUDPServer as ForkingUDPServer
    from rpcserver.servers.blocking import ForkingUnixDatagramServer as ForkingUnixDatagramServer
    from rpcserver.servers.blocking import ForkingUnixStreamServer as ForkingUnixStreamServer
    from rpcserver.servers.blocking import ForkingVsockServer as ForkingVsockServer
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
    from rpcserver.servers.gss import GSSMixIn
    from rpcserver.servers.multiplex import (
        MultiplexingMixIn,
        MultiplexingTCPServer,
        MultiplexingUnixDatagramServer,
        MultiplexingUnixStreamServer,
        MultiplexingVsockServer,
    )
    from rpcserver.servers.multiplex_udp import MultiplexingUDPServer
    from rpcserver.servers.stats import Stats
    from rpcserver.servers.tls import TLSMixIn

__all__ = [
    "AccessMixIn",
    "GSSMixIn",
    "MultiplexingMixIn",
    "MultiplexingTCPServer",
    "MultiplexingUDPServer",
    "MultiplexingUnixDatagramServer",
    "MultiplexingUnixStreamServer",
    "MultiplexingVsockServer",
    "Stats",
    "SysMixIn",
    "TCPServer",
    "TLSMixIn",
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

# Imported where they are first used: who imports ``serve`` may only call others.
_HOMES = {
    "AccessMixIn": "rpcserver.servers.access",
    "ForkingTCPServer": "rpcserver.servers.blocking",
    "ForkingUDPServer": "rpcserver.servers.blocking",
    "ForkingUnixDatagramServer": "rpcserver.servers.blocking",
    "ForkingUnixStreamServer": "rpcserver.servers.blocking",
    "ForkingVsockServer": "rpcserver.servers.blocking",
    "GSSMixIn": "rpcserver.servers.gss",
    "MultiplexingMixIn": "rpcserver.servers.multiplex",
    "MultiplexingTCPServer": "rpcserver.servers.multiplex",
    "MultiplexingUDPServer": "rpcserver.servers.multiplex_udp",
    "MultiplexingUnixDatagramServer": "rpcserver.servers.multiplex",
    "MultiplexingUnixStreamServer": "rpcserver.servers.multiplex",
    "MultiplexingVsockServer": "rpcserver.servers.multiplex",
    "Stats": "rpcserver.servers.stats",
    "SysMixIn": "rpcserver.servers.auth",
    "TCPServer": "rpcserver.servers.blocking",
    "TLSMixIn": "rpcserver.servers.tls",
    "ThreadingTCPServer": "rpcserver.servers.blocking",
    "ThreadingUDPServer": "rpcserver.servers.blocking",
    "ThreadingUnixDatagramServer": "rpcserver.servers.blocking",
    "ThreadingUnixStreamServer": "rpcserver.servers.blocking",
    "ThreadingVsockServer": "rpcserver.servers.blocking",
    "UDPServer": "rpcserver.servers.blocking",
    "UnixDatagramServer": "rpcserver.servers.blocking",
    "UnixStreamServer": "rpcserver.servers.blocking",
    "VsockServer": "rpcserver.servers.blocking",
    "in_child": "rpcserver.servers.child",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # where nothing can be forked, the home has no such class either
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
