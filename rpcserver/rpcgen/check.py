"""What RFC 4506 and RFC 5531 forbid although the grammar lets it pass."""

from __future__ import annotations

from collections.abc import Iterable

from rpcserver.rpcgen.resolve import UNSIGNED, Scope, arms, declarations
from rpcserver.rpcgen.syntax import (
    Declaration,
    EnumBody,
    Name,
    Position,
    Primitive,
    ProgramDef,
    Reference,
    StructBody,
    TypeDef,
    TypedefDef,
    UnionBody,
)


def check(scope: Scope) -> None:
    """Raise ``IdlError`` for every mistake that can be found."""
    for definition in scope.definitions:
        match definition:
            case TypeDef(body=EnumBody()):
                pass  # members are constants, and looked at with these
            case TypeDef(name, body):
                for declaration in declarations(body):
                    _declaration(scope, declaration)
                if isinstance(body, UnionBody):
                    _union(scope, body)
                else:
                    _members(scope, name, body)
            case TypedefDef(declaration):
                if declaration.kind == "void":
                    scope.error("void is no type to name", declaration.at)
                _declaration(scope, declaration)
            case ProgramDef():
                _program(scope, definition)
    _recursion(scope)
    scope.raise_errors()


def _declaration(scope: Scope, declaration: Declaration) -> None:
    if isinstance(declaration.type, Reference):
        scope.lookup(declaration.type)
    if declaration.size is not None:
        scope.value(declaration.size, UNSIGNED)


def _unique(scope: Scope, what: str, names: Iterable[tuple[object, Position]]) -> None:
    first: dict[object, Position] = {}
    for name, at in names:
        if name in first:
            scope.error(f"{what} {name!r} is there twice, first in line {first[name].line}", at)
        first.setdefault(name, at)


def _members(scope: Scope, name: str, body: object) -> None:
    assert isinstance(body, StructBody)
    named = [member for member in body.members if member.kind != "void"]
    _unique(scope, f"member of {name}", ((member.name, member.at) for member in named))


def _union(scope: Scope, body: UnionBody) -> None:
    discriminant = scope.behind(body.discriminant)
    enum = discriminant if isinstance(discriminant, TypeDef) else None
    name = discriminant.name if isinstance(discriminant, Primitive) else ""
    ranges = {"int": (-(2**31), 2**31 - 1), "unsigned int": UNSIGNED, "bool": (0, 1)}
    if enum is not None and isinstance(enum.body, EnumBody):
        allowed = (-(2**31), 2**31 - 1)
    elif name in ranges:
        allowed = ranges[name]
    elif not isinstance(body.discriminant.type, Reference) or discriminant is not None:
        at = body.discriminant.at
        scope.error("a union switches over int, unsigned int, bool or an enum", at)
        return
    else:
        return  # an unknown type, and said to be one
    labels: list[tuple[object, Position]] = []
    for case in body.cases:
        for label in case.labels:
            number = scope.value(label, allowed)
            labels.append((label.name if isinstance(label, Name) else number, label.at))
            if enum is not None and number not in _numbers(scope, enum):
                shown = label.name if isinstance(label, Name) else number
                scope.error(f"{shown} is no member of enum {enum.name}", label.at)
    _unique(scope, "case", labels)
    for arm in arms(body):
        if arm.kind != "void" and not arm.name:
            scope.error("an arm needs a name", arm.at)


def _numbers(scope: Scope, enum: TypeDef) -> set[int]:
    assert isinstance(enum.body, EnumBody)
    return {scope.value(member.value) for member in enum.body.members}


def _program(scope: Scope, program: ProgramDef) -> None:
    versions = program.versions
    _unique(scope, "version", ((each.name, each.at) for each in versions))
    numbers = [(scope.value(each.number, UNSIGNED), each.number.at) for each in versions]
    _unique(scope, "version number", numbers)
    for version in versions:
        procedures = version.procedures
        _unique(scope, "procedure", ((each.name, each.at) for each in procedures))
        numbers = [(scope.value(each.number, UNSIGNED), each.number.at) for each in procedures]
        _unique(scope, "procedure number", numbers)
        for procedure in procedures:
            for declaration in (procedure.result, *procedure.arguments):
                _declaration(scope, declaration)
            for argument in procedure.arguments:
                if argument.kind == "void":
                    scope.error("void stands alone or not at all", argument.at)


def _recursion(scope: Scope) -> None:
    """A type that holds itself without a pointer or ``<>`` between would never end."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        definition = scope.types.get(name)
        if name in done or definition is None:
            return
        if isinstance(definition, TypedefDef):
            inside = [definition.declaration]
        else:
            inside = list(declarations(definition.body))
        for declaration in inside:
            of = declaration.type
            if declaration.kind in ("plain", "fixed_array") and isinstance(of, Reference):
                if of.name in (*path, name):
                    what = f"{of.name!r} contains itself without end: make it a pointer (*)"
                    scope.error(what, declaration.at)
                else:
                    visit(of.name, (*path, name))
        done.add(name)

    for name in scope.types:
        visit(name, ())
