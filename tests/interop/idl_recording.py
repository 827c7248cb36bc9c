"""RPC messages in a capture file, for tshark to read."""

import socket
import struct
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rpcserver import rpc, xdr
from tests.peers import wire
from tests.peers.tshark import Capture


def some(strategy: st.SearchStrategy[Any]) -> Any:
    """Any value of a strategy."""
    found: list[Any] = []

    @settings(max_examples=1, phases=[Phase.generate], database=None, deadline=None)
    @given(strategy)
    def take(value: Any) -> None:
        found.append(value)

    take()
    return found[0]


def write_capture(file: Path, datagrams: list[tuple[int, int, bytes]]) -> None:
    """A capture of UDP datagrams (source port, destination port, payload) over IPv4."""
    host = socket.inet_aton("192.0.2.1")
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 16, 101)]
    for n, (source, destination, payload) in enumerate(datagrams):
        udp = struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), n, 0, 64, socket.IPPROTO_UDP, 0)
        packet = ip + host + host + udp
        packets.append(struct.pack("<IIII", n, 0, len(packet), len(packet)) + packet)
    file.write_bytes(b"".join(packets))


class Recording:
    """Calls and their replies; `procedures` has that of each."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[int, int, bytes]] = []
        self.procedures: list[rpc.Procedure[Any]] = []

    def add(
        self,
        version: type[rpc.Version],
        procedure: rpc.Procedure[Any],
        arguments: tuple[Any, ...],
        result: Any,
    ) -> None:
        pairs = zip(procedure.arguments, arguments, strict=True)
        args = b"".join(xdr.encode(kind, value) for kind, value in pairs)
        results = xdr.encode(procedure.result, result)
        self.procedures.append(procedure)
        xid = len(self.procedures)
        call = wire.call(version._prog, version._vers, procedure.number, args, xid=xid)
        accepted = wire.words(xid, wire.REPLY, wire.MSG_ACCEPTED, 0, 0, wire.SUCCESS)
        self.datagrams += [(900, 2049, call), (2049, 900, accepted + results)]

    def capture(self, file: Path) -> Capture:
        write_capture(file, self.datagrams)
        return Capture(file)
