"""What RFC 4506 and RFC 5531 forbid although the grammar lets it pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rpcserver.rpcgen.resolve import INT, UNSIGNED, AnyType, Scope
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
    arms,
    declarations,
)

MAX_DEPTH = 50
"""Types inside one another by value; the codec's Python calls are as many times a few deep."""

MAX_ARMS = 1000
"""Of a union: Python's compiler takes ``A | B | ...`` as so many expressions inside one another."""

_RANGES = {"int": INT, "unsigned int": UNSIGNED, "bool": (0, 1)}


def check(scope: Scope) -> None:
    """Raise ``IdlError`` for every mistake that can be found."""
    if _endless(scope, _by_name, "typedef {!r} is defined by itself") or _endless(
        scope, _by_value, "a type cannot contain itself: make {!r} a pointer (*)"
    ):
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
            place = scope.source.line(first[name])
            scope.error(f"{what} {name!r} is there twice, first in {place}", at)
        first.setdefault(name, at)


def _union(scope: Scope, body: UnionBody) -> None:
    if len(body.cases) > MAX_ARMS:
        scope.error(f"more than {MAX_ARMS} arms", body.cases[MAX_ARMS].arm.at)
    on = scope.behind(body.discriminant)
    members: set[int] = set()
    if isinstance(on, TypeDef) and isinstance(on.body, EnumBody):
        allowed = INT
        members = {scope.constants[member.name].value for member in on.body.members}
    elif isinstance(on, Primitive) and on.name in _RANGES:
        allowed = _RANGES[on.name]
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


def _by_value(scope: Scope, definition: AnyType) -> list[tuple[str, Declaration]]:
    """The types that one holds without a pointer or ``<>`` between, and where it does."""
    if isinstance(definition, TypedefDef):
        inside = [definition.declaration]
    elif isinstance(definition.body, UnionBody):
        inside = list(arms(definition.body))
    else:
        inside = list(declarations(definition.body))
    held = [
        (each.type.name, each)
        for each in inside
        if each.kind in ("plain", "fixed_array")
        and isinstance(each.type, Reference)
        and each.type.name in scope.types
    ]
    # A union with an arm that holds no other type has a way out.
    return [] if _is_union(definition) and len(held) < len(inside) else held


def _by_name(scope: Scope, definition: AnyType) -> list[tuple[str, Declaration]]:
    """The typedef that a typedef is made of."""
    if isinstance(definition, TypedefDef):
        of = definition.declaration.type
        if isinstance(of, Reference) and isinstance(scope.types.get(of.name), TypedefDef):
            return [(of.name, definition.declaration)]
    return []


def _is_union(definition: AnyType) -> bool:
    return isinstance(definition, TypeDef) and isinstance(definition.body, UnionBody)


def _endless(
    scope: Scope,
    parts: Callable[[Scope, AnyType], list[tuple[str, Declaration]]],
    message: str,
) -> bool:
    """Whether types lead back to themselves, or too deep, by way of their ``parts``.

    A type ends if all its parts end, a union if one of its arms does.
    """
    inside = {name: parts(scope, definition) for name, definition in scope.types.items()}
    missing = {
        name: min(len(inside[name]), 1) if _is_union(definition) else len(inside[name])
        for name, definition in scope.types.items()
    }
    users: dict[str, list[str]] = {name: [] for name in inside}
    for name, held in inside.items():
        for part, _ in held:
            users[part].append(name)
    ends = [name for name, count in missing.items() if not count]
    depths = dict.fromkeys(inside, 1)
    for name in ends:
        for user in users[name]:
            missing[user] -= 1
            if missing[user] >= 0:
                depths[user] = max(depths[user], depths[name] + 1)
            if missing[user] == 0:
                ends.append(user)
    too_deep = [name for name in ends if depths[name] == MAX_DEPTH]
    for name in too_deep:
        scope.error(f"more than {MAX_DEPTH} types inside one another", scope.types[name].at)
    endless = {name for name, count in missing.items() if count > 0}
    _report(scope, {name: inside[name] for name in inside if name in endless}, message)
    return bool(too_deep or endless)


def _report(scope: Scope, endless: dict[str, list[tuple[str, Declaration]]], message: str) -> None:
    """One error for each circle."""
    seen: set[str] = set()
    for start in endless:
        circle: set[str] = set()
        name = start
        while name not in seen:
            seen.add(name)
            circle.add(name)
            name, declaration = next(part for part in endless[name] if part[0] in endless)
            if name in circle:
                scope.error(message.format(declaration.name), declaration.at)
