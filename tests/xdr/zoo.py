"""Types that between them use every XDR construct, and some values."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, ClassVar, Literal, TypeAlias

from rpcserver import xdr


class Color(IntEnum):
    RED = 0
    GREEN = 2
    DARK = -1


@dataclass(slots=True)
class Point(xdr.Struct):
    x: xdr.Int
    y: xdr.Int


@dataclass(slots=True)
class Entry(xdr.Struct):
    key: Annotated[str, xdr.String(5)]
    value: Annotated[bytes, xdr.Opaque(8)]


Entries: TypeAlias = Annotated[list[Entry], xdr.LinkedList(Entry)]


@dataclass(slots=True)
class Tree(xdr.Struct):
    value: xdr.Int
    left: "Tree | None"
    right: "Tree | None"


@dataclass(slots=True)
class ResRed(xdr.Arm, on=Color, case=[Color.RED]):
    """union res switch (color kind), case RED"""

    kind: ClassVar[Literal[Color.RED]] = Color.RED
    point: Point


@dataclass(slots=True)
class ResDefault(xdr.Arm, on=Color, case=xdr.DEFAULT):
    """union res, every other kind"""

    kind: Color


Res: TypeAlias = ResRed | ResDefault


@dataclass(slots=True)
class NumMinus1(xdr.Arm, on=xdr.Int, case=[-1]):
    """union num switch (int n), case -1"""

    n: ClassVar[Literal[-1]] = -1


@dataclass(slots=True)
class Num1(xdr.Arm, on=xdr.Int, case=[1, 2]):
    """union num switch (int n), case 1"""

    n: Literal[1, 2] = field(kw_only=True)
    more: "Num | None"


Num: TypeAlias = NumMinus1 | Num1


@dataclass(slots=True)
class Empty(xdr.Struct):
    pass


@dataclass(slots=True)
class Everything(xdr.Struct):
    i: xdr.Int
    u: xdr.UnsignedInt
    h: xdr.Hyper
    uh: xdr.UnsignedHyper
    f: xdr.Float
    d: xdr.Double
    q: xdr.Quadruple
    b: xdr.Bool
    c: Color
    fo: Annotated[bytes, xdr.FixedOpaque(5)]
    o: Annotated[bytes, xdr.Opaque(6)]
    s: Annotated[str, xdr.String()]
    fa: Annotated[list[int], xdr.FixedArray(xdr.Int, 2)]
    a: Annotated[list[Point], xdr.Array(Point, 3)]
    names: Annotated[list[str], xdr.Array(xdr.String(4))]
    opt: xdr.Int | None
    maybe: Annotated[list[int | None], xdr.Array(xdr.Int | None, 1)]
    entries: Entries
    chain: Annotated[list[Entry], xdr.LinkedList(Entry, nonempty=True)]
    tree: Tree
    res: Res
    num: Num
    empty: Empty
