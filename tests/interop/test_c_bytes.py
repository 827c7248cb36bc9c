"""The bytes that rpcgen's routines write equal ours, for every type of calc.x."""

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated import calc
from rpcserver import xdr
from rpcserver.rpcgen import names
from rpcserver.testing import values
from tests.interop.c_values import for_c
from tests.peers.cc import ROOT
from tests.peers.xdr_peer import Refused, XdrPeer

PYTHON = names.Names()
# Nodes by value are lists of at least one.
BY_VALUE = {
    name: xdr.LinkedList(getattr(calc, name.capitalize()), True) for name in ("node", "entry")
}


def types() -> dict[str, Any]:
    """The types of calc.x by their names there."""
    found: dict[str, Any] = {}
    for line in (ROOT / "idl" / "calc.x").read_text().splitlines():
        words = line.replace("*", " ").replace("<", " ").replace("[", " ").replace(";", " ").split()
        if words[:1] in (["struct"], ["union"], ["enum"]):
            name = words[1]
        elif words[:1] == ["typedef"]:
            name = words[3] if words[1] == "unsigned" else words[2]
        else:
            continue
        found[name] = BY_VALUE.get(name) or getattr(calc, PYTHON.type(name))
    return found


TYPES = types()


def test_no_type_is_left_out(calc_xdr_peer: XdrPeer) -> None:
    own = {name for name in calc_xdr_peer.types if not name.endswith("_argument")}
    assert own == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_the_same_bytes(calc_xdr_peer: XdrPeer, name: str) -> None:
    kind = TYPES[name]
    examples = 40 if name == "everything" else 200

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(for_c(kind, values(kind)))
    def compare(value: Any) -> None:
        data = xdr.encode(kind, value)
        recoded = calc_xdr_peer.recode(name, data)
        assert recoded.data == data
        assert recoded.used == len(data)

    compare()


@pytest.mark.parametrize(
    "name", ["shape", "answer", "entry", "chain", "rectangle", "expr", "paint"]
)
def test_what_we_take_c_takes_too(calc_xdr_peer: XdrPeer, name: str) -> None:
    """Damaged bytes: where we find a value in them, C finds the same one."""
    kind = TYPES[name]

    @settings(max_examples=150)
    @given(for_c(kind, values(kind)), st.integers(0, 1000), st.integers(0, 2**32 - 1))
    def compare(value: Any, where: int, noise: int) -> None:
        data = bytearray(xdr.encode(kind, value))
        at = where % len(data) // 4 * 4
        data[at : at + 4] = struct.pack(">I", noise % 8 if noise % 2 else noise)
        try:
            back = xdr.decode(kind, bytes(data))
            xdr.json.to_json(kind, back)
        except xdr.XdrError:
            return
        if b"\0" in str(back).encode(errors="surrogateescape") or "\\x00" in str(back):
            return
        if "nan" in str(back):
            return
        try:
            recoded = calc_xdr_peer.recode(name, bytes(data))
        except Refused:
            pytest.fail(f"C refuses {bytes(data).hex()}, which is {back}")
        assert recoded.data == bytes(data)

    compare()
