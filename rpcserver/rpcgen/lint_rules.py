"""The rules of ``lint`` about types and programs: a function each, from a scope to its findings."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from rpcserver.rpcgen.resolve import UNSIGNED, Scope
from rpcserver.rpcgen.syntax import (
    ConstDef,
    Declaration,
    Definition,
    Name,
    Position,
    ProcedureDef,
    ProgramDef,
    Reference,
    TypeDef,
    TypedefDef,
    Value,
    VersionDef,
    all_declarations,
    all_values,
)

USERS = range(0x20000000, 0x40000000)
"""Program numbers that everybody may take (RFC 5531 section 8.3)."""

_OTHERS = (
    (range(0x1), "is reserved:"),
    (range(0x1, USERS.start), "is IANA's to assign: unless it did,"),
    (range(USERS.stop, 0x60000000), "is among those that are picked at run time:"),
    (range(0x60000000, 1 << 32), "is reserved:"),
)
_UNLIMITED = {"string": "a string", "variable_opaque": "opaque data", "variable_array": "an array"}
_LONGEST_PATH = 80


def programs(scope: Scope) -> Iterator[ProgramDef]:
    """The programs of a file."""
    return (each for each in scope.definitions if isinstance(each, ProgramDef))


def procedures(scope: Scope) -> Iterator[tuple[ProgramDef, VersionDef, ProcedureDef]]:
    """The procedures of a file, and what they belong to."""
    for program in programs(scope):
        for version in program.versions:
            for procedure in version.procedures:
                yield program, version, procedure


# --- unbounded ----------------------------------------------------------------------------------


def unbounded(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Strings, opaque data and arrays without a limit in what a caller sends."""
    seen: set[str] = set()
    for _, _, procedure in procedures(scope):
        # What is in a file that this one imports is reported where this one refers to it.
        todo: deque[tuple[Declaration, str, Position | None]] = deque()
        for number, argument in enumerate(procedure.arguments, 1):
            name = "arg" if len(procedure.arguments) == 1 else f"arg{number}"
            todo.append((argument, argument.name or name, None))
        while todo:
            declaration, path, at = todo.popleft()
            if declaration.kind in _UNLIMITED and _is_unlimited(scope, declaration.size):
                what = f"{_UNLIMITED[declaration.kind]} of any length ({path})"
                message = f"{procedure.name} takes {what}: give it a limit, <N>"
                yield message, at or declaration.at
            of = declaration.type
            if not isinstance(of, Reference) or of.name not in scope.types or of.name in seen:
                continue
            seen.add(of.name)
            if of.name in scope.imported:
                at = at or declaration.at
            definition = scope.types[of.name]
            for inside in all_declarations(definition):
                by_name = isinstance(definition, TypedefDef)
                todo.append((inside, path if by_name else _longer(path, inside.name), at))


def _is_unlimited(scope: Scope, size: Value | None) -> bool:
    return size is None or scope.value(size) == UNSIGNED[1]


