"""From a program and a host to a client: ask rpcbind, open a channel (RFC 1833).

Which rpcbind: the URL that is given, else the one in RPCSERVER_RPCBIND, else the host's own.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

from rpcserver.auth.base import client_flavor
from rpcserver.auth.sys import SysCredential
from rpcserver.clients.base import CONNECT_TIMEOUT, TIMEOUT
from rpcserver.clients.blocking import open_channel
from rpcserver.errors import CallError, NotReached, TimedOut, UsageError
from rpcserver.protocols.rpcb_prot import RPCB_PORT
from rpcserver.rpc.dispatch import NULL
from rpcserver.rpc.flavor import ClientFlavor
from rpcserver.rpc.version import Client, Version
from rpcserver.rpcbind.lookup import Rpcbind
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.registration import Registrations

logger = logging.getLogger("rpcserver")

ClientT = TypeVar("ClientT", bound=Client)

RPCBIND_SOCKET = "/run/rpcbind.sock"
"""Where an rpcbind listens for local callers, and is told by the kernel who they are."""

RPCBIND_VARIABLE = "RPCSERVER_RPCBIND"
"""The environment variable with the URL of the rpcbind to ask."""

PING_TIMEOUT = 3.0
"""Seconds for a server on this host to answer a NULL call."""

_TRANSPORTS = ("tcp", "udp", "unix")


def connect(
    client_class: type[ClientT],
    target: str,
    *,
    timeout: float = TIMEOUT,
    credentials: ClientFlavor | SysCredential | str | None = None,
    rpcbind: str | None = None,
    transport: str | None = None,
) -> ClientT:
    """A client for the service at ``target``; ``with`` closes its channel.

    ``target`` is a URL, or a host whose rpcbind is asked where ``client_class``'s version is
    served over ``transport`` (``tcp``, ``udp`` or ``unix``; by default TCP, else UDP).
    ``timeout`` holds for finding the service and for each call. ``credentials``: ``"none"``,
    ``"sys"``, a ``SysCredential`` or a flavor. ``rpcbind``: the URL of the rpcbind to ask. Raises
    ``UsageError`` for arguments that make no sense, ``NotReached`` if the service is not there,
    and any other ``CallError``.
    """
    if not (isinstance(client_class, type) and issubclass(client_class, Client)):
        raise UsageError(f"{client_class!r} is no class of blocking clients")
    flavor = client_flavor(credentials)
    deadline = time.monotonic() + timeout
    version = client_class._version
    place = locate(
        target,
        version._prog,
        version._vers,
        rpcbind=rpcbind,
        transport=transport,
        timeout=timeout,
    )
    connect_timeout = min(CONNECT_TIMEOUT, max(deadline - time.monotonic(), 0.001))
    return client_class(
        open_channel(place, flavor=flavor, timeout=timeout, connect_timeout=connect_timeout)
    )


def locate(
    target: str,
    prog: int,
    vers: int,
    *,
    rpcbind: str | None = None,
    transport: str | None = None,
    timeout: float = TIMEOUT,
) -> Endpoint:
    """Where version ``vers`` of program ``prog`` is served; the arguments are ``connect``'s."""
    if "://" in target:
        return parse_url(target)
    if transport is not None and transport not in _TRANSPORTS:
        raise UsageError(f"unknown transport {transport!r}: it is one of {', '.join(_TRANSPORTS)}")
    deadline = time.monotonic() + timeout
    failure: CallError | None = None
    unknown = False
    wanted = ("tcp", "udp") if transport is None else (transport,)
    for address in _addresses(target):
        left = max(deadline - time.monotonic(), 0.001)
        try:
            with open_rpcbind(rpcbind, host=address, timeout=left) as asked:
                for each in wanted:
                    found = asked.find(prog, vers, Endpoint(each, address).netid)
                    if found is not None:
                        return _reached_from_here(found, address)
        except (NotReached, TimedOut) as error:
            failure = failure or error
        else:
            unknown = True
    if failure is not None and not unknown:
        raise failure
    names = " or ".join(wanted)
    raise NotReached(f"{target}: program {prog} is not registered with rpcbind for {names}")


