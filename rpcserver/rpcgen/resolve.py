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
    Name,
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

INT = (-(2**31), 2**31 - 1)
UNSIGNED = (0, 2**32 - 1)
_WIDEST = (-(2**63), 2**64 - 1)

MAX_ERRORS = 100
"""More mistakes than these are not looked for."""

AnyType: TypeAlias = TypeDef | TypedefDef


@dataclass(slots=True)
class Constant:
    """What a name for a value means; ``enum`` is the definition that it is a member of."""

    value: int
    enum: TypeDef | None = None


_UNKNOWN = Constant(0)


class Scope:
    """The definitions of a file with every name looked up.

    ``definitions`` are in source order, those without a name (a struct inside a struct) before
    what they stand in, under the path to them: ``outer.inner``. Mistakes are collected:
    ``raise_errors`` raises them as one ``IdlError``.
    """

    def __init__(self, specification: Specification, source: Source) -> None:
        self.source = source
        self.doc = specification.doc
        self.definitions: list[Definition] = []
        self.types: dict[str, AnyType] = {}
        self.constants = {"TRUE": Constant(1), "FALSE": Constant(0)}
        self._places: dict[str, Position] = {}
        self._errors: dict[tuple[Position, str], IdlError] = {}
        self._unknown: set[str] = set()
        self._list_nodes: dict[int, bool] = {}
        for definition in specification.definitions:
            self._lift(definition)
        for definition in self.definitions:
            self._define(definition)

    def error(self, message: str, at: Position) -> None:
        """Note a mistake, and go on to find others; what is asked twice is noted once."""
        self._errors.setdefault((at, message), self.source.error(message, at))
        if len(self._errors) >= MAX_ERRORS:
            self.raise_errors()

    def raise_errors(self) -> None:
        """Raise what was noted, if anything was."""
        if self._errors:
            first, *others = (error for _, error in sorted(self._errors.items()))
            first.others = tuple(others)
            raise first

    # --- definitions without a name get one ---------------------------------------------------

    def _lift(self, definition: Definition) -> None:
        if isinstance(definition, TypedefDef):
            inner = definition.declaration
            if inner.kind == "plain" and isinstance(inner.type, EnumBody | StructBody | UnionBody):
                definition = TypeDef(inner.name, inner.type, definition.at, definition.doc)
            else:
                self._lift_inside(inner, f"{inner.name}.item", "")
        if isinstance(definition, TypeDef):
            self._lift_body(definition.name, definition.body)
        elif isinstance(definition, ProgramDef):
            for version in definition.versions:
                for procedure in version.procedures:
                    self._lift_inside(procedure.result, f"{procedure.name}.result", "")
                    for n, argument in enumerate(procedure.arguments, 1):
                        name = argument.name or f"arg{n}"
                        self._lift_inside(argument, f"{procedure.name}.{name}", "")
        self.definitions.append(definition)

    def _lift_body(self, parent: str, body: Body) -> None:
        for declaration in declarations(body):
            self._lift_inside(declaration, f"{parent}.{declaration.name}", parent)

    def _lift_inside(self, declaration: Declaration, name: str, parent: str) -> None:
        body = declaration.type
        if isinstance(body, EnumBody | StructBody | UnionBody):
            self._lift_body(name, body)
            shown = f"{declaration.name} of {parent}" if parent else name
            self.definitions.append(TypeDef(name, body, declaration.at, "", shown))
            declaration.type = Reference(name, declaration.at)

    # --- what each name means -----------------------------------------------------------------

    def _define(self, definition: Definition) -> None:
        # Types, constants and programs share one name space (RFC 4506 section 6.4).
        self._place(definition.name, definition.at)
        match definition:
            case ConstDef(name, value) | ProgramDef(name, value):
                self.is_value(value, UNSIGNED if isinstance(definition, ProgramDef) else _WIDEST)
                self.constants[name] = Constant(self.value(value))
            case TypeDef(name, EnumBody(members)):
                self.types.setdefault(name, definition)
                for member in members:
                    self._place(member.name, member.at)
                    self.is_value(member.value, INT)
                    self.constants[member.name] = Constant(self.value(member.value), definition)
            case _:
                self.types.setdefault(definition.name, definition)

    def _place(self, name: str, at: Position) -> None:
        if name in self._places:
            line = self._places[name].line
            self.error(f"{name!r} is defined twice, first in line {line}", at)
        self._places.setdefault(name, at)

    def is_value(self, value: Value, allowed: tuple[int, int] = _WIDEST) -> bool:
        """Whether ``value`` stands for a number that is ``allowed``; if not, it is a mistake."""
        low, high = allowed
        if isinstance(value, Name) and value.name not in self.constants:
            self.error(f"unknown constant {value.name!r}", value.at)
            return False
        if not low <= self.value(value) <= high:
            self.error(f"{self.value(value)} is not between {low} and {high}", value.at)
            return False
        return True

    def value(self, value: Value) -> int:
        """The number that ``value`` stands for, 0 for an unknown name."""
        if isinstance(value, Number):
            return value.value
        return self.constants.get(value.name, _UNKNOWN).value

    # --- questions about types ----------------------------------------------------------------

    def lookup(self, reference: Reference) -> AnyType | None:
        """The definition that a type's name refers to; an unknown one is a mistake, noted once."""
        definition = self.types.get(reference.name)
        if definition is None and reference.name not in self._unknown:
            self._unknown.add(reference.name)
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
        known = self._list_nodes.get(id(definition))
        if known is None:
            members = definition.body.members
            to_itself = [member for member in members if self.points_to(member) is definition]
            known = len(to_itself) == 1 and to_itself[0] is members[-1]
            self._list_nodes[id(definition)] = known
        return known

    def fields(self, definition: TypeDef, body: StructBody) -> list[Declaration]:
        """The members that a struct has in Python: a list node is without its pointer."""
        return body.members[:-1] if self.is_list_node(definition) else body.members

    def is_optional(self, declaration: Declaration) -> bool:
        """Whether a value may be ``None``: a pointer, but not to a list node."""
        behind = self.behind(declaration)
        return (
            isinstance(behind, Declaration)
            and behind.kind == "optional"
            and not self.is_list_node(self.points_to(declaration))
        )


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


def _plain(of: Type, at: Position) -> Declaration:
    return Declaration("plain", of, "", None, at)
