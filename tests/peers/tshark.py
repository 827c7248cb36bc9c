"""Captures of real traffic, and tshark's opinion of them."""

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.need import need, unavailable
from tests.peers.netns import Namespace
from tests.peers.process import Process, until

# Two packets to the discard port, with a payload of our own, mark the ends of a capture.
_PROBE = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ("127.0.0.1", 9))
"""
_NOT_OURS = "!(udp.port == 9)"
# Without the first, a program that Wireshark has no dissector for is not seen as RPC at all.
# Without the last two, a reserved port that libtirpc happens to bind (639, say) makes it MSDP.
_OPTIONS = (
    "rpc.dissect_unknown_programs:TRUE",
    f"rpc.max_tcp_pdu_size:{1 << 30}",
    "tcp.try_heuristic_first:TRUE",
    "udp.try_heuristic_first:TRUE",
)


class Capture:
    """Everything that goes over `lo` during the `with` block, read by tshark afterwards.

    `file` is written (pcapng).  `keep` is a capture filter, such as "port 111 or port 2049"; None
    keeps all.  `namespace` is where to listen, the host's own network if None.  `tcp_ports` are
    those of RPC servers: tshark finds RPC on any port by itself, but not in records of several
    fragments.  The attribute of that name may be added to at any time, and so may `options`, which
    are tshark's preferences.
    """

    def __init__(
        self,
        file: Path,
        *,
        keep: str | None = None,
        namespace: Namespace | None = None,
        tcp_ports: Iterable[int] = (),
    ) -> None:
        need("tshark", "dumpcap", "tshark")
        self.file = file
        self.tcp_ports = list(tcp_ports)
        self.options = list(_OPTIONS)
        self._keep = keep
        self._namespace = namespace

    def __enter__(self) -> Self:
        # 64 MiB of buffer: a test's burst must not outrun the writer.
        argv = ["dumpcap", "-q", "-i", "lo", "-B", "64", "-w", str(self.file)]
        if self._keep is not None:
            argv += ["-f", f"({self._keep}) or udp port 9"]
        self._dumpcap = Process(self._namespace.command(*argv) if self._namespace else argv)
        try:
            self._probe()
        except BaseException:
            self._dumpcap.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._dumpcap:
            if error is not None:
                return
            self._probe()
            self._dumpcap.stop(signal.SIGINT)
            said = self._dumpcap.stderr()
        # "Packets received/dropped on interface 'lo': 812/0 (...)"
        dropped = said.rpartition("dropped on interface")[2].partition("/")[2].split()[:1]
        if dropped != ["0"]:
            raise RuntimeError(f"the capture is not whole: {said}")

    def _probe(self) -> None:
        """Send marked packets until one is in the file: all that came before it is there, too."""
        mark = uuid.uuid4().hex

        def captured() -> bool:
            if self._dumpcap.returncode is not None:
                unavailable(f"dumpcap cannot capture here: {self._dumpcap.stderr().strip()}")
            if self._namespace:
                self._namespace.python(_PROBE, mark)
            else:
                subprocess.run([sys.executable, "-c", _PROBE, mark], check=True)
            return self.file.exists() and mark.encode() in self.file.read_bytes()

        until("a packet in the capture", captured, timeout=20)

    def _tshark(self, where: str, *args: str) -> list[str]:
        argv = ["tshark", "-r", str(self.file), "-Y", f"({where}) && {_NOT_OURS}"]
        for option in self.options:
            argv += ["-o", option]
        for port in self.tcp_ports:
            argv += ["-d", f"tcp.port=={port},rpc"]
        argv += args
        done = subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def malformed(self, where: str = "frame") -> list[str]:
        """The packets that tshark finds malformed or in error, one line each; [] is good."""
        fault = f"(_ws.malformed || _ws.expert.severity >= error) && ({where})"
        names = ("frame.number", "frame.protocols", "_ws.col.Info", "_ws.expert.message")
        return self._tshark(
            fault, "-T", "fields", *(word for name in names for word in ("-e", name))
        )

    def text(self, where: str) -> str:
        """All that tshark knows of those packets, with their bytes."""
        return "\n".join(self._tshark(where, "-V", "-x"))

    def fields(self, *names: str, where: str = "rpc") -> list[tuple[str, ...]]:
        """The named fields of every packet that the display filter `where` lets through.

        A field that occurs more than once in a packet has its values joined by commas.
        """
        wanted = [word for name in names for word in ("-e", name)]
        lines = self._tshark(where, "-T", "fields", "-E", "separator=/t", *wanted)
        return [tuple(line.split("\t")) for line in lines]
