"""Types without a name (a struct inside a struct) get one: the path to them, ``outer.inner``."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.rpcgen.syntax import (
    Body,
    Declaration,
    Definition,
    EnumBody,
    Name,
    ProgramDef,
    Reference,
    StructBody,
    TypeDef,
    TypedefDef,
    UnionBody,
    declarations,
)

_KINDS: dict[type, str] = {EnumBody: "enum", StructBody: "struct", UnionBody: "union"}


def lift(definition: Definition) -> Iterator[Definition]:
    """The types without a name in ``definition``, innermost first, then ``definition`` itself,
    which now refers to them by the name that each got."""
    if isinstance(definition, TypedefDef):
        inner = definition.declaration
        if inner.kind == "plain" and isinstance(inner.type, EnumBody | StructBody | UnionBody):
            definition = TypeDef(inner.name, inner.type, definition.at, definition.doc)
        else:
            yield from _inside(inner, f"{inner.name}.item", "")
    if isinstance(definition, TypeDef):
        yield from _body(definition.name, definition.body)
    elif isinstance(definition, ProgramDef):
        for version in definition.versions:
            for procedure in version.procedures:
                yield from _inside(procedure.result, f"{procedure.name}.result", "")
                for n, argument in enumerate(procedure.arguments, 1):
                    name = argument.name or f"arg{n}"
                    yield from _inside(argument, f"{procedure.name}.{name}", "")
    yield definition


def _body(parent: str, body: Body) -> Iterator[Definition]:
    labels = {_bare(each) for each in _labels(body)}
    for declaration in declarations(body):
        name = f"{parent}.{declaration.name}"
        if _bare(declaration.name) in labels:  # the arm's class is called so
            name += f".{_KINDS.get(type(declaration.type), '')}"
        yield from _inside(declaration, name, parent)


def _labels(body: Body) -> Iterator[str]:
    if isinstance(body, UnionBody):
        yield "default"
        for case in body.cases:
            yield from (label.name for label in case.labels[:1] if isinstance(label, Name))


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _inside(declaration: Declaration, name: str, parent: str) -> Iterator[Definition]:
    body = declaration.type
    if isinstance(body, EnumBody | StructBody | UnionBody):
        yield from _body(name, body)
        shown = f"{declaration.name} of {parent}" if parent else name
        yield TypeDef(name, body, declaration.at, "", shown)
        declaration.type = Reference(name, declaration.at)
