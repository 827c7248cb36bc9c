"""Which flavors there are. What one must do stands in ``rpc.flavor``: the engines ask for it."""

from __future__ import annotations

from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.sys import SysClient, SysCredential, SysServer
from rpcserver.errors import UsageError
from rpcserver.rpc.flavor import ClientFlavor, ServerFlavor


def server_flavors() -> list[ServerFlavor]:
    """The flavors that a server takes unless it is told otherwise: AUTH_NONE and AUTH_SYS."""
    return [NoneServer(), SysServer()]


def client_flavor(credentials: ClientFlavor | SysCredential | str | None) -> ClientFlavor:
    """The flavor for what a user gives as credentials.

    ``None`` or ``"none"``; ``"sys"`` for this process's AUTH_SYS; a ``SysCredential``; or a
    flavor. Raises ``UsageError`` for another word.
    """
    if credentials is None or credentials == "none":
        return NoneClient()
    if credentials == "sys":
        return SysClient()
    if isinstance(credentials, SysCredential):
        return SysClient(credentials)
    if isinstance(credentials, str):
        raise UsageError(f"unknown authentication {credentials!r}: it is none or sys")
    return credentials
