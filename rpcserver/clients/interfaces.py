"""The networks that this host is on, as far as they can be broadcast to."""

from __future__ import annotations

import socket
import struct

try:
    from fcntl import ioctl
except ImportError:  # not everywhere
    ioctl = None  # type: ignore[assignment]

EVERYWHERE = "255.255.255.255"

_SIOCGIFFLAGS, _SIOCGIFBRDADDR = 0x8913, 0x8919  # Linux's; the modules have no names for them
_IFF_UP, _IFF_BROADCAST = 0x1, 0x2
_IFREQ = struct.Struct("16s24s")


def broadcast_addresses() -> list[str]:
    """The broadcast addresses of the interfaces that are up (of each its first), or where the
    system does not tell, the one that means all of them."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            flags = _asked(sock, _SIOCGIFFLAGS, name)
            address = _asked(sock, _SIOCGIFBRDADDR, name)
            if flags is None or address is None:
                continue
            (bits,) = struct.unpack_from("=H", flags)
            if bits & _IFF_UP and bits & _IFF_BROADCAST and any(address[4:8]):
                found.append(socket.inet_ntoa(address[4:8]))
    return list(dict.fromkeys(found)) or [EVERYWHERE]


def _asked(sock: socket.socket, question: int, name: str) -> bytes | None:
    """What the kernel says about an interface."""
    if ioctl is None:
        return None
    try:
        answer = ioctl(sock.fileno(), question, _IFREQ.pack(name.encode()[:15], b""))
    except OSError:
        return None
    return bytes(_IFREQ.unpack(answer)[1])
