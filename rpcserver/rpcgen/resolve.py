"""What the names in a syntax tree mean, and whether that makes sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rpcserver.errors import IdlError
from rpcserver.rpcgen.c_types import C_TYPES
from rpcserver.rpcgen.condition import ConditionError, evaluate
from rpcserver.rpcgen.lift import lift
from rpcserver.rpcgen.source import Source, raise_all
from rpcserver.rpcgen.syntax import (
    ConstDef,
    Declaration,
    Definition,
    EnumBody,
    Member,
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
    all_declarations,
    all_values,
    meaning,
)

INT = (-(2**31), 2**31 - 1)
UNSIGNED = (0, 2**32 - 1)
_WIDEST = (-(2**63), 2**64 - 1)

MAX_ERRORS = 100
"""More mistakes than these are not looked for."""

AnyType: TypeAlias = TypeDef | TypedefDef


@dataclass(slots=True)
class Constant:
    """What a name for a value means; ``enum`` is the definition that it is a member of, and
    ``defined`` whether the file itself defines it (not a C header or a procedure's number)."""

    value: int
    enum: TypeDef | None = None
    defined: bool = True


_UNKNOWN = Constant(0)


class Scope:
    """The definitions of a file with every name looked up.

    ``definitions`` are in source order, those without a name (a struct inside a struct) before
    what they stand in, under the path to them: ``outer.inner``. What they lack is taken from
    ``imports``, the files that the source imports; ``imported`` says from which. Mistakes are
    collected: ``raise_errors`` raises them as one ``IdlError``.
    """

    def __init__(
        self,
        specification: Specification,
        source: Source,
        imports: Callable[[], Iterable[tuple[Path, Scope]]] = tuple,
    ) -> None:
        self.source = source
        self.imported: dict[str, Path] = {}
        self.doc = specification.doc
        self.definitions: list[Definition] = []
        self.types: dict[str, AnyType] = {}
        self.constants = {"TRUE": Constant(1, None, False), "FALSE": Constant(0, None, False)}
        self.custom: dict[str, Position] = {}
        self._places: dict[str, Position] = {}
        self._errors: dict[Position, IdlError] = {}
        self._header = dict(source.defines)
        self._list_nodes: dict[int, bool] = {}
        self._raw: dict[str, tuple[Value | None, str, TypeDef | None]] = {}
        self._first: dict[str, Definition] = {}
        lifted = [each for definition in specification.definitions for each in lift(definition)]
        self._programs([each for each in lifted if isinstance(each, ProgramDef)])
        self.definitions = [each for each in lifted if self._define(each)]
        if any(self._is_missing(definition) for definition in self.definitions):
            for path, other in imports():
                self._import(path, other)
        for name in self._raw:
            self._evaluate(name)
        for definition in self.definitions:
            self._check_constants(definition)
            self._replace_c_types(definition)

    def _programs(self, programs: list[ProgramDef]) -> None:
        taken: set[str] = set()
        for program in programs:
            names = {version.name for version in program.versions}
            for version in program.versions:
                if version.name in taken:  # V1 of another program
                    version.name = f"{program.name}_{version.name}"
                for each in version.procedures:
                    if isinstance(each.number, Number):
                        self._header.setdefault(each.name, each.number.text)
            taken |= names

    def error(self, message: str, at: Position) -> None:
        """Note a mistake, and go on to find others; one for a place is enough."""
        self._errors.setdefault(at, self.source.error(message, at))
        if len(self._errors) >= MAX_ERRORS:
            self.raise_errors()

    def raise_errors(self) -> None:
        """Raise what was noted, if anything was."""
        raise_all([error for _, error in sorted(self._errors.items())])

    # --- what each name means -----------------------------------------------------------------

    def _define(self, definition: Definition) -> bool:
        """Take a definition; whether it is one, and not the second of two that are equal."""
        # Types, constants and programs share one name space (RFC 4506 section 6.4).
        if isinstance(definition, TypedefDef) and _says_nothing(definition):
            return False  # typedef struct x x;
        first = self._first.setdefault(definition.name, definition)
        if first is not definition and meaning(first) == meaning(definition):
            return False
        self._place(definition.name, definition.at)
        match definition:
            case ConstDef(name, str()):
                pass
            case ConstDef(name, value) | ProgramDef(name, value):
                assert not isinstance(value, str)
                self._raw.setdefault(name, (value, "", None))
            case TypeDef(name, EnumBody(members)):
                self.types.setdefault(name, definition)
                before = ""
                for member in members:
                    self._member(member, before, definition)
                    before = member.name
            case _:
                self.types.setdefault(definition.name, definition)
        return True

    def _member(self, member: Member, before: str, enum: TypeDef) -> None:
        # Enums without a name are C's way to write constants; the same one twice is no harm.
        known = self._raw.get(member.name)
        if known is None or known[0] is None or meaning(known[0]) != meaning(member.value):
            self._place(member.name, member.at)
        self._raw.setdefault(member.name, (member.value, before, enum))

    def _place(self, name: str, at: Position) -> None:
        if name in self._places:
            first = self.source.line(self._places[name])
            self.error(f"{name!r} is defined twice, first in {first}", at)
        self._places.setdefault(name, at)

    def _is_missing(self, definition: Definition) -> bool:
        """Whether ``definition`` needs something that the file does not define."""
        types = (each.type for each in all_declarations(definition))
        return any(
            isinstance(each, Reference) and each.name not in self.types and each.name not in C_TYPES
            for each in types
        ) or any(
            isinstance(each, Name)
            and not any(each.name in known for known in (self._raw, self.constants, self._header))
            for each in all_values(definition)
        )

    def _import(self, path: Path, other: Scope) -> None:
        """Take over what another file defines; what is defined here goes before."""
        for name in [*other.types, *other.custom, *other.constants]:
            if name not in self.types and name not in self._raw and name not in self.constants:
                self.imported.setdefault(name, other.imported.get(name, path))
        for name, definition in other.types.items():
            self.types.setdefault(name, definition)
        for name, constant in other.constants.items():
            if name not in self._raw:
                self.constants.setdefault(name, constant)
        for name, text in other._header.items():
            self._header.setdefault(name, text)

    def _evaluate(self, name: str) -> None:
        """Find the number of a constant; it may be defined by others, before or behind it."""
        chain: dict[str, None] = {}
        while name in self._raw and name not in self.constants and name not in chain:
            chain[name] = None
            value, before, _ = self._raw[name]
            name = before if value is None else value.name if isinstance(value, Name) else ""
        if name in chain:
            self.error(f"constant {name!r} is defined by itself", self._places[name])
        for each in reversed(chain):
            value, before, enum = self._raw[each]
            if value is None:
                number = self.constants[before].value + 1 if before in self.constants else 0
            else:
                number = self.value(value)
            self.constants[each] = Constant(number, enum)

    def _check_constants(self, definition: Definition) -> None:
        match definition:
            case ConstDef(_, Number() | Name() as value):
                self.is_value(value, _WIDEST)
            case ProgramDef(_, value):
                self.is_value(value, UNSIGNED)
            case TypeDef(_, EnumBody(members)):
                for member in members:
                    if member.value is None:
                        number = self.constants[member.name].value
                        member.value = Number(str(number), member.at)
                    self.is_value(member.value, INT)

    def _replace_c_types(self, definition: Definition) -> None:
        for declaration in all_declarations(definition):
            of = declaration.type
            if isinstance(of, Reference) and of.name in C_TYPES and of.name not in self.types:
                declaration.type = Primitive(C_TYPES[of.name], of.at)
        match definition:
            case TypeDef(body=UnionBody(Declaration("plain", Reference(name, at)) as switch)):
                if name not in self.types:  # from a header, and whatever it is, sent as an int
                    switch.type = Primitive("int", at)

    def _know(self, name: str) -> bool:
        """Whether a constant is known; if need be from a ``%#define``, or as a procedure."""
        if name in self.constants or name in self._raw:
            return name in self.constants
        text = name
        for _ in range(10):  # what is defined by other names
            text = re.sub(r"[A-Za-z_]\w*", lambda word: self._header.get(word[0], word[0]), text)
        if re.search(r"[A-Za-z_]", re.sub(r"0[xX][0-9a-fA-F]+", "", text)):
            return False
        try:
            self.constants[name] = Constant(evaluate(text), None, False)
        except ConditionError:
            return False
        return True

    def is_value(self, value: Value, allowed: tuple[int, int] = _WIDEST) -> bool:
        """Whether ``value`` stands for a number that is ``allowed``; if not, it is a mistake."""
        low, high = allowed
        if isinstance(value, Name) and not self._know(value.name):
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
        self._know(value.name)
        return self.constants.get(value.name, _UNKNOWN).value

    # --- questions about types ----------------------------------------------------------------

    def lookup(self, reference: Reference) -> AnyType | None:
        """The definition that a type's name refers to; ``None`` for one that the file does not
        define: its codec is the user's, as in rpcgen."""
        definition = self.types.get(reference.name)
        if definition is None and reference.name not in self.imported:
            self.custom.setdefault(reference.name, reference.at)
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


def _says_nothing(definition: TypedefDef) -> bool:
    declaration = definition.declaration
    match declaration.type:
        case Reference(name, _, tagged=True):
            return declaration.kind == "plain" and name == declaration.name
    return False


def _plain(of: Type, at: Position) -> Declaration:
    return Declaration("plain", of, "", None, at)
