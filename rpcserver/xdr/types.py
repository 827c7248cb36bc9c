"""The XDR types of RFC 4506 section 4, as Python annotations.

A *designator* names an XDR type wherever one is asked for (a field, ``Procedure``, ``encode``):

- an alias below: ``Int``, ``UnsignedInt``, ``Hyper``, ``UnsignedHyper``, ``Float``, ``Double``,
  ``Quadruple``, ``Bool``, ``Void``;
- an ``IntEnum`` class, a ``Struct`` class, a union ``A | B`` of ``Arm`` classes;
- ``T | None`` for optional data (``*`` in a ``.x``);
- ``Annotated[str, String(255)]``, or the marker ``String(255)`` alone where no type checker looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeAlias

from rpcserver.xdr.quad import Quad

if TYPE_CHECKING:
    from xdrlib3 import Packer, Unpacker

MAX_LENGTH = 2**32 - 1
"""What ``<>`` without a number means (RFC 4506 section 4.10)."""

MAX_DEPTH = 200
"""Pointers, arrays and unions inside one another. A tree of that depth is no accident, and
Python's own recursion limit (1,000 frames, up to four for one level) must not be reached first."""

MAX_EMPTY = 1024
"""Elements of an array whose elements take no bytes, so that four bytes do not build millions."""


class Marker:
    """The base of what stands in ``Annotated`` and says how a Python type travels."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Primitive(Marker):
    """A type without parameters; ``name`` is its name in the RFC."""

    name: str


Int: TypeAlias = Annotated[int, Primitive("int")]
UnsignedInt: TypeAlias = Annotated[int, Primitive("unsigned int")]
Hyper: TypeAlias = Annotated[int, Primitive("hyper")]
UnsignedHyper: TypeAlias = Annotated[int, Primitive("unsigned hyper")]
Float: TypeAlias = Annotated[float, Primitive("float")]
Double: TypeAlias = Annotated[float, Primitive("double")]
Quadruple: TypeAlias = Annotated[Quad, Primitive("quadruple")]
Bool: TypeAlias = Annotated[bool, Primitive("bool")]
Void: TypeAlias = Annotated[None, Primitive("void")]


@dataclass(frozen=True, slots=True)
class String(Marker):
    """``string<limit>``: a ``str`` of at most ``limit`` bytes (section 4.11).

    With UTF-8, bytes that are none come back unchanged through ``surrogateescape``.
    """

    limit: int | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Opaque(Marker):
    """``opaque<limit>``: ``bytes`` (any buffer on encode), at most ``limit`` (section 4.10)."""

    limit: int | None = None


@dataclass(frozen=True, slots=True)
class FixedOpaque(Marker):
    """``opaque[size]``: exactly ``size`` bytes (section 4.9)."""

    size: int


@dataclass(frozen=True, slots=True)
class Array(Marker):
    """``element<limit>``: a ``list`` (any sequence on encode), at most ``limit`` (section 4.13)."""

    element: Any
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class FixedArray(Marker):
    """``element[size]``: a ``list`` of exactly ``size`` elements (section 4.12)."""

    element: Any
    size: int


@dataclass(frozen=True, slots=True)
class LinkedList(Marker):
    """A chain of structs, each with a pointer to the next, as a ``list`` (section 4.19).

    ``node`` is the ``Struct`` class without that pointer. A list held by value (``nonempty``)
    has at least one node, and starts with it instead of with a flag.
    """

    node: Any
    nonempty: bool = False


class Custom(Marker):
    """A type that a ``.x`` uses and does not define: its codec is the user's, as in rpcgen.

    ``supply`` gives it, at any time before the first value travels. Until then every value is an
    ``XdrError`` that names the type.
    """

    __slots__ = ("designator", "name", "pack", "unpack")

    def __init__(self, name: str) -> None:
        self.name = name
        self.designator: Any = None
        self.pack: Callable[[Packer, Any], object] | None = None
        self.unpack: Callable[[Unpacker], Any] | None = None

    def supply(self, codec: Any) -> None:
        """Give the codec: a designator, or a pair of functions over xdrlib3's classes.

        ``pack(packer, value)`` writes a value, ``unpack(unpacker)`` reads one; what they raise
        becomes an ``XdrError``. Raises ``TypeError`` for a tuple that is no such pair.
        """
        if not isinstance(codec, tuple):
            self.designator, self.pack, self.unpack = codec, None, None
            return
        if len(codec) != 2 or not all(map(callable, codec)):
            raise TypeError(f"{self.name} wants a designator, or a pair of functions")
        self.designator = None
        self.pack, self.unpack = codec

    def __repr__(self) -> str:
        return f"Custom({self.name!r})"


class Struct:
    """The base of structs, each a ``@dataclass(slots=True)`` (section 4.14)."""

    __slots__ = ()


class _Default(Enum):
    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = _Default.DEFAULT
"""the ``case`` of a union's default arm"""


class Arm:
    """The base of the arms of a union, each a ``@dataclass(slots=True)`` (section 4.15).

    ``class A(Arm, on=KvStat, case=[KvStat.KV_OK])``: ``on`` is the discriminant's type, ``case``
    the labels or ``DEFAULT``. The first annotation of the class is the discriminant (a
    ``ClassVar`` if there is one label), and at most one more is what the arm holds.
    """

    __slots__ = ()
    _on: ClassVar[Any]
    _case: ClassVar[tuple[int, ...] | _Default]

    def __init_subclass__(
        cls, *, on: Any = None, case: Sequence[int] | _Default | None = None
    ) -> None:
        super().__init_subclass__()
        # @dataclass(slots=True) makes the class a second time, without the keywords; what the
        # first time left in the class is copied with it.
        if on is not None and case is not None:
            cls._on = on
            cls._case = case if isinstance(case, _Default) else tuple(case)


@dataclass(frozen=True, slots=True)
class UnknownArm:
    """What lenient decoding makes of a union whose discriminant ``value`` no arm has. What it
    held is not known, and taken for nothing."""

    value: int
