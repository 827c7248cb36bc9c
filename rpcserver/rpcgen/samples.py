"""A service module to start from: every method there, answering with an empty value."""

from __future__ import annotations

import re

from rpcserver.errors import UsageError
from rpcserver.rpcgen import layout, unions
from rpcserver.rpcgen.emitter import Emitter
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.names import Names
from rpcserver.rpcgen.programs import Method, is_null, methods_of
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.syntax import (
    Declaration,
    EnumBody,
    ProgramDef,
    Reference,
    StructBody,
    TypeDef,
    TypedefDef,
    UnionBody,
)

_LONGEST = 2000
_ZEROS = {"float": "0.0", "double": "0.0", "bool": "False", "quadruple": "xdr.Quad()"}


def sample(emitter: Emitter, module: str) -> str:
    """The text of a module that serves what the generated ``module`` describes.

    Each method returns the first value that its type has, so that it runs as it is. Raises
    ``IdlError`` if names meet, ``UsageError`` if there is nothing to serve.
    """
    emitter.run("")  # gives every name its place, and finds names that meet
    writer = _Writer(emitter)
    classes: list[str] = []
    services: list[str] = []
    for program in emitter.scope.definitions:
        if isinstance(program, ProgramDef):
            for version in program.versions:
                base = emitter.names.derived(version.name, "Service")
                name = base.removesuffix("Service")
                services.append(f"{name}()")
                classes.append(writer.service(name, base, methods_of(emitter, version)))
    if not services:
        raise UsageError(f"{emitter.scope.source.file} has no program: there is nothing to serve")
    main = layout.brackets("with rpcserver.serve(", services, ") as server:", INDENT)
    text = "\n\n\n".join([*classes, _MAIN.format(main)])
    more = ["rpc", *(["xdr"] if "xdr.Quad" in text else [])]
    head = [
        '"""A service to fill in; it runs as it is."""',
        f"import rpcserver\nfrom rpcserver import {', '.join(more)}",
        _import(module, writer.names.intersection(re.findall(r"\w+", text))),
    ]
    return "\n\n".join(head) + f"\n\n\n{text}\n"


_MAIN = """if __name__ == "__main__":
{}
        print(*server.endpoints, sep="\\n", flush=True)
        server.serve_forever()"""


def _import(module: str, names: set[str]) -> str:
    line = f"from {module} import {', '.join(sorted(names, key=_isort))}"
    if len(line) <= layout.WIDTH:
        return line
    inner = "".join(f"{INDENT}{name},\n" for name in sorted(names, key=_isort))
    return f"from {module} import (\n{inner})"


def _isort(name: str) -> tuple[int, list[tuple[str, int]], str]:
    """Where a name stands among those that are imported: constants, classes, the others, each
    in alphabetical order with numbers by their value."""
    kind = 2 if not name[:1].isupper() else 0 if name.isupper() and len(name) > 1 else 1
    pieces = re.findall(r"(\D*)(\d*)", name.lower())
    return kind, [(word, int(digits or -1)) for word, digits in pieces], name


class _TooLongError(Exception):
    """The first value of a type is nothing that a person would want to read."""


class _Writer:
    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._scope: Scope = emitter.scope
        self._python: Names = emitter.names
        self.names: set[str] = set()
        self._values: dict[str, str] = {}

    def service(self, name: str, base: str, methods: list[Method]) -> str:
        self.names.add(base)
        bodies = [
            self._method(method)
            for method in methods
            if not is_null(self._emitter, method.procedure)
        ]
        inside = "\n\n".join(bodies) or f"{INDENT}pass"
        return layout.brackets(f"class {name}(", [base], "):") + f"\n{inside}"

    def _method(self, method: Method) -> str:
        parameters = ["self", "call: rpc.Call", "/", *method.parameters(lambda text: text)]
        plain = [method.result.plain, *(kind.plain for _, kind in method.arguments)]
        for text in plain:
            self._note(text)
        head = layout.signature(f"def {method.name}", parameters, method.result.plain, INDENT)
        try:
            body = layout.returned(self.value(method.procedure.result), INDENT * 2)
        except _TooLongError:
            body = f"{INDENT * 2}raise rpc.ProcUnavail"
        return "\n".join([head, method.doc, body])

    def _note(self, expression: str) -> None:
        self.names |= self._emitter.module.names_in(expression)

    def value(self, declaration: Declaration) -> str:
        """An expression for the first value of a type."""
        match declaration.kind:
            case "void" | "optional":
                plain = self._emitter.expressions.of(declaration).plain
                return "[]" if plain.startswith("list[") else "None"
            case "string":
                return 'b""' if self._emitter.expressions.strings == "bytes" else '""'
            case "variable_opaque":
                return 'b""'
            case "fixed_opaque":
                assert declaration.size is not None
                return f"bytes({self._scope.value(declaration.size)})"
            case "variable_array":
                return "[]"
            case "fixed_array":
                assert declaration.type is not None and declaration.size is not None
                one = Declaration("plain", declaration.type, "", None, declaration.at)
                size = self._scope.value(declaration.size)
                return f"[{self.value(one)} for _ in range({size})]"
        of = declaration.type
        if not isinstance(of, Reference):
            return _ZEROS.get(getattr(of, "name", ""), "0")
        definition = self._scope.types[of.name]
        if isinstance(definition, TypedefDef):
            return self.value(definition.declaration)
        value = self._named(definition)
        return f"[{value}]" if self._scope.is_list_node(definition) else value

    def _named(self, definition: TypeDef) -> str:
        # Types that hold others twice and are held twice grow without bounds.
        value = self._values.get(definition.name) or self._whole(definition)
        self._values[definition.name] = value
        if len(value) > _LONGEST:
            raise _TooLongError
        return value

    def _whole(self, definition: TypeDef) -> str:
        name = self._python.type(definition.name)
        body = definition.body
        if isinstance(body, EnumBody):
            self.names.add(name)
            return f"{name}.{self._python.member(body.members[0].name)}"
        if isinstance(body, StructBody):
            self.names.add(name)
            members = self._scope.fields(definition, body)
            return f"{name}({', '.join(self.value(member) for member in members)})"
        return self._union(definition, body)

    def _union(self, definition: TypeDef, body: UnionBody) -> str:
        case = body.cases[0]
        name = unions.case_name(self._emitter, definition, case)
        self.names.add(name)
        parts = [] if case.arm.kind == "void" else [self.value(case.arm)]
        if len(case.labels) > 1:
            tag = self._python.field(body.discriminant.name)
            text = unions.label(self._emitter, case.labels[0], body)
            self._note(text)
            parts.append(f"{tag}={text}")
        return f"{name}({', '.join(parts)})"
