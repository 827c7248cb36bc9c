"""What the names in a syntax tree mean, and whether that makes sense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from rpcserver.errors import IdlError
from rpcserver.rpcgen.source import Source
from rpcserver.rpcgen.syntax import (
    Body,
    ConstDef,
    Declaration,
    Definition,
    EnumBody,
    Number,
    Position,
    Primitive,
    ProgramDef,
    Reference,
    Specification,
    StructBody,
    Type,
    TypeDef,
    TypedefDef,
    UnionBody,
    Value,
)

UNSIGNED = (0, 2**32 - 1)
_INT = (-(2**31), 2**31 - 1)
_WIDEST = (-(2**63), 2**64 - 1)

AnyType: TypeAlias = TypeDef | TypedefDef


@dataclass(slots=True)
class Constant:
    """What a name for a value means; ``enum`` is the definition that it is a member of."""

    value: int
    at: Position
    enum: TypeDef | None = None


class Scope:
    """The definitions of a file with every name looked up.

    ``definitions`` are in source order, those without a name (a struct inside a struct) before
    what they stand in, under a name made from the path to them. Raises ``IdlError`` with all
    the mistakes it can tell apart.
    """

    def __init__(self, specification: Specification, source: Source) -> None:
        self.source = source
        self.doc = specification.doc
        self.definitions: list[Definition] = []
        self.types: dict[str, AnyType] = {}
        self.constants: dict[str, Constant] = {
            "TRUE": Constant(1, Position(0, 0)),
            "FALSE": Constant(0, Position(0, 0)),
        }
        self.errors: list[IdlError] = []
        for definition in specification.definitions:
            self._lift(definition)
        for definition in self.definitions:
            self._define(definition)

    def error(self, message: str, at: Position) -> None:
        """Note a mistake, and go on to find others; what is asked twice is noted once."""
        error = self.source.error(message, at)
        if str(error) not in map(str, self.errors):
            self.errors.append(error)

    def raise_errors(self) -> None:
        """Raise what was noted, if anything was."""
        if self.errors:
            first, *others = sorted(self.errors, key=lambda each: (each.line, each.column))
            first.others = tuple(others)
            raise first

    # --- definitions without a name get one ---------------------------------------------------

    def _lift(self, definition: Definition) -> None:
        if isinstance(definition, TypedefDef):
            inner = definition.declaration
            if inner.kind == "plain" and isinstance(inner.type, EnumBody | StructBody | UnionBody):
                definition = TypeDef(inner.name, inner.type, definition.at, definition.doc)
            else:
                self._lift_inside(inner, f"{inner.name}_item", "")
        if isinstance(definition, TypeDef):
            self._lift_body(definition.name, definition.body)
        elif isinstance(definition, ProgramDef):
            for version in definition.versions:
                for procedure in version.procedures:
                    self._lift_inside(procedure.result, f"{procedure.name}_result", "")
                    for n, argument in enumerate(procedure.arguments, 1):
                        name = argument.name or f"arg{n}"
                        self._lift_inside(argument, f"{procedure.name}_{name}", "")
        self.definitions.append(definition)

    def _lift_body(self, parent: str, body: Body) -> None:
        for declaration in declarations(body):
            self._lift_inside(declaration, f"{parent}_{declaration.name}", parent)

    def _lift_inside(self, declaration: Declaration, name: str, parent: str) -> None:
        body = declaration.type
        if isinstance(body, EnumBody | StructBody | UnionBody):
            self._lift_body(name, body)
            shown = f"{declaration.name} of {parent}" if parent else name
            self.definitions.append(TypeDef(name, body, declaration.at, "", shown))
            declaration.type = Reference(name, declaration.at)

    # --- what each name means -----------------------------------------------------------------

    def _define(self, definition: Definition) -> None:
        match definition:
            case ConstDef(name, value, at):
                self._constant(name, self.value(value, _WIDEST), at)
            case ProgramDef(name, value, _, at):
                self._constant(name, self.value(value, UNSIGNED), at)
            case TypeDef(name, body, at):
                self._type(name, definition)
                if isinstance(body, EnumBody):
                    for member in body.members:
                        number = self.value(member.value, _INT)
                        self._constant(member.name, number, member.at, definition)
            case TypedefDef():
                self._type(definition.name, definition)

    def _type(self, name: str, definition: AnyType) -> None:
        if name in self.types:
            line = self.types[name].at.line
            self.error(f"type {name!r} is defined twice, first in line {line}", definition.at)
        self.types.setdefault(name, definition)

    def _constant(self, name: str, value: int, at: Position, enum: TypeDef | None = None) -> None:
        known = self.constants.get(name)
        if known is not None and known.at.line:
            self.error(f"{name!r} is defined twice, first in line {known.at.line}", at)
        self.constants.setdefault(name, Constant(value, at, enum))

    def value(self, value: Value, allowed: tuple[int, int] = _WIDEST) -> int:
        """The number that ``value`` stands for; outside of ``allowed`` is a mistake."""
        if isinstance(value, Number):
            number = value.value
        elif value.name in self.constants:
            number = self.constants[value.name].value
        else:
            self.error(f"unknown constant {value.name!r}", value.at)
            return allowed[0]
        if not allowed[0] <= number <= allowed[1]:
            self.error(f"{number} is not between {allowed[0]} and {allowed[1]}", value.at)
            return allowed[0]
        return number

    # --- questions about types ----------------------------------------------------------------

    def lookup(self, reference: Reference) -> AnyType | None:
        """The definition that a type's name refers to; an unknown one is a mistake."""
        definition = self.types.get(reference.name)
        if definition is None:
            self.error(f"unknown type {reference.name!r}", reference.at)
        return definition

    def behind(self, declaration: Declaration) -> Declaration | TypeDef | Primitive | None:
        """What a declaration comes down to when typedefs are followed: a type of its own, a
        primitive, or a declaration that is more than a name (an array, a pointer, ...)."""
        seen: set[str] = set()
        while declaration.kind == "plain":
            of = declaration.type
            if not isinstance(of, Reference):
                return of if isinstance(of, Primitive) else None
            definition = self.types.get(of.name)
            if not isinstance(definition, TypedefDef) or of.name in seen:
                return definition if isinstance(definition, TypeDef) else None
            seen.add(of.name)
            declaration = definition.declaration
        return declaration

    def points_to(self, declaration: Declaration) -> TypeDef | None:
        """The type that a pointer, or a typedef of one, points to."""
        behind = self.behind(declaration)
        if not isinstance(behind, Declaration) or behind.kind != "optional":
            return None
        assert behind.type is not None
        target = self.behind(_plain(behind.type, behind.at))
        return target if isinstance(target, TypeDef) else None

    def is_list_node(self, definition: AnyType | None) -> bool:
        """Whether this is a struct with exactly one pointer to itself, its last member."""
        if not isinstance(definition, TypeDef) or not isinstance(definition.body, StructBody):
            return False
        members = definition.body.members
        to_itself = [member for member in members if self.points_to(member) is definition]
        return len(to_itself) == 1 and to_itself[0] is members[-1]

    def is_optional(self, declaration: Declaration) -> bool:
        """Whether a value may be ``None``: a pointer, but not to a list node."""
        behind = self.behind(declaration)
        return (
            isinstance(behind, Declaration)
            and behind.kind == "optional"
            and not self.is_list_node(self.points_to(declaration))
        )


def declarations(body: Body) -> Iterator[Declaration]:
    """The declarations in a body: members, or discriminant and arms."""
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


def _plain(of: Type, at: Position) -> Declaration:
    return Declaration("plain", of, "", None, at)
