"""A server of ``add`` by hand, on one port and for one connection at a time.

    python -m tests.clients.half_server PORT ANSWERED CALLS

It answers the first ANSWERED calls of a connection, keeps the others, and prints ``held`` when it
has CALLS of them altogether. Port 0 is any free one; ``port N`` is printed first.
"""

import socket
import struct
import sys


def main(port: int, answered: int, calls: int) -> None:
    """Until it is killed."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        print("port", listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                count = 0
                while mark := stream.read(4):
                    record = stream.read(int.from_bytes(mark) & 0x7FFFFFFF)
                    count += 1
                    if count <= answered:
                        a, b = struct.unpack(">ii", record[-8:])
                        reply = record[:4] + struct.pack(">5Ii", 1, 0, 0, 0, 0, a + b)
                        connection.sendall(struct.pack(">I", 1 << 31 | len(reply)) + reply)
                    if count == calls:
                        print("held", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
