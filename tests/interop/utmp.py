"""Who is logged in, in a namespace of the test's own."""

import struct

from tests.peers.netns import Namespace

_WRITE = "import pathlib, sys; pathlib.Path('/run/utmp').write_bytes(bytes.fromhex(sys.argv[1]))"


def log_in(namespace: Namespace, *logins: tuple[str, str, str, int]) -> None:
    """Write a utmp(5) with these logins: user, terminal, where from, since when."""
    user_process = 7
    records = [
        struct.pack(
            "hi32s4s32s256shhiii4I20x",
            user_process,
            1,
            line.encode(),
            b"",
            user.encode(),
            host.encode(),
            *(0, 0, 0, since, 0),
            *(0, 0, 0, 0),
        )
        for user, line, host, since in logins
    ]
    namespace.python(_WRITE, b"".join(records).hex())
