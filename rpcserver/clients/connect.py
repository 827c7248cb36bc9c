"""From a program and a host to a client: find the service, open a channel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.errors import UsageError
from rpcserver.rpc.version import Client, Version

if TYPE_CHECKING:
    import ssl

    from rpcserver.auth.gss import GssClient
    from rpcserver.auth.sys import SysCredential
    from rpcserver.auth.tls_settings import TlsClient
    from rpcserver.rpc.flavor import ClientFlavor
    from rpcserver.rpcbind.netid import Endpoint

ClientT = TypeVar("ClientT", bound=Client)

PING_TIMEOUT = 3.0
"""Seconds for a server on this host to answer a NULL call."""


def connect(
    client_class: type[ClientT],
    target: str,
    *,
    timeout: float = TIMEOUT,
    connect_timeout: float | None = None,
    credentials: ClientFlavor | SysCredential | GssClient | str | None = None,
    rpcbind: str | None = None,
    transport: str | None = None,
    resend: bool = False,
    lenient: bool = False,
    privileged_port: bool = False,
    keep_alive: float | None = KEEP_ALIVE,
    tls: str | ssl.SSLContext | TlsClient | None = None,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    tls_name: str | None = None,
) -> ClientT:
    """A client for the service at ``target``; ``with`` closes its channel.

    ``target`` is a URL; an address with a port (``192.0.2.7:4000``, ``[2001:db8::7]:4000``, over
    TCP unless ``transport="udp"``); or a host whose rpcbind is asked where ``client_class``'s
    version is served over ``transport`` (``tcp``, ``udp`` or ``unix``; by default TCP, else
    UDP), now and whenever it is not there any more.

    ``timeout`` holds for finding the service and for each call, ``connect_timeout`` for each
    attempt to open a connection (seconds). ``credentials``: ``"none"``, ``"sys"``, a
    ``SysCredential``; ``"krb5"``, ``"krb5i"``, ``"krb5p"``, a ``rpcserver.auth.GssClient``; or a
    flavor. ``rpcbind``: the URL of the rpcbind to ask.

    ``resend``: all calls may run twice, or the server remembers its replies: one whose connection
    is lost is sent again over another. ``lenient``: take replies that break record marking or are
    padded too far, and enum members and union labels that the ``.x`` has not. Both are also
    options of ``rpcserver.using``. ``privileged_port``: call from a port below 1024.
    ``keep_alive``: seconds of silence after which a TCP peer is asked whether it is there;
    ``None``: never.

    ``tls``: ``"require"`` (RFC 9289), ``"try"`` (in the clear if the server has none), a
    ``rpcserver.auth.TlsClient`` with all its settings, or an ``ssl.SSLContext``. ``tls_ca``: the
    file or directory of the CAs to trust, by default the system's; ``tls_cert`` and ``tls_key``:
    files with a certificate of the client's own; ``tls_name``: what the server's certificate must
    be for, by default the host in ``target``. Any of these alone requires TLS.

    Raises ``UsageError`` for arguments that make no sense, ``NotReached`` if the service is not
    there, ``TlsError`` if it has no TLS or none to be trusted, and any other ``CallError``.
    """
    if not (isinstance(client_class, type) and issubclass(client_class, Client)):
        raise UsageError(f"{client_class!r} is no class of blocking clients")
    # Loaded when it is first called: who imports it may only serve.
    from rpcserver.auth.base import client_flavor
    from rpcserver.auth.tls_settings import client_settings
    from rpcserver.clients.blocking import open_channel
    from rpcserver.clients.finding import host_of, opener_for, remaining

    flavor = client_flavor(credentials, host_of(target))
    secured = client_settings(tls, tls_ca, tls_cert, tls_key, tls_name)
    deadline = time.monotonic() + timeout
    opener = opener_for(
        target,
        client_class._version,
        rpcbind=rpcbind,
        transport=transport,
        timeout=timeout,
        privileged_port=privileged_port,
        keep_alive=keep_alive,
        tls=secured,
    )
    channel = open_channel(
        opener,
        flavor=flavor,
        timeout=timeout,
        connect_timeout=connect_timeout or remaining(deadline),
    )
    options = {name: True for name, on in (("resend", resend), ("lenient", lenient)) if on}
    return client_class(channel, **options)


def ping(
    place: Endpoint,
    prog: int,
    vers: int,
    timeout: float = PING_TIMEOUT,
    tls: TlsClient | None = None,
    host: str | None = None,
) -> None:
    """Call procedure 0, which does nothing but answer. Raises ``CallError`` if it does not.

    ``host``: what the user called it, if that is not in ``place``.
    """
    from rpcserver.clients.blocking import open_channel
    from rpcserver.clients.finding import tls_starter
    from rpcserver.clients.opening import Opener
    from rpcserver.rpc.entries import NULL

    class Asked(Version, prog=prog, vers=vers):
        pass

    starter = None if tls is None else tls_starter(tls, place, Asked, host)
    channel = open_channel(Opener(place, tls=starter), timeout=timeout)
    try:
        channel.call(Asked, NULL, ())
    finally:
        channel.close()
