"""rpcserver: Sun RPC / ONC RPC services and clients from ``.x`` files.

``serve`` and ``connect`` run and call services, ``load`` compiles a ``.x`` on the spot; generated
modules are made of ``rpcserver.rpc`` and ``rpcserver.xdr``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpcserver.clients.broadcast import broadcast as broadcast
    from rpcserver.clients.connect import connect as connect
    from rpcserver.rpc.call import blocking as blocking
    from rpcserver.rpc.call import buffers as buffers
    from rpcserver.rpc.call import idempotent as idempotent
    from rpcserver.rpc.call import oneway as oneway
    from rpcserver.rpc.demands import requires as requires
    from rpcserver.rpc.version import using as using
    from rpcserver.rpcgen import load as load
    from rpcserver.servers.on_client import serve_on as serve_on
    from rpcserver.servers.origin import load_service as load_service
    from rpcserver.servers.portmap import Portmapper as Portmapper
    from rpcserver.servers.serve import serve as serve

__version__ = "0.1.0"
__all__ = [
    "Portmapper",
    "__version__",
    "blocking",
    "broadcast",
    "buffers",
    "connect",
    "idempotent",
    "load",
    "load_service",
    "oneway",
    "requires",
    "serve",
    "serve_on",
    "using",
]

# Imported where they are first used, so that a missing generated file never stops the compiler.
_HOMES = {
    "Portmapper": "rpcserver.servers.portmap",
    "blocking": "rpcserver.rpc.call",
    "broadcast": "rpcserver.clients.broadcast",
    "buffers": "rpcserver.rpc.call",
    "connect": "rpcserver.clients.connect",
    "idempotent": "rpcserver.rpc.call",
    "load": "rpcserver.rpcgen",
    "load_service": "rpcserver.servers.origin",
    "oneway": "rpcserver.rpc.call",
    "requires": "rpcserver.rpc.demands",
    "serve": "rpcserver.servers.serve",
    "serve_on": "rpcserver.servers.on_client",
    "using": "rpcserver.rpc.version",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
