"""From a program and a host to a client: find the service, open a channel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from rpcserver.clients import KEEP_ALIVE, TIMEOUT
from rpcserver.errors import UsageError
from rpcserver.rpc.version import Client, Version

if TYPE_CHECKING:
    from rpcserver.auth.gss import GssClient
    from rpcserver.auth.sys import SysCredential
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

    Raises ``UsageError`` for arguments that make no sense, ``NotReached`` if the service is not
    there, and any other ``CallError``.
    """
    if not (isinstance(client_class, type) and issubclass(client_class, Client)):
        raise UsageError(f"{client_class!r} is no class of blocking clients")
    # Loaded when it is first called: who imports it may only serve.
    from rpcserver.auth.base import client_flavor
    from rpcserver.clients.blocking import open_channel
    from rpcserver.clients.finding import host_of, opener_for, remaining

    flavor = client_flavor(credentials, host_of(target))
    deadline = time.monotonic() + timeout
    opener = opener_for(
        target,
        client_class._version,
        rpcbind=rpcbind,
        transport=transport,
        timeout=timeout,
        privileged_port=privileged_port,
        keep_alive=keep_alive,
    )
    channel = open_channel(
        opener,
        flavor=flavor,
        timeout=timeout,
        connect_timeout=connect_timeout or remaining(deadline),
    )
    options = {name: True for name, on in (("resend", resend), ("lenient", lenient)) if on}
    return client_class(channel, **options)


def ping(place: Endpoint, prog: int, vers: int, timeout: float = PING_TIMEOUT) -> None:
    """Call procedure 0, which does nothing but answer. Raises ``CallError`` if it does not."""
    from rpcserver.clients.blocking import open_channel
    from rpcserver.rpc.dispatch import NULL

    class Asked(Version, prog=prog, vers=vers):
        pass

    channel = open_channel(place, timeout=timeout)
    try:
        channel.call(Asked, NULL, ())
    finally:
        channel.close()
