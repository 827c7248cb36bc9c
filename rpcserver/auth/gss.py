"""RPCSEC_GSS: GSS-API, mostly Kerberos, proves who calls, and protects what is said (RFC 2203).

Needs the package ``gssapi``: ``pip install 'rpcserver[gss]'``.
"""

from __future__ import annotations

from rpcserver.auth import gss_api
from rpcserver.auth.gss_client import GssClient
from rpcserver.auth.gss_server import GssCredential, GssServer
from rpcserver.auth.gss_wire import RPCSEC_GSS
from rpcserver.errors import UsageError

__all__ = ["RPCSEC_GSS", "GssClient", "GssCredential", "GssServer", "from_word", "server"]

WORDS = {"krb5": "none", "krb5i": "integrity", "krb5p": "privacy"}
"""what mount(8) calls them -> service"""


def from_word(word: str) -> GssClient | None:
    """The client for ``krb5``, ``krb5i`` or ``krb5p``, each with or without the service's name
    behind a colon (``krb5p:nfs@host``); ``None`` for another word."""
    name, _, target = word.partition(":")
    return GssClient(target or None, WORDS[name]) if name in WORDS else None


def server(gss: GssServer | str | bool) -> GssServer:
    """The flavor for what a user gives as ``gss``: itself, the service's name, or ``True`` for any
    that the keytab has. Raises ``UsageError``, also if the package ``gssapi`` is not there."""
    gss_api.api()
    if isinstance(gss, GssServer):
        return gss
    if isinstance(gss, str):
        return GssServer(gss)
    if gss is True:
        return GssServer()
    raise UsageError(f"gss is a GssServer, a service's name or True, not {gss!r}")
