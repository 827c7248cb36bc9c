"""Each case compiles to its snapshot; UPDATE_SNAPSHOTS=1 accepts what it compiles to now."""

import os
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import IntEnum
from types import ModuleType
from typing import Annotated, Any, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.testing import values
from tests.rpcgen import case

MOST = 40


@pytest.mark.parametrize("name", case.NAMES)
def test_snapshot(name: str) -> None:
    code = case.compiled(name)
    snapshot = case.CASES / f"{name}.py"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        snapshot.write_text(code, encoding="utf-8")
    assert code == snapshot.read_text(encoding="utf-8")


def test_no_snapshot_without_its_case() -> None:
    assert sorted(path.stem for path in case.CASES.glob("*.py")) == case.NAMES


def designators(module: ModuleType) -> Iterator[Any]:
    """All types of a generated module, and those of the procedures in it."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, rpc.Version) and value is not rpc.Version:
            for procedure in vars(value).values():
                if isinstance(procedure, rpc.Procedure):
                    yield from (*procedure.arguments, procedure.result)
        elif getattr(value, "__module__", "") == module.__name__:
            if is_dataclass(value) or (isinstance(value, type) and issubclass(value, IntEnum)):
                yield value
        elif get_origin(value) is Annotated:
            yield value


@pytest.mark.parametrize("name", [*case.NAMES, *(path.stem for path in case.PROJECT)])
@settings(
    max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example]
)
@given(data=st.data())
def test_values_come_back(name: str, data: st.DataObject) -> None:
    path = next((path for path in case.PROJECT if path.stem == name), case.source(name))
    module = rpcserver.load(path, **case.OPTIONS.get(name, {}), codecs=case.CODECS.get(name))
    found = list(designators(module))
    if len(found) > MOST:  # hypothesis wants small inputs
        found = data.draw(st.permutations(found))[:MOST]
    for designator in found:
        if isinstance(designator, type) and issubclass(designator, xdr.Arm):
            continue  # in its union
        value = data.draw(values(designator, max_size=3))
        encoded = xdr.encode(designator, value)
        assert len(encoded) % 4 == 0
        assert xdr.encode(designator, xdr.decode(designator, encoded)) == encoded
        assert xdr.decode(designator, encoded) == value
