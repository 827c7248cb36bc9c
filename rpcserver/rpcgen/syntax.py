"""The syntax tree of a ``.x`` file: one class for each construct, named as in the RFCs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Literal, NamedTuple, TypeAlias


class Position(NamedTuple):
    """Where something starts: line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written."""

    text: str
    at: Position

    @property
    def value(self) -> int:
        """What it means: a leading 0 is octal, 0x hexadecimal (RFC 4506 section 6.2)."""
        digits = self.text.removeprefix("-")
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
        return int(digits, base) * (-1 if digits != self.text else 1)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a constant where a value stands."""

    name: str
    at: Position


Value: TypeAlias = Number | Name


@dataclass(slots=True)
class Primitive:
    """A type that the language itself has; ``name`` is its name in the RFC."""

    name: str
    at: Position


@dataclass(slots=True)
class Reference:
    """The name of a type; ``tagged`` if ``struct``, ``union`` or ``enum`` stands before it."""

    name: str
    at: Position
    tagged: bool = False


@dataclass(slots=True)
class Member:
    """One name of an enum; without a value it is one more than the name before."""

    name: str
    value: Value | None
    at: Position
    doc: str = ""


@dataclass(slots=True)
class EnumBody:
    """``{ A = 1, B = 2 }``"""

    members: list[Member]


Kind: TypeAlias = Literal[
    "plain", "fixed_array", "variable_array", "optional", "fixed_opaque", "variable_opaque",
    "string", "void",
]  # fmt: skip


@dataclass(slots=True)
class Declaration:
    """A type with what surrounds it, and a name where there is one.

    ``type`` is ``None`` for opaque, string and void; ``size`` is ``None`` for ``<>``.
    """

    kind: Kind
    type: Type | None
    name: str
    size: Value | None
    at: Position
    doc: str = ""


@dataclass(slots=True)
class StructBody:
    """``{ int a; string b<>; }``"""

    members: list[Declaration]


@dataclass(slots=True)
class Case:
    """``case A: case B: declaration``"""

    labels: list[Value]
    arm: Declaration


@dataclass(slots=True)
class UnionBody:
    """``switch (discriminant) { cases, default }``"""

    discriminant: Declaration
    cases: list[Case]
    default: Declaration | None


Body: TypeAlias = EnumBody | StructBody | UnionBody
Type: TypeAlias = Primitive | Reference | EnumBody | StructBody | UnionBody


@dataclass(slots=True)
class ConstDef:
    """``const NAME = value;``; a ``str`` is a string constant."""

    name: str
    value: Value | str
    at: Position
    doc: str = ""


@dataclass(slots=True)
class TypeDef:
    """``enum``, ``struct`` or ``union`` with a name."""

    name: str
    body: Body
    at: Position
    doc: str = ""
    shown: str = ""
    """what a docstring calls it, where the name was made up"""


@dataclass(slots=True)
class TypedefDef:
    """``typedef declaration;``"""

    declaration: Declaration
    at: Position
    doc: str = ""

    @property
    def name(self) -> str:
        """The name that is defined."""
        return self.declaration.name


@dataclass(slots=True)
class ProcedureDef:
    """One procedure of a version; no arguments is an empty list."""

    name: str
    number: Value
    result: Declaration
    arguments: list[Declaration]
    at: Position
    doc: str = ""


@dataclass(slots=True)
class VersionDef:
    """``version NAME { ... } = number;``"""

    name: str
    number: Value
    procedures: list[ProcedureDef]
    at: Position
    doc: str = ""


@dataclass(slots=True)
class ProgramDef:
    """``program NAME { ... } = number;``"""

    name: str
    number: Value
    versions: list[VersionDef]
    at: Position
    doc: str = ""


Definition: TypeAlias = ConstDef | TypeDef | TypedefDef | ProgramDef


@dataclass(slots=True)
class Specification:
    """A whole file."""

    definitions: list[Definition]
    doc: str = ""
    position: Position = field(default=Position(1, 1))


def all_declarations(definition: Definition) -> Iterator[Declaration]:
    """Every declaration in a definition."""
    match definition:
        case TypedefDef(declaration):
            yield declaration
        case TypeDef(body=body):
            yield from declarations(body)
        case ProgramDef(versions=versions):
            for version in versions:
                for procedure in version.procedures:
                    yield procedure.result
                    yield from procedure.arguments


def declarations(body: Body) -> Iterator[Declaration]:
    """The declarations in a body: members, or discriminant and arms; of an enum none."""
    if isinstance(body, StructBody):
        yield from body.members
    elif isinstance(body, UnionBody):
        yield body.discriminant
        yield from arms(body)


def arms(body: UnionBody) -> Iterator[Declaration]:
    """The arms of a union, the default one last."""
    yield from (case.arm for case in body.cases)
    if body.default is not None:
        yield body.default


def all_values(definition: Definition) -> Iterator[Value]:
    """Every number in a definition, or name that stands for one."""
    yield from (each.size for each in all_declarations(definition) if each.size is not None)
    match definition:
        case ConstDef(_, Number() | Name() as value) | ProgramDef(_, value):
            yield value
        case TypeDef(body=EnumBody(members)):
            yield from (each.value for each in members if each.value is not None)
        case TypeDef(body=UnionBody(cases=cases)):
            yield from (label for case in cases for label in case.labels)
    if isinstance(definition, ProgramDef):
        for version in definition.versions:
            yield version.number
            yield from (procedure.number for procedure in version.procedures)


def meaning(node: object) -> object:
    """A syntax tree without positions and comments, to be compared."""
    if isinstance(node, list):
        return [meaning(each) for each in node]
    if isinstance(node, Number):
        return node.value
    if not is_dataclass(node):
        return node
    names = [each.name for each in fields(node) if each.name not in ("at", "doc", "shown")]
    return [type(node), *(meaning(getattr(node, name)) for name in names)]
