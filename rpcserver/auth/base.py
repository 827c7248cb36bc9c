"""Which flavors there are. What one must do stands in ``rpc.flavor``: the engines ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcserver.auth.none import NoneClient, NoneServer
from rpcserver.auth.sys import SysClient, SysCredential, SysServer
from rpcserver.errors import UsageError
from rpcserver.rpc.flavor import ClientFlavor, ServerFlavor

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient


def server_flavors() -> list[ServerFlavor]:
    """The flavors that a server takes unless it is told otherwise: AUTH_NONE and AUTH_SYS."""
    return [NoneServer(), SysServer()]


def client_flavor(
    credentials: ClientFlavor | SysCredential | GssClient | str | None, host: str | None = None
) -> ClientFlavor:
    """The flavor for what a user gives as credentials, to call a service on ``host`` through a
    channel that can negotiate.

    ``None`` or ``"none"``; ``"sys"`` for this process's AUTH_SYS; a ``SysCredential``; ``"krb5"``,
    ``"krb5i"``, ``"krb5p"``, perhaps with the service's name (``"krb5p:nfs@host"``), or a
    ``GssClient``; or a flavor. Raises ``UsageError`` for another word, and for those of RPCSEC_GSS
    where there is no such channel.
    """
    if credentials is None or credentials == "none":
        return NoneClient()
    if credentials == "sys":
        return SysClient()
    if isinstance(credentials, SysCredential):
        return SysClient(credentials)
    if isinstance(credentials, str):
        from rpcserver.auth.gss import from_word  # few need it

        client: GssClient | ClientFlavor | None = from_word(credentials)
        if client is None:
            raise UsageError(
                f"unknown authentication {credentials!r}: it is none, sys, krb5, krb5i or krb5p"
            )
    else:
        client = credentials
    session = getattr(client, "session", None)
    if session is not None and host is None:
        raise UsageError(
            "RPCSEC_GSS makes a context with one server first: connect() has channels that do so"
        )
    flavor: Any = client if session is None else session(host)
    return flavor  # type: ignore[no-any-return]
