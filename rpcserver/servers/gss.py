"""A mix-in for servers that take callers who prove who they are, by RPCSEC_GSS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcserver.servers import methods
from rpcserver.servers.base import RpcServer

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssServer


class GSSMixIn(RpcServer):
    """Put first, as ``ThreadingMixIn`` is.

    Class variable: ``gss``, a ``rpcserver.auth.GssServer``; the service's name, as
    ``"nfs@host.example.org"``; or ``True`` for any name that the keytab has.
    """

    gss: GssServer | str | bool = True

    def __init__(self, *args: Any, **options: Any) -> None:
        from rpcserver.auth.gss import server

        flavor = server(self.gss)  # before there is a socket
        super().__init__(*args, **options)
        if flavor.flavor not in self.engine.flavors:  # else another listener has told it already
            methods.add_flavor(self.engine, flavor)
