"""Messages to everybody on this host, printed to the standard error: idl/rwall.x.

    rpcserver serve examples.rwalld:Wall

``echo hi | rwall HOST`` sends one. It waits for the answer, so the method is no ``oneway``.
"""

import sys

from generated.rwall import WallversService
from rpcserver import rpc


class Wall(WallversService):
    def wall(self, call: rpc.Call, /, arg: str) -> None:
        print(f"wall: from {call.peer.address[0]}", file=sys.stderr)
        for line in arg.splitlines():
            # Anybody may send anything: let nothing pass that tells a terminal what to do.
            text = "".join(letter if letter.isprintable() else "?" for letter in line)
            print(f"wall: {text}", file=sys.stderr, flush=True)
