"""What comes from our servers, whatever their kind: for each probe, over streams and datagrams.

UPDATE_SNAPSHOTS=1 accepts what comes from the multiplexing ones as it is now.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rpcserver.conform import Result

_FILE = Path(__file__).with_suffix(".json")

UPDATING = os.environ.get("UPDATE_SNAPSHOTS") == "1"


def came(over: str) -> Mapping[str, str]:
    """By the name of the probe."""
    found: dict[str, str] = json.loads(_FILE.read_text())[over]
    return found


def update(over: str, results: Iterable[Result]) -> None:
    """Write down what came."""
    known = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    known[over] = {each.probe.name: str(each.came) for each in results}
    _FILE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
