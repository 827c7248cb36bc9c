"""The table of all probes."""

from __future__ import annotations

from rpcserver.conform import credentials, cuts, headers, records, silences, verifiers
from rpcserver.conform.probe import Probe

PROBES: tuple[Probe, ...] = (
    *headers.TABLE,
    *credentials.TABLE,
    *verifiers.TABLE,
    *cuts.TABLE,
    *records.TABLE,
    *silences.TABLE,
)
"""Headers first, since what comes later builds on those"""
