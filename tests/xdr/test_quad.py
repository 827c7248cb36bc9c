"""Quadruple precision: 16 bytes, and numbers on demand."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.xdr import Quad


@given(st.floats(allow_nan=False))
def test_floats_survive(number: float) -> None:
    quad = Quad.from_float(number)
    assert float(quad) == number
    assert math.copysign(1, float(quad)) == math.copysign(1, number)
    assert float(quad.to_decimal()) == number


def test_known_values() -> None:
    assert Quad.from_float(1.0).hex() == "3fff" + "0" * 28
    assert Quad.from_float(-2.5).hex() == "c0004" + "0" * 27
    smallest_above_1 = Quad(bytes.fromhex("3fff" + "0" * 27 + "1"))
    assert Fraction(smallest_above_1.to_decimal()) == 1 + Fraction(1, 2**112)
    assert math.isnan(float(Quad.from_float(math.nan)))
    assert Quad.from_float(math.nan).to_decimal().is_nan()
    assert float(Quad.from_float(-math.inf)) == -math.inf
    assert float(Quad(b"\x7f\xfe" + bytes(14))) == math.inf
    assert float(Quad(bytes(15) + b"\1")) == 0.0
    assert Quad(bytes(15) + b"\1").to_decimal() > 0


def test_sixteen_bytes_exactly() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        Quad(bytes(15))
