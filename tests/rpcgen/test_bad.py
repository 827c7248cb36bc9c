"""Each kind of mistake gets its message: file, line, column, the line itself and a caret.

UPDATE_SNAPSHOTS=1 accepts the messages as they are now.
"""

import os

import pytest

from rpcserver import rpcgen
from rpcserver.errors import IdlError
from tests.rpcgen import case

NAMES = sorted(path.stem for path in case.BAD.glob("*.x"))


@pytest.mark.parametrize("name", NAMES)
def test_message(name: str) -> None:
    with pytest.raises(IdlError) as caught:
        rpcgen.compile_file(case.BAD / f"{name}.x", shown_path=f"bad/{name}.x")
    message = f"{caught.value}\n"
    snapshot = case.BAD / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        snapshot.write_text(message, encoding="utf-8")
    assert message == snapshot.read_text(encoding="utf-8")


def test_no_message_without_its_mistake() -> None:
    assert sorted(path.stem for path in case.BAD.glob("*.txt")) == NAMES
