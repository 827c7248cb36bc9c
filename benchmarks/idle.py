"""2,000 idle TCP connections and one busy one: what they cost each kind of server.

    python -m benchmarks.idle [CONNECTIONS]

Memory is what the server's processes have for themselves, with the connections less without,
for each connection. "quiet" is the processor time of a second in which nothing happens. The
busy client has 16 calls of procedure 0 outstanding; the server has one CPU, the client another.
"""

from __future__ import annotations

import socket
import statistics
import sys
import time
from contextlib import ExitStack

from benchmarks import peers

SERVERS = ("libtirpc", "select", "asyncio", "select x 2", "threads")
ROUNDS = 5
BUSY = "-c 1 -d 16 -n 0 -t 1"

NULL = bytes.fromhex("800000280000000100000000000000022000009900000001") + bytes(20)


def measure(name: str, connections: int) -> dict[str, float]:
    """One server, without the connections and with them."""
    with peers.running(name, None if " x " in name else 0) as (port, pids), ExitStack() as stack:
        alone = peers.load(port, BUSY, pids, 1)
        before = peers.memory(pids)
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(connections)
        ]
        for sock in idle:
            sock.sendall(NULL)
        for sock in idle:
            sock.recv(100)
        used = (peers.memory(pids) - before) / connections
        quiet = peers.cpu_seconds(pids)
        time.sleep(2)
        quiet = (peers.cpu_seconds(pids) - quiet) / 2
        busy = peers.load(port, BUSY, pids, 1)
        return {
            "KiB": used / 1024,
            "quiet": 1000 * quiet,
            "alone": alone["calls_s"],
            "busy": busy["calls_s"],
            "cpu_us": 1e6 * busy["server_cpu"] / max(busy["calls"], 1),
        }


def main() -> None:
    """Print the table."""
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    peers.build()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in SERVERS}
    for _ in range(ROUNDS):
        for name, results in runs.items():
            results.append(measure(name, connections))
    medians = {
        name: {key: statistics.median(each[key] for each in results) for key in results[0]}
        for name, results in runs.items()
    }
    base = medians["libtirpc"]
    print("| server | KiB a connection | quiet, ms CPU/s | calls/s with none |", end="")
    print(" with the idle ones | of its own rate | CPU a call, us |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in medians.items():
        print(
            f"| {name} | {row['KiB']:.1f} | {row['quiet']:.1f}"
            f" | {row['alone'] / base['alone']:.2f} | {row['busy'] / base['busy']:.2f}"
            f" | {100 * row['busy'] / row['alone']:.0f} % | {row['cpu_us']:.1f} |"
        )
    print(f"\ncalls/s as ratios to libtirpc's: {base['alone']:.0f} and {base['busy']:.0f}")


if __name__ == "__main__":
    main()
