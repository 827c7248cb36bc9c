"""Values to JSON and back."""

import json
from typing import Any

import pytest
from hypothesis import given

from rpcserver import xdr
from rpcserver.testing import values
from tests.xdr.zoo import Color, Entries, Everything, Num, Num1, Point, Res, ResDefault, ResRed


@given(values(Everything))
def test_round_trip(value: Everything) -> None:
    text = json.dumps(xdr.json.to_json(Everything, value), allow_nan=False)
    assert xdr.json.from_json(Everything, json.loads(text)) == value


FORMS: list[tuple[Any, Any, Any]] = [
    (Color, Color.DARK, "DARK"),
    (xdr.Opaque(), b"\x00\xff", "00ff"),
    (xdr.Double, float("inf"), "Infinity"),
    (xdr.Hyper, 2**62, 2**62),
    (Res, ResRed(Point(1, 2)), {"kind": "RED", "point": {"x": 1, "y": 2}}),
    (Res, ResDefault(Color.GREEN), {"kind": "GREEN"}),
    (Num, Num1(None, n=2), {"n": 2, "more": None}),
    (Entries, [], []),
    (xdr.Void, None, None),
]


@pytest.mark.parametrize(("kind", "value", "form"), FORMS)
def test_forms(kind: Any, value: Any, form: Any) -> None:
    assert xdr.json.to_json(kind, value) == form
    assert xdr.json.from_json(kind, form) == value


BAD: list[tuple[Any, Any, str]] = [
    (Color, "BLACK", "expected a member of Color"),
    (Color, True, "expected a member of Color"),
    (xdr.Int, True, "expected a whole number, got True"),
    (xdr.Int, 1.5, "expected a whole number"),
    (xdr.Bool, 1, "expected true or false"),
    (xdr.Double, "x", "expected a number"),
    (xdr.Double, [], "expected a number"),
    (xdr.Double, 10**400, "too large"),
    (xdr.Opaque(), "xyz", "expected a hexadecimal string"),
    (xdr.Opaque(), 5, "expected a hexadecimal string"),
    (xdr.Quadruple, "00", "expected a hexadecimal string"),
    (xdr.String(), 5, "expected a string"),
    (xdr.Void, 0, "expected null"),
    (xdr.Array(xdr.Int), {}, "expected an array"),
    (xdr.Array(xdr.Int), [1, "x"], "[1]: expected a whole number"),
    (Point, [], "expected an object for Point"),
    (Point, {"x": 1}, "Point needs 'y'"),
    (Point, {"x": 1, "y": 2, "z": 3}, "Point has no member 'z'"),
    (Point, {"x": 1, "y": None}, "y: expected a whole number"),
    (Res, {}, "expected an object with 'kind'"),
    (Res, {"kind": "RED"}, "ResRed needs 'point'"),
    (Res, {"kind": "GREEN", "point": None}, "ResDefault has no member 'point'"),
    (Num, {"n": 9}, "has no case 9"),
]


@pytest.mark.parametrize(("kind", "form", "reason"), BAD)
def test_bad_forms(kind: Any, form: Any, reason: str) -> None:
    with pytest.raises(xdr.XdrError) as caught:
        xdr.json.from_json(kind, form)
    assert reason in str(caught.value)