def open_rpcbind(
    url: str | None = None,
    *,
    host: str = "localhost",
    for_registration: bool = False,
    timeout: float = TIMEOUT,
) -> Rpcbind:
    """The rpcbind at ``url``, or in RPCSERVER_RPCBIND, or of ``host``; ``with`` closes it.

    A host's is asked over TCP, then UDP; this host's also over its UNIX socket, and that first
    ``for_registration``, since there the kernel says who registers. Raises ``NotReached``.
    """
    failures: list[str] = []
    for place in _rpcbinds(url or os.environ.get(RPCBIND_VARIABLE), host, for_registration):
        try:
            return Rpcbind(open_channel(place, timeout=timeout), place)
        except NotReached as error:
            failures.append(str(error))
    raise NotReached(f"no rpcbind reached ({'; '.join(failures)})")


def ping(place: Endpoint, prog: int, vers: int, timeout: float = PING_TIMEOUT) -> None:
    """Call procedure 0, which does nothing but answer. Raises ``CallError`` if it does not."""

    class Asked(Version, prog=prog, vers=vers):
        pass

    channel = open_channel(place, timeout=timeout)
    try:
        channel.call(Asked, NULL, ())
    finally:
        channel.close()


def register(
    versions: Iterable[type[Version]],
    endpoints: Iterable[Endpoint],
    *,
    rpcbind: str | None = None,
    replace: bool = False,
) -> Callable[[], None]:
    """Register ``versions`` at ``endpoints``, and return the function that undoes it.

    Raises ``NotReached`` if there is no rpcbind, ``UsageError`` if a living server is registered
    already (unless ``replace``); nothing is registered then. Undoing never raises.
    """
    open_it = partial(open_rpcbind, rpcbind, for_registration=True)
    ours = Registrations(ping, replace)
    with open_it() as asked:
        ours.register(asked, [(each._prog, each._vers) for each in versions], endpoints)

    def unregister() -> None:
        try:
            with open_it() as asked:
                ours.unregister(asked)
        except CallError as error:
            logger.warning("cannot unregister: %s", error)

    return unregister


def _rpcbinds(url: str | None, host: str, for_registration: bool) -> Iterable[Endpoint]:
    """Where an rpcbind may be, with addresses instead of names: GETADDR is answered for the
    transport that it is asked over, so it must be known whether that is IPv4 or IPv6."""
    if url:
        place = parse_url(url)
        if not place.internet:
            return [place]
        return [changed(place, host=address) for address in _addresses(place.host)]
    local = Endpoint("unix", path=RPCBIND_SOCKET)
    if for_registration:
        return [local, Endpoint("tcp", "127.0.0.1", RPCB_PORT), Endpoint("tcp", "::1", RPCB_PORT)]
    addresses = _addresses(host)
    places = [Endpoint("tcp", address, RPCB_PORT) for address in addresses]
    if _loopback(addresses[0]):
        places.append(local)
    # Last, because a datagram socket connects to anything.
    return [*places, *(Endpoint("udp", address, RPCB_PORT) for address in addresses)]


def _addresses(host: str) -> list[str]:
    """The addresses of a host, in the system's order. Raises ``NotReached``."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReached(f"{host}: {error}") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _loopback(address: str) -> bool:
    return ip_address(address).is_loopback


def _reached_from_here(found: Endpoint, address: str) -> Endpoint:
    """``found`` on the host that the user named by ``address``. An address that a remote rpcbind
    prefers instead is not gone to; what is on this host may be at any of its addresses."""
    if not found.internet:
        return found
    if _loopback(address) and not ip_address(found.host).is_unspecified:
        return found
    return changed(found, host=address)
