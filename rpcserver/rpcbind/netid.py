"""Where a service listens: as a URL, and as rpcbind's netid and universal address (RFC 1833, 5665).

============================  ==========  ===========================
URL                           netid       universal address
============================  ==========  ===========================
``tcp://192.0.2.1:2049``      ``tcp``     ``192.0.2.1.8.1``
``udp://[2001:db8::1]:111``   ``udp6``    ``2001:db8::1.0.111``
``unix:///run/rpcbind.sock``  ``local``   ``/run/rpcbind.sock``
============================  ==========  ===========================

``unixgram:///path`` and ``vsock://CID:PORT`` have no netid: rpcbind knows no such transports.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from rpcserver.errors import UsageError

_FORMS = "tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH, unixgram:///PATH or vsock://CID:PORT"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A transport (``tcp``, ``udp``, ``unix``, ``unixgram``, ``vsock``) and an address on it.

    ``host`` and ``port`` for the internet ones, ``path`` for the UNIX ones; vsock's ``host`` is
    the number of a machine (vsock(7)).
    """

    transport: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def stream(self) -> bool:
        """Whether calls go over a byte stream, with record marking."""
        return self.transport in ("tcp", "unix", "vsock")

    @property
    def internet(self) -> bool:
        """Whether the address is a host and a port."""
        return self.transport in ("tcp", "udp")

    @property
    def netid(self) -> str:
        """rpcbind's name of the transport; empty where it has none."""
        if not self.internet:
            return "local" if self.transport == "unix" else ""
        return self.transport + ("6" if ":" in self.host else "")

    @property
    def uaddr(self) -> str:
        """The universal address. The host must be an address, not a name."""
        return uaddr(self.host, self.port) if self.internet else self.path

    def __str__(self) -> str:
        if self.transport in ("unix", "unixgram"):
            return f"{self.transport}://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """The endpoint that ``url`` names. Raises ``UsageError`` for anything else than a URL."""
    try:
        parts = urlsplit(url)
        return _endpoint(parts)
    except ValueError as error:
        raise UsageError(f"{url!r} is no address: {error} (it is written {_FORMS})") from None


def _endpoint(parts: SplitResult) -> Endpoint:
    if parts.scheme in ("unix", "unixgram"):
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError("the path must be absolute, with three slashes before it")
        return Endpoint(parts.scheme, path=parts.path)
    if parts.scheme == "vsock":
        cid, _, port = parts.netloc.partition(":")
        return Endpoint(parts.scheme, str(_word(cid)), _word(port))
    if parts.scheme not in ("tcp", "udp"):
        raise ValueError(f"unknown transport {parts.scheme!r}")
    if not parts.hostname or parts.port is None or parts.path.strip("/"):
        raise ValueError("a host and a port are needed, and nothing else")
    # urlsplit's hostname is lower case; a zone index (fe80::1%eth0) keeps its spelling.
    host = parts.netloc.rpartition("@")[2].rpartition(":")[0].strip("[]")
    return Endpoint(parts.scheme, host, parts.port)


def uaddr(host: str, port: int) -> str:
    """The universal address of an IPv4 or IPv6 address and a port (RFC 5665 section 5.2.3)."""
    return f"{host}.{port >> 8}.{port & 255}"


def parse_uaddr(text: str) -> tuple[str, int]:
    """Host and port of a universal address. Raises ``ValueError`` for anything else."""
    host, _, rest = text.rpartition(".")
    host, _, high = host.rpartition(".")
    try:
        numbers = [_octet(high), _octet(rest)]
        ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r:.80} is no universal address (h1.h2.h3.h4.p1.p2)") from None
    return host, numbers[0] << 8 | numbers[1]


def _word(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**32:
        raise ValueError("a machine's number and a port are needed")
    return int(text)


def _octet(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or int(text) > 255:
        raise ValueError(text)
    return int(text)


def endpoint(netid: str, address: str) -> Endpoint:
    """The endpoint for a netid and a universal address.

    Raises ``ValueError`` for a netid that we do not speak or an address that is none.
    """
    if netid in ("local", "unix"):
        return Endpoint("unix", path=address)
    if netid not in ("tcp", "udp", "tcp6", "udp6"):
        raise ValueError(f"unknown netid {netid!r:.40}")
    host, port = parse_uaddr(address)
    return Endpoint(netid[:3], host, port)
