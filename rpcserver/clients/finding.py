"""Where a program is served: a URL, an address with a port, or what a host's rpcbind says.

Which rpcbind: the URL that is given, else the one in RPCSERVER_RPCBIND, else the host's own.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace as changed
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from rpcserver.clients import TIMEOUT
from rpcserver.clients.base import CONNECT_TIMEOUT
from rpcserver.clients.blocking import open_channel
from rpcserver.clients.opening import Opener
from rpcserver.errors import CallError, NotReached, TimedOut, UsageError
from rpcserver.rpc.version import Version
from rpcserver.rpcbind.netid import Endpoint, parse_url

if TYPE_CHECKING:
    from rpcserver.auth.tls_settings import TlsClient
    from rpcserver.clients.tls import Starter
    from rpcserver.rpcbind.lookup import Rpcbind

RPCBIND_SOCKET = "/run/rpcbind.sock"
"""Where an rpcbind listens for local callers, and is told by the kernel who they are."""

RPCBIND_VARIABLE = "RPCSERVER_RPCBIND"
"""The environment variable with the URL of the rpcbind to ask."""

MEMORY = 10.0
"""Seconds for which what an rpcbind said is believed without asking again."""

_MAX_REMEMBERED = 1024
_TRANSPORTS = ("tcp", "udp", "unix")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]/]+)):(?P<port>\d{1,5})")

_Question: TypeAlias = tuple[str, int, int, str | None, str | None]
_remembered: dict[_Question, tuple[Endpoint, float]] = {}
_lock = threading.Lock()


def given_endpoint(target: str, transport: str | None = None) -> Endpoint | None:
    """The endpoint that ``target`` names by itself: a URL, or ``HOST:PORT`` (for TCP, unless
    ``transport`` is ``udp``); ``None`` for a host. Raises ``UsageError``."""
    if "://" in target:
        return parse_url(target)
    if transport is not None and transport not in _TRANSPORTS:
        raise UsageError(f"unknown transport {transport!r}: it is one of {', '.join(_TRANSPORTS)}")
    found = _ADDRESS.fullmatch(target)
    if found is None:
        return None
    if transport == "unix":
        raise UsageError(f"{target!r} has a port, and a UNIX socket has none")
    port = int(found["port"])
    if not 0 < port < 1 << 16:
        raise UsageError(f"{target!r}: a port is a number from 1 to 65535")
    return Endpoint(transport or "tcp", found["v6"] or found["host"], port)


def locate(
    target: str,
    prog: int,
    vers: int,
    *,
    rpcbind: str | None = None,
    transport: str | None = None,
    timeout: float = TIMEOUT,
    fresh: bool = True,
) -> Endpoint:
    """Where version ``vers`` of program ``prog`` is served; the arguments are ``connect``'s.

    Unless ``fresh``, what was found in the last ten seconds is taken to be so still. Raises
    ``UsageError``, ``NotReached`` and any other ``CallError``.
    """
    given = given_endpoint(target, transport)
    if given is not None:
        return given
    question = target, prog, vers, rpcbind or os.environ.get(RPCBIND_VARIABLE), transport
    with _lock:
        place, until = _remembered.get(question, (None, 0.0))
    if place is None or fresh or time.monotonic() >= until:
        place = _looked_up(target, prog, vers, rpcbind, transport, timeout)
        with _lock:
            if len(_remembered) >= _MAX_REMEMBERED:
                _remembered.clear()
            _remembered[question] = place, time.monotonic() + MEMORY
    return place


def _looked_up(
    target: str, prog: int, vers: int, rpcbind: str | None, transport: str | None, timeout: float
) -> Endpoint:
    deadline = time.monotonic() + timeout
    failure: CallError | None = None
    unknown = False
    wanted = ("tcp", "udp") if transport is None else (transport,)
    addresses = addresses_of(target)
    for tried, address in enumerate(addresses):
        # Each has its share of the time: the first may be one that drops what it gets.
        left = max(deadline - time.monotonic(), 0.001) / (len(addresses) - tried)
        try:
            found = _asked(address, prog, vers, rpcbind, wanted, left)
        except (NotReached, TimedOut) as error:
            failure = failure or error
        else:
            if found is not None:
                return found
            unknown = True
    if failure is not None and not unknown:
        raise failure
    names = " or ".join(wanted)
    raise NotReached(f"{target}: program {prog} is not registered with rpcbind for {names}")


def _asked(
    address: str,
    prog: int,
    vers: int,
    rpcbind: str | None,
    transports: Iterable[str],
    timeout: float,
) -> Endpoint | None:
    """What the rpcbind that answers first says, over the transports that it may listen on."""
    places = list(_rpcbinds(rpcbind or os.environ.get(RPCBIND_VARIABLE), address, False))
    deadline = time.monotonic() + timeout
    failures: list[CallError] = []
    for tried, place in enumerate(places):
        left = max(deadline - time.monotonic(), 0.001) / (len(places) - tried)
        try:
            with _opened(place, left) as asked:
                for each in transports:
                    found = asked.find(prog, vers, Endpoint(each, address).netid)
                    if found is not None:
                        return _reached_from_here(found, address)
                return None
        except (NotReached, TimedOut) as error:
            failures.append(error)
    raise _none_reached(failures)


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
    failures: list[CallError] = []
    for place in _rpcbinds(url or os.environ.get(RPCBIND_VARIABLE), host, for_registration):
        try:
            return _opened(place, timeout)
        except NotReached as error:
            failures.append(error)
    raise _none_reached(failures)


def _none_reached(failures: Sequence[CallError]) -> CallError:
    kind = NotReached if any(isinstance(each, NotReached) for each in failures) else TimedOut
    return kind(f"no rpcbind reached ({'; '.join(map(str, failures))})")


def _opened(place: Endpoint, timeout: float) -> Rpcbind:
    # Who is told an address needs none of rpcbind's protocols.
    from rpcserver.rpcbind.lookup import Rpcbind

    return Rpcbind(open_channel(place, timeout=timeout), place, timeout)


def _rpcbinds(url: str | None, host: str, for_registration: bool) -> Iterable[Endpoint]:
    """Where an rpcbind may be, with addresses instead of names: GETADDR is answered for the
    transport that it is asked over, so it must be known whether that is IPv4 or IPv6."""
    from rpcserver.protocols.rpcb_prot import RPCB_PORT

    if url:
        place = parse_url(url)
        if not place.internet:
            return [place]
        return [changed(place, host=address) for address in addresses_of(place.host)]
    local = Endpoint("unix", path=RPCBIND_SOCKET)
    if for_registration:
        return [local, Endpoint("tcp", "127.0.0.1", RPCB_PORT), Endpoint("tcp", "::1", RPCB_PORT)]
    addresses = addresses_of(host)
    places = [Endpoint("tcp", address, RPCB_PORT) for address in addresses]
    if _loopback(addresses[0]):
        places.append(local)
    # Last, because a datagram socket connects to anything.
    return [*places, *(Endpoint("udp", address, RPCB_PORT) for address in addresses)]


def addresses_of(host: str) -> list[str]:
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


def opener_for(
    target: str,
    version: type[Version],
    *,
    rpcbind: str | None,
    transport: str | None,
    timeout: float,
    privileged_port: bool,
    keep_alive: float | None,
    tls: TlsClient | None = None,
) -> Opener:
    """What opens connections to the service at ``target``, and asks again where it is when it is
    not there any more. The arguments are ``connect``'s; what rpcbind says is asked in the clear.
    """
    find = partial(
        locate, target, version._prog, version._vers, rpcbind=rpcbind, transport=transport
    )
    place = find(timeout=timeout, fresh=False)
    known = given_endpoint(target, transport) is not None
    starter = None
    if tls is not None:
        starter = tls_starter(tls, place, version, None if known else target)
    return Opener(place, privileged_port, keep_alive, None if known else find, starter)


def tls_starter(
    settings: TlsClient, place: Endpoint, version: type[Version], host: str | None = None
) -> Starter | None:
    """What starts TLS for calls of ``version`` at ``place``; ``None`` for datagrams, which may go
    without. ``host`` is what the user called it, whatever rpcbind said. Raises ``UsageError``."""
    from rpcserver.clients.tls import Starter

    if not place.stream:
        if settings.required:
            raise UsageError(f"{place}: datagrams have no TLS here: call it over TCP")
        return None
    return Starter(settings, version._prog, version._vers, host)


def host_of(target: str) -> str:
    """The host that ``target`` names; empty for this one by a path."""
    place = given_endpoint(target, None)
    return target if place is None else place.host


def remaining(deadline: float) -> float:
    """Seconds until ``deadline`` that opening a connection may take."""
    return min(CONNECT_TIMEOUT, max(deadline - time.monotonic(), 0.001))