def _longer(path: str, name: str) -> str:
    start = path if len(path) < _LONGEST_PATH else path[: _LONGEST_PATH // 2] + " ..."
    return f"{start} -> {name}"


# --- unused -------------------------------------------------------------------------------------


def unused(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Types that no program needs; a file without a program is a library."""
    for definition in _not_needed(scope):
        if not isinstance(definition, ConstDef):
            message = f"no program needs the type {definition.name!r}: remove it, or use it"
            yield message, definition.at


def unused_constant(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Constants that no program needs; they may still mean something to those who call."""
    for definition in _not_needed(scope):
        if isinstance(definition, ConstDef):
            message = f"no program needs the constant {definition.name!r}: remove it, or use it"
            yield message, definition.at


def _not_needed(scope: Scope) -> Iterator[Definition]:
    definitions = {each.name: each for each in scope.definitions}
    todo: list[str] = [each.name for each in programs(scope)]
    if not todo:
        return
    for text in scope.source.defines.values():  # for the C compiler
        todo += re.findall(r"[A-Za-z_]\w*", text)
    needed: set[str] = set()
    for name in todo:  # which grows
        constant = scope.constants.get(name)
        owner = constant.enum.name if constant and constant.enum else name
        if owner in definitions and owner not in needed:
            needed.add(owner)
            todo += _uses(definitions[owner])
    for name, definition in definitions.items():
        # What is included is a library, and what has no name is told by what it stands in.
        if name not in needed and "." not in name and _is_own(scope, definition.at):
            yield definition


def _uses(definition: Definition) -> Iterator[str]:
    for declaration in all_declarations(definition):
        if isinstance(declaration.type, Reference):
            yield declaration.type.name
    for value in all_values(definition):
        if isinstance(value, Name):
            yield value.name


def _is_own(scope: Scope, at: Position) -> bool:
    return scope.source.error("", at).file == scope.source.file


# --- programs -----------------------------------------------------------------------------------


def program_number(scope: Scope) -> Iterator[tuple[str, Position]]:
    """A program number that is not for everybody to take."""
    for program in programs(scope):
        number = scope.value(program.number)
        for numbers, whose in _OTHERS:
            if number in numbers:
                users = f"{USERS.start:#x} to {USERS[-1]:#x}"
                message = f"{number:#x} {whose} take one from {users}"
                yield message, program.number.at


def version_gap(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Versions of a program that do not follow one another."""
    versions: dict[int, dict[int, Position]] = {}
    for program in programs(scope):  # one number may be in several of them
        known = versions.setdefault(scope.value(program.number), {})
        for version in program.versions:
            known[scope.value(version.number)] = version.number.at
    for known in versions.values():
        for low, high in pairwise(sorted(known)):
            if high > low + 1:
                missing = f"{low + 1}" if high == low + 2 else f"{low + 1} to {high - 1}"
                yield (
                    f"there is no version {missing}, which PROG_MISMATCH cannot tell a client: "
                    "number versions one after the other",
                    known[high],
                )


def null_procedure(scope: Scope) -> Iterator[tuple[str, Position]]:
    """A procedure 0 that takes or gives something (RFC 5531 section 12)."""
    for _, _, procedure in procedures(scope):
        if scope.value(procedure.number) == 0:
            has = [
                *(["an argument"] if procedure.arguments else []),
                *(["a result"] if procedure.result.kind != "void" else []),
            ]
            if has:
                yield (
                    f"{procedure.name} has {' and '.join(has)}, but procedure 0 is what everybody "
                    "calls to see whether a service lives: give it another number",
                    procedure.at,
                )


# --- recursion ----------------------------------------------------------------------------------


def recursion(scope: Scope) -> Iterator[tuple[str, Position]]:
    """Types inside themselves to any depth, other than as the rest of a list."""
    first: dict[int, tuple[TypeDef, Declaration]] = {}
    for definition, declaration in _circles(scope):
        first.setdefault(id(definition), (definition, declaration))
    for definition, declaration in first.values():
        inside = [each for part, each in _parts(scope, definition) if part is definition]
        if inside == [declaration] and scope.points_to(declaration) is definition:
            message = (
                f"{declaration.name!r} is not the last member, so {definition.name!r} is no list "
                "but nests without a limit: move it to the end"
            )
        else:
            message = (
                f"{declaration.name!r} lets {definition.name!r} contain itself to any depth, and "
                "C decodes until its stack ends: send an array <N> of parts that refer to one "
                "another by index"
            )
        yield message, declaration.at


def _circles(scope: Scope) -> Iterator[tuple[TypeDef, Declaration]]:
    """Each type that is met inside itself, and the declaration where."""
    done: set[int] = set()
    for start in scope.definitions:
        if not isinstance(start, TypeDef) or id(start) in done:
            continue
        path = {id(start): (start, iter(_parts(scope, start)))}
        while path:
            key, (_, rest) = next(reversed(path.items()))
            part, declaration = next(rest, (None, None))
            if part is None or declaration is None:
                path.popitem()
                done.add(key)
            elif id(part) in path:
                yield part, declaration
            elif id(part) not in done:
                path[id(part)] = (part, iter(_parts(scope, part)))


def _parts(scope: Scope, definition: TypeDef) -> list[tuple[TypeDef, Declaration]]:
    """The types of this file that a type is made of; for a list node without the rest."""
    found: list[tuple[TypeDef, Declaration]] = []
    inside = list(all_declarations(definition))
    for declaration in inside[:-1] if scope.is_list_node(definition) else inside:
        of = declaration.type
        while isinstance(of, Reference) and of.name not in scope.imported:
            part = scope.types.get(of.name)
            if isinstance(part, TypeDef):
                found.append((part, declaration))
            of = part.declaration.type if isinstance(part, TypedefDef) else None
    return found
