"""What RFC 4506 and RFC 5531 forbid although the grammar lets it pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rpcserver.rpcgen.resolve import INT, UNSIGNED, AnyType, Scope, declarations
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
    Value,
)

MAX_DEPTH = 50
"""Types inside one another by value; the codec's Python calls are as many times a few deep."""

_RANGES = {"int": INT, "unsigned int": UNSIGNED, "bool": (0, 1)}


def check(scope: Scope) -> None:
    """Raise ``IdlError`` for every mistake that can be found."""
    _endless(scope, _by_name, "typedef {!r} is defined by itself")
    scope.raise_errors()
    _endless(scope, _by_value, "a type cannot contain itself: make {!r} a pointer (*)")
    scope.raise_errors()  # what follows could not end
    for definition in scope.definitions:
        match definition:
            case TypeDef(body=StructBody() | UnionBody() as body):
                for declaration in declarations(body):
                    _declaration(scope, declaration)
                if isinstance(body, UnionBody):
                    _union(scope, body)
                else:
                    _unique(scope, "member", ((each.name, each.at) for each in body.members))
            case TypedefDef(declaration):
                _declaration(scope, declaration)
            case ProgramDef():
                _program(scope, definition)
    scope.raise_errors()


def _declaration(scope: Scope, declaration: Declaration) -> None:
    if isinstance(declaration.type, Reference):
        scope.lookup(declaration.type)
    if declaration.size is not None:
        scope.is_value(declaration.size, UNSIGNED)


def _unique(scope: Scope, what: str, names: Iterable[tuple[object, Position]]) -> None:
    first: dict[object, Position] = {}
    for name, at in names:
        if name in first:
            scope.error(f"{what} {name!r} is there twice, first in line {first[name].line}", at)
        first.setdefault(name, at)


def _union(scope: Scope, body: UnionBody) -> None:
    on = scope.behind(body.discriminant)
    members: set[int] = set()
    if isinstance(on, TypeDef) and isinstance(on.body, EnumBody):
        allowed = INT
        members = {scope.value(member.value) for member in on.body.members}
    elif isinstance(on, Primitive) and on.name in _RANGES:
        allowed = _RANGES[on.name]
    elif on is None:
        return  # an unknown type, and said to be one
    else:
        message = "a union switches over int, unsigned int, bool or an enum"
        scope.error(message, body.discriminant.at)
        return
    labels: list[tuple[int, Position]] = []
    for label in (label for case in body.cases for label in case.labels):
        if not scope.is_value(label, allowed):
            continue
        number = scope.value(label)
        labels.append((number, label.at))
        if members and number not in members:
            scope.error(f"{_shown(label)} is no member of enum {on.name}", label.at)
    _unique(scope, "case", labels)


def _shown(value: Value) -> str:
    return value.name if isinstance(value, Name) else value.text


def _program(scope: Scope, program: ProgramDef) -> None:
    versions = program.versions
    _unique(scope, "version", ((each.name, each.at) for each in versions))
    _unique(scope, "version number", _numbers(scope, (each.number for each in versions)))
    for version in versions:
        procedures = version.procedures
        _unique(scope, "procedure", ((each.name, each.at) for each in procedures))
        _unique(scope, "procedure number", _numbers(scope, (each.number for each in procedures)))
        for procedure in procedures:
            for declaration in (procedure.result, *procedure.arguments):
                _declaration(scope, declaration)
            for argument in procedure.arguments:
                if argument.kind == "void":
                    scope.error("void stands alone or not at all", argument.at)


def _numbers(scope: Scope, values: Iterable[Value]) -> Iterator[tuple[int, Position]]:
    for value in values:
        if scope.is_value(value, UNSIGNED):
            yield scope.value(value), value.at


def _by_value(scope: Scope, definition: AnyType) -> Iterator[Declaration]:
    """What a type holds without a pointer or ``<>`` between."""
    if isinstance(definition, TypedefDef):
        inside: Iterable[Declaration] = [definition.declaration]
    else:
        inside = declarations(definition.body)
    return (each for each in inside if each.kind in ("plain", "fixed_array"))


def _by_name(scope: Scope, definition: AnyType) -> Iterator[Declaration]:
    """The typedef that a typedef is made of."""
    if isinstance(definition, TypedefDef):
        of = definition.declaration.type
        if isinstance(of, Reference) and isinstance(scope.types.get(of.name), TypedefDef):
            yield definition.declaration


def _endless(
    scope: Scope, parts: Callable[[Scope, AnyType], Iterator[Declaration]], message: str
) -> None:
    """Look for types that lead back to themselves, or too deep, by way of their ``parts``."""
    depths: dict[str, int] = {}
    for start in scope.types:
        path = {start: 0}
        walks = [(start, parts(scope, scope.types[start]))] if start not in depths else []
        while walks:
            name, walk = walks[-1]
            for declaration in walk:
                of = declaration.type
                if not isinstance(of, Reference) or of.name not in scope.types:
                    continue
                if of.name in path:
                    scope.error(message.format(declaration.name), declaration.at)
                elif of.name in depths:
                    path[name] = max(path[name], depths[of.name])
                else:
                    path[of.name] = 0
                    walks.append((of.name, parts(scope, scope.types[of.name])))
                    break
            else:
                walks.pop()
                depths[name] = path.pop(name) + 1
                if depths[name] == MAX_DEPTH:
                    scope.error(
                        f"more than {MAX_DEPTH} types inside one another", scope.types[name].at
                    )
                if walks:
                    outer = walks[-1][0]
                    path[outer] = max(path[outer], depths[name])
