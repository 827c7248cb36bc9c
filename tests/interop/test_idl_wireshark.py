"""idl/*.x against Wireshark's dissectors, which share nothing with them.

A capture is written with calls and replies of every procedure, random values in them; tshark has
to take each message apart, and to its last byte.
"""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rpcserver import rpc
from rpcserver.testing import values
from tests.interop.idl_modules import NAMES, versions
from tests.interop.idl_recording import Recording

EXAMPLES = 15
# What tshark 4.0 does not take apart: Linux's additions to rquota; all of rusers; what rstat
# answers. YPPUSH's number is any transient one, which tshark takes for NFS version 4's callbacks.
NOT_DISSECTED = {
    "RQUOTAPROC_SETQUOTA",
    "RQUOTAPROC_SETACTIVEQUOTA",
    "RUSERSPROC_NUM",
    "RUSERSPROC_NAMES",
    "RUSERSPROC_ALLNAMES",
    "RSTATPROC_STATS",
    "RSTATPROC_HAVEDISK",
    "YPPUSHPROC_XFRRESP",
}


def record(name: str) -> Recording:
    """All procedures of idl/NAME.x that tshark knows, with random values."""
    recording = Recording()
    for version in versions(name):
        for procedure in version._procedures.values():
            if procedure.name not in NOT_DISSECTED:
                _add_some(recording, version, procedure)
    return recording


def _add_some(
    recording: Recording, version: type[rpc.Version], procedure: rpc.Procedure[Any]
) -> None:
    arguments = st.tuples(*(values(each, max_size=4) for each in procedure.arguments))
    results = values(procedure.result, max_size=4)
    if procedure.name == "MOUNTPROC_PATHCONF":
        results = results.map(short)

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(arguments, results)
    def add(arguments: tuple[Any, ...], result: Any) -> None:
        recording.add(version, procedure, arguments, result)

    add()


def short(limits: Any) -> Any:
    """The ints of a ppathcnf as what they are in C: short and char."""
    for field in ("max_canon", "max_input", "name_max", "path_max", "pipe_buf", "vdisable", "xxx"):
        setattr(limits, f"pc_{field}", getattr(limits, f"pc_{field}") & 0x7F)
    limits.pc_mask = [mask & 0x7FFF for mask in limits.pc_mask]
    return limits


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("rstat", "rusers")])
def test_every_message_is_understood(tmp_path: Path, name: str) -> None:
    recording = record(name)
    capture = recording.capture(tmp_path / "all.pcap")
    assert capture.malformed() == []
    seen = capture.fields("frame.number", "frame.protocols", "rpc.procedure", where="rpc")
    assert len(seen) == len(recording.datagrams)
    # "data" are bytes that are left over, the other one those that nobody looks at.
    left_over = capture.fields("frame.number", where="rpc && (data || rpc.unknown_body)")
    assert [recording.procedures[(int(number) - 1) // 2].name for (number,) in left_over] == []
