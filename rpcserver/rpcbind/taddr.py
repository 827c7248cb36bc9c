"""Addresses as a transport itself writes them (RFC 1833: UADDR2TADDR and TADDR2UADDR).

A transport's form is the ``sockaddr`` of the system that rpcbind runs on; this is Linux's.
"""

from __future__ import annotations

import socket
import struct

from rpcserver.protocols.rpcb_prot import Netbuf
from rpcserver.rpcbind.netid import parse_uaddr, uaddr

_FAMILY = struct.Struct("=H")
_PORT = struct.Struct(">H")
_INET, _INET6, _UNIX = 2, 10, 1
_UNIX_SIZE = 110  # of a sockaddr_un; its path ends where the netbuf ends
_NONE = Netbuf(0, b"")


def netbuf(netid: str, address: str) -> Netbuf:
    """``address`` in the form of the transport ``netid``; an empty netbuf if it is none."""
    if netid == "local":
        data = _FAMILY.pack(_UNIX) + address.encode(errors="surrogateescape")
        return Netbuf(_UNIX_SIZE, data) if 2 < len(data) <= _UNIX_SIZE else _NONE
    try:
        host, port = parse_uaddr(address)
        if netid.endswith("6"):
            own = socket.inet_pton(socket.AF_INET6, host)
            data = _FAMILY.pack(_INET6) + _PORT.pack(port) + bytes(4) + own + bytes(4)
        else:
            own = socket.inet_pton(socket.AF_INET, host)
            data = _FAMILY.pack(_INET) + _PORT.pack(port) + own + bytes(8)
    except (OSError, ValueError):
        return _NONE
    return Netbuf(len(data), data)


def address(netid: str, data: bytes) -> str:
    """The universal address of what ``netbuf`` gives; empty for what is none."""
    if len(data) < 3:
        return ""
    if netid == "local":
        return data[2:].partition(b"\0")[0].decode(errors="surrogateescape")
    port = int.from_bytes(data[2:4])
    if netid.endswith("6") and len(data) == 28:
        return uaddr(socket.inet_ntop(socket.AF_INET6, data[8:24]), port)
    if not netid.endswith("6") and len(data) == 16:
        return uaddr(socket.inet_ntop(socket.AF_INET, data[4:8]), port)
    return ""
