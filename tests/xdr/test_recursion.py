"""Types that hold themselves: by a pointer, or by a union that has a way out."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import pytest

from rpcserver import xdr


@dataclass(slots=True)
class NotNot(xdr.Arm, on=xdr.Int, case=[1]):
    """union not switch (int kind), case 1"""

    kind: ClassVar[Literal[1]] = 1
    inner: "Pair"


@dataclass(slots=True)
class NotDefault(xdr.Arm, on=xdr.Int, case=xdr.DEFAULT):
    """union not, every other kind"""

    kind: int


Not: TypeAlias = NotNot | NotDefault


@dataclass(slots=True)
class Pair(xdr.Struct):
    left: Not
    right: Not


@dataclass(slots=True)
class Endless(xdr.Struct):
    first: xdr.Int
    inner: "Endless"


def test_a_union_may_hold_itself_if_it_has_a_way_out() -> None:
    value = NotNot(Pair(NotDefault(0), NotNot(Pair(NotDefault(2), NotDefault(3)))))
    data = xdr.encode(Not, value)
    assert data.hex() == "00000001000000000000000100000002" + "00000003"
    assert xdr.decode(Not, data) == value
    many = xdr.Array(Pair)
    assert xdr.decode(many, xdr.encode(many, [Pair(NotDefault(0), NotDefault(5))])) == [
        Pair(NotDefault(0), NotDefault(5))
    ]


def test_its_depth_is_limited() -> None:
    with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
        xdr.decode(Not, bytes.fromhex("00000001") * 100_000)
    value: Not = NotDefault(0)
    for _ in range(300):
        value = NotNot(Pair(value, NotDefault(0)))
    with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
        xdr.encode(Not, value)


@dataclass(slots=True)
class Around(xdr.Struct):
    inner: Endless | None


def test_what_holds_a_struct_that_never_ends_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="Endless contains itself without a pointer"):
            xdr.decode(Around, bytes.fromhex("00000001"))


def test_a_struct_that_never_ends_is_refused() -> None:
    with pytest.raises(TypeError, match="Endless contains itself without a pointer"):
        xdr.decode(Endless, b"")
