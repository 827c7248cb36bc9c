"""The service of c/echo.x on plain socketserver, record by record: what one writes in an hour.

    python -m benchmarks.peers.plain PORT

A thread for each TCP connection; UDP on the same port.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading

_LAST = 0x8000_0000
_ACCEPTED = struct.pack(">5I", 1, 0, 0, 0, 0)


def answer(call: bytes) -> bytes:
    """The reply to a call of procedure 0 or 1 with AUTH_NONE."""
    xid, kind, rpcvers, _, _, procedure = struct.unpack_from(">6I", call)
    if kind != 0 or rpcvers != 2 or procedure not in (0, 1):
        return struct.pack(">6I", xid, 1, 0, 0, 0, 3)
    return call[:4] + _ACCEPTED + (call[40:] if procedure else b"")


class Stream(socketserver.StreamRequestHandler):
    """Reads a record, answers it, reads the next."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        while mark := self.rfile.read(4):
            record = b""
            while True:
                (word,) = struct.unpack(">I", mark)
                record += self.rfile.read(word & ~_LAST)
                if word & _LAST:
                    break
                mark = self.rfile.read(4)
            reply = answer(record)
            self.wfile.write(struct.pack(">I", _LAST | len(reply)) + reply)


class Datagram(socketserver.BaseRequestHandler):
    """Answers a datagram."""

    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(answer(data), self.client_address)


class TCPServer(socketserver.ThreadingTCPServer):
    """Connections that rpcload drops are no news."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class UDPServer(socketserver.UDPServer):
    """Whole datagrams, and room for a burst."""

    max_packet_size = 65535

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        super().server_bind()


def main() -> None:
    """Serve until ended."""
    address = "127.0.0.1", int(sys.argv[1])
    with TCPServer(address, Stream) as tcp, UDPServer(address, Datagram) as udp:
        threading.Thread(target=udp.serve_forever, daemon=True).start()
        tcp.serve_forever()


if __name__ == "__main__":
    main()
