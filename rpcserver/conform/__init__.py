"""What a server makes of good and bad calls, held against the RFCs: probes as raw bytes, for any
server of any program.

``run`` probes a server; ``PROBES`` is the table. ``rpcserver conform`` is the same on the command
line, docs/conformance.md has what came from several servers.
"""

from rpcserver.conform.probe import Case, Probe, Subject
from rpcserver.conform.result import Result
from rpcserver.conform.run import SETTLE, TIMEOUT, probes_for, run
from rpcserver.conform.table import PROBES

__all__ = [
    "PROBES",
    "SETTLE",
    "TIMEOUT",
    "Case",
    "Probe",
    "Result",
    "Subject",
    "probes_for",
    "run",
]
