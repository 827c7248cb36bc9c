"""A busy client of its own process: calls procedure 0 again and again, and says how that went.

python -m benchmarks.survival.busy PORT PROG VERS SECONDS
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time

from benchmarks.measure import Figures
from benchmarks.processes import ROOT
from tests.peers import wire

STALLED = 5.0
"""Seconds after which it gives up a call, and the rest"""


class Busy:
    """It works until ``figures()`` is asked for, which waits for it."""

    def __init__(self, port: int, program: tuple[int, int], seconds: float) -> None:
        words = map(str, (port, *program, seconds))
        argv = [sys.executable, "-m", "benchmarks.survival.busy", *words]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun

    def figures(self) -> Figures:
        """Calls per second, and the 99th percentile and the longest in milliseconds."""
        out, _ = self._process.communicate(timeout=60)
        figures: Figures = json.loads(out)
        return figures


def main() -> None:
    """From 127.0.0.2, so that it is somebody else than who attacks."""
    port, prog, vers = map(int, sys.argv[1:4])
    seconds, times = float(sys.argv[4]), []
    call = wire.frame(wire.call(prog, vers, 0))
    print("begun", flush=True)
    begun = now = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), STALLED, ("127.0.0.2", 0)) as sock:
            while now < begun + seconds:
                sock.sendall(call)
                if not sock.recv(100):
                    break
                before, now = now, time.monotonic()
                times.append(now - before)
    except OSError:
        times.append(STALLED)
    times = sorted(times) or [STALLED]
    spent = max(time.monotonic() - begun, seconds)
    figures = {
        "calls_s": len(times) / spent,
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "most_ms": 1000 * times[-1],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
