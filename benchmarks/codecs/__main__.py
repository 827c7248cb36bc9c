"""One codec's times for all cases, as JSON: ``{"mixed encode": us, "mixed decode": us, ...}``."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

from benchmarks.codecs.timing import Case, check, microseconds
from benchmarks.processes import MISSING, C


def main() -> None:
    """Check that values come back, and that XDR is libtirpc's; then measure."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    try:
        module = import_module(f"benchmarks.codecs.{name}")
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    figures = {}
    cases: dict[str, Case] = module.cases()
    for case, how in cases.items():
        data = check(f"{name}, {case}", how)
        if how.xdr and data != _by_libtirpc(case):
            raise AssertionError(f"{name}, {case}: the bytes are not libtirpc's")
        figures[f"{case} encode"] = microseconds(how.encode, how.value, seconds)
        figures[f"{case} decode"] = microseconds(how.decode, data, seconds)
        figures[f"{case} bytes"] = len(data)
    print(json.dumps(figures))


def _by_libtirpc(case: str) -> bytes:
    return subprocess.run([C / "tirpc_codec", case], stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    main()
