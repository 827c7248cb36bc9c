"""Quadruple-precision floating point (RFC 4506 section 4.8): kept as its 16 bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from decimal import Decimal

_BIAS = 16383
_FRACTION_BITS = 112


class Quad(bytes):
    """An IEEE 754 binary128 number as its 16 big-endian bytes, so that nothing is rounded.

    ``Quad(b"...")`` takes the 16 bytes and raises ``ValueError`` for any other number of them;
    ``Quad.from_float(x)`` is exact. ``float(q)`` rounds to double precision, ``q.to_decimal()``
    is exact.
    """

    __slots__ = ()

    def __new__(cls, data: bytes = bytes(16)) -> Self:
        if len(data) != 16:
            raise ValueError(f"a quadruple has 16 bytes, not {len(data)}")
        return super().__new__(cls, data)

    @classmethod
    def from_float(cls, number: float) -> Quad:
        """The quadruple that equals the float ``number`` (infinities and NaN too)."""
        sign = 1 if math.copysign(1, number) < 0 else 0
        if math.isnan(number):
            exponent, fraction = 0x7FFF, 1 << (_FRACTION_BITS - 1)
        elif math.isinf(number):
            exponent, fraction = 0x7FFF, 0
        elif number == 0:
            exponent, fraction = 0, 0
        else:  # any double is a normal number in this wider format
            mantissa, power = math.frexp(abs(number))
            exponent = power - 1 + _BIAS
            fraction = int(math.ldexp(mantissa, 53)) << (_FRACTION_BITS - 52)
            fraction &= (1 << _FRACTION_BITS) - 1
        return cls((sign << 127 | exponent << _FRACTION_BITS | fraction).to_bytes(16, "big"))

    def _parts(self) -> tuple[bool, int, int]:
        bits = int.from_bytes(self, "big")
        exponent = bits >> _FRACTION_BITS & 0x7FFF
        return bool(bits >> 127), exponent, bits & ((1 << _FRACTION_BITS) - 1)

    def to_decimal(self) -> Decimal:
        """The exact value as a ``Decimal`` (up to 11,514 digits; infinities and NaN too)."""
        from decimal import Context, Decimal

        negative, exponent, fraction = self._parts()
        if exponent == 0x7FFF:
            number = Decimal("NaN") if fraction else Decimal("Infinity")
        else:
            mantissa = fraction | (1 << _FRACTION_BITS if exponent else 0)
            power = max(exponent, 1) - _BIAS - _FRACTION_BITS
            context = Context(prec=12_000, Emax=20_000, Emin=-20_000)
            number = context.multiply(Decimal(mantissa), context.power(Decimal(2), power))
        return number.copy_negate() if negative else number

    def __float__(self) -> float:
        negative, exponent, fraction = self._parts()
        if exponent == 0x7FFF:
            number = math.nan if fraction else math.inf
        else:
            mantissa = fraction | (1 << _FRACTION_BITS if exponent else 0)
            power = max(exponent, 1) - _BIAS - _FRACTION_BITS
            try:
                # A true division of integers rounds once, to nearest.
                number = mantissa / (1 << -power) if power < 0 else float(mantissa * (1 << power))
            except OverflowError:
                number = math.inf
        return -number if negative else number

    def __repr__(self) -> str:
        return f"Quad({bytes(self)!r})"
