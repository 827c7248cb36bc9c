"""A client that stops in the middle of a call, to be killed: ``HOST:PORT STEP PATH``."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

from tests.peers import wire
from tests.peers.process import until

PROG, VERS, ECHO, SLOW = 0x20000401, 3, 1, 4
"""of tests/servers/facts.py, which would take time to load"""

LARGE = wire.frame(wire.call(PROG, VERS, ECHO, wire.opaque(bytes(3 << 20))))
"""a call whose reply no socket's buffer has room for"""


def slow(path: str) -> bytes:
    return wire.frame(wire.call(PROG, VERS, SLOW, wire.opaque(path.encode())))


def in_the_method(sock: socket.socket, path: str) -> None:
    sock.sendall(slow(path))
    until("the method", Path(f"{path}.begun").exists)


def in_the_reply(sock: socket.socket, path: str) -> None:
    sock.sendall(LARGE)
    assert sock.recv(10)


STEPS: dict[str, Callable[[socket.socket, str], object]] = {
    "connected": lambda sock, path: None,
    "in the mark": lambda sock, path: sock.sendall(slow(path)[:2]),
    "in the call": lambda sock, path: sock.sendall(slow(path)[:-4]),
    "in a large call": lambda sock, path: sock.sendall(LARGE[:-100_000]),
    "in the method": in_the_method,
    "in the reply": in_the_reply,
}


def main() -> None:
    place, step, path = sys.argv[1:]
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port))) as sock:
        STEPS[step](sock, path)
        print("there", flush=True)
        sys.stdin.readline()
        sock.recv(1)  # until the end


if __name__ == "__main__":
    main()
