"""Encodings taken apart by construct: offsets, names, and a second opinion on the codec."""

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rpcserver import xdr
from rpcserver.testing import values
from rpcserver.xdr.label import dump, take_apart
from tests.xdr.zoo import Color, Everything, Point, Res, ResRed


def plain(value: Any) -> Any:
    """What construct gives, as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


@given(values(Everything))
def test_the_same_value(value: Everything) -> None:
    data = xdr.encode(Everything, value)
    rows, parsed, error = take_apart(Everything, data)
    assert error is None
    assert plain(parsed) == xdr.json.to_json(Everything, value)
    at = 0
    for row in rows:
        assert row.offset == at
        at += row.size
    assert at == len(data)


@given(values(Everything), st.integers(0, 2**32 - 1), st.integers(0, 10**6))
@settings(max_examples=200)
def test_the_same_verdict_on_damaged_bytes(value: Everything, noise: int, where: int) -> None:
    data = bytearray(xdr.encode(Everything, value))
    at = where % len(data) // 4 * 4
    data[at : at + 4] = noise.to_bytes(4, "big") if noise % 3 else b"\0\0\0\2"
    _, parsed, error = take_apart(Everything, bytes(data))
    ours: xdr.XdrError | None = None
    try:
        decoded = xdr.decode(Everything, bytes(data))
    except xdr.XdrError as caught:
        ours = caught
    assert (error and error.path) == (ours and ours.path)
    if ours is None:
        assert plain(parsed) == xdr.json.to_json(Everything, decoded)


def test_rows() -> None:
    data = xdr.encode(Res, ResRed(Point(3, -4)))
    rows, _, error = take_apart(Res, data)
    assert error is None
    assert [(row.offset, row.size, row.path, row.kind, row.value) for row in rows] == [
        (0, 4, "kind", "enum Color", "RED"),
        (4, 4, "point.x", "int", 3),
        (8, 4, "point.y", "int", -4),
    ]
    assert dump(rows, data) == [
        "     0  00000000              kind     'RED'  (enum Color)",
        "     4  00000003              point.x  3  (int)",
        "     8  fffffffc              point.y  -4  (int)",
    ]


def test_as_far_as_it_makes_sense() -> None:
    rows, value, error = take_apart(xdr.Array(Color, 5), bytes.fromhex("000000020000000000000009"))
    assert value is None
    assert [row.path for row in rows] == ["", "[0]"]
    assert error is not None
    assert (error.path, error.offset) == ("[1]", 8)
