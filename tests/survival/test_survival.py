"""The attacks of benchmarks/survival on a server of ours, with its memory held to the bound; and
on libtirpc's, for which some of them are deadly."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import ROOT, C
from benchmarks.survival import attacks, report
from benchmarks.survival.running import ATTACKS, BOUND, Row, attacked
from benchmarks.survival.targets import LIBTIRPC, OUR_RPCBIND, OURS, TARGETS, own_world
from rpcserver.xdr.codec import NATIVE
from tests.peers.need import need_c, need_namespaces

BY_NAME = {target.name: target for target in TARGETS}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "SECONDS", 0.5)
    monkeypatch.setattr(attacks, "SOON", 3.0)  # others may use the machine, too


@pytest.mark.parametrize("name", ATTACKS)
def test_ours(name: str) -> None:
    row = attacked(BY_NAME[OURS], name)
    assert row.peak_mib < BOUND / attacks.MIB
    if name == "spoofed datagrams":
        assert row.survived is None, "it is no portmapper"
    elif name == "list of 1,000,000" and not NATIVE:
        assert row.why in ("", "others wait"), "a million objects take Python a while"
    else:
        assert row.survived, row


def test_our_rpcbind() -> None:
    need_namespaces()
    for name in ("spoofed datagrams", "rpcbomb, CVE-2017-8779", "malformed AUTH_SYS"):
        words = ["--inside", "--print", "--only", OUR_RPCBIND, "--attack", name]
        argv = own_world([sys.executable, "-m", "benchmarks.survival", *words])
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60)
        (row,) = json.loads(done.stdout)["rows"]
        assert row["survived"], row
        assert row["peak_mib"] < BOUND / attacks.MIB
        if name == "spoofed datagrams":
            assert 0 < row["figures"]["ratio"] < 1.3


@pytest.mark.parametrize("name", ["list of 1,000,000", "recursion 100,000 deep"])
def test_the_attacks_are_deadly(name: str) -> None:
    need_c()
    subprocess.run(["make", "--silent", "-C", C, "survivor"], check=True)
    assert attacked(BY_NAME[LIBTIRPC], name).why == "SIGSEGV"
    assert attacked(BY_NAME[LIBTIRPC], "nothing").survived


def test_the_page(tmp_path: Path) -> None:
    assert set(report.ATTACKS) == set(ATTACKS)
    rows = [
        Row("rpcbomb, CVE-2017-8779", OURS, True, said="0 MiB more", peak_mib=28.4),
        Row("rpcbomb, CVE-2017-8779", LIBTIRPC, False, "it keeps 300 MiB", peak_mib=303),
        Row("spoofed datagrams", OURS, None),
        Row("1,000 slow-loris connections", OURS, True, peak_mib=30),
    ]
    rows[-1].figures = {"rate": 0.5, "p99": 2, "most_ms": 5000}
    about = dict.fromkeys(("date", "commit", "machine", "python", "load before"), "?")
    page = report.page(
        rows,
        {**about, "codecs": {OURS: "?"}, "versions": {"libtirpc": "?"}, "notes": ["no rpcbind"]},
    )
    assert "| yes: 0 MiB more, 28 MiB | **no**: it keeps 300 MiB, 303 MiB |" in page
    assert "| spoofed datagrams | - |  |" in page
    assert "| 0.50 x | 2.0 x | more than 5 s |" in page
    assert "Not there: no rpcbind." in page
