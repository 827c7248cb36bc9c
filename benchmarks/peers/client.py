"""What the client programs have in common: their command line, and the loop that is measured.

    python -m benchmarks.peers.NAME client PORT OUTSTANDING SIZE SECONDS
    python -m benchmarks.peers.NAME server PORT

SIZE is the bytes of the echoed argument, 0 for a call without any. A client prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from benchmarks.processes import MISSING

WARM_UP = 0.2


class Peer(Protocol):
    """A client and a server of one kind."""

    def serve(self, port: int) -> None:
        """Serve on 127.0.0.1 until ended."""

    def client(self, port: int, payload: bytes | None, outstanding: int) -> Callable[[], int]:
        """A function that makes one call, or a number of calls of which as many are outstanding,
        checks what came back, and returns how many calls it made."""
        ...


def need(name: str) -> Any:
    """A package that may not be installed. Typed as anything: it has no types, or not here."""
    try:
        return import_module(name)
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)


def main(peer: Peer) -> None:
    """Be the server or the client."""
    port = int(sys.argv[2])
    if sys.argv[1] == "server":
        peer.serve(port)
        return
    outstanding, size, seconds = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    calls = peer.client(port, b"x" * size if size else None, outstanding)
    _run(calls, WARM_UP)
    cpu = time.process_time()
    made, took = _run(calls, seconds)
    cpu = time.process_time() - cpu
    print(json.dumps({"calls_s": made / took, "client_cpu": cpu / took, "calls": made}))


def _run(calls: Callable[[], int], seconds: float) -> tuple[int, float]:
    made = 0
    begun = now = time.perf_counter()
    while now < begun + seconds:
        made += calls()
        now = time.perf_counter()
    return made, now - begun
