"""A service module to start from: every method there, answering with an empty value."""

from __future__ import annotations

import re
from collections.abc import Callable

from rpcserver.errors import UsageError
from rpcserver.rpcgen import layout, unions
from rpcserver.rpcgen.emitter import Emitter
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.module import Module
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
    emitter.run("")  # finds names that meet
    writer = _Writer(emitter)
    services: list[str] = []
    for program in emitter.scope.definitions:
        if isinstance(program, ProgramDef):
            for version in program.versions:
                base = emitter.names.derived(version.name, "Service")
                name = base.removesuffix("Service")
                services.append(f"{name}()")
                writer.service(name, base, methods_of(emitter, version))
    if not services:
        raise UsageError(f"{emitter.scope.source.file} has no program: there is nothing to serve")
    main = layout.brackets("with rpcserver.serve(", services, ") as server:", INDENT)
    text = writer.module.body(imports=True) + "\n\n" + _MAIN.format(main)
    said = set(re.findall(r"\w+", text))  # and not only tried
    writer.module.imported &= said
    names = writer.names & said
    head = ['"""A service to fill in; it runs as it is."""', "", "import rpcserver"]
    generated = layout.imported(module, sorted(names, key=layout.isort))
    return "\n".join([*head, *writer.module.imports(), "", generated]) + text


_MAIN = """if __name__ == "__main__":
{}
        print(*server.endpoints, sep="\\n", flush=True)
        server.serve_forever()
"""


class _NoValueError(Exception):
    """A type has no first value, or none that a person would want to read."""


class _Writer:
    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._scope: Scope = emitter.scope
        self._python: Names = emitter.names
        self.module = Module(emitter.own, emitter.imports, emitter.module_of, emitter.own)
        self.names: set[str] = set()
        self._values: dict[str, str | None] = {}

    def service(self, name: str, base: str, methods: list[Method]) -> None:
        self.names.add(base)
        to_fill = [each for each in methods if not is_null(self._emitter, each.procedure)]
        texts = ["rpc", *(kind.plain for method in to_fill for kind in method.kinds)]
        safe = self.module.sheltered((method.name for method in to_fill), texts)
        bodies = [self._method(method, safe) for method in to_fill]
        inside = "\n\n".join(bodies) or f"{INDENT}pass"
        self.module.add(name, [layout.brackets(f"class {name}(", [base], "):"), inside])

    def _method(self, method: Method, safe: Callable[[str], str]) -> str:
        parameters = ["self", f"call: {safe('rpc')}.Call", "/", *method.parameters(safe)]
        result = safe(method.result.plain)
        self.module.use(safe("rpc"))
        for kind in method.kinds:
            self.module.use(safe(kind.plain))
            self._note(kind.plain)
        head = layout.signature(f"def {method.name}", parameters, result, INDENT)
        if method.procedure.result.kind == "void":
            return "\n".join([head, method.doc])
        try:
            value = self.value(method.procedure.result)
        except _NoValueError:
            body, value = f"{INDENT * 2}raise rpc.ProcUnavail", "rpc"
        else:
            # An argument called as a type hides it.
            hidden = [name for name, _ in method.arguments]
            value = self.module.sheltered(hidden, [value])(value)
            body = layout.returned(value, INDENT * 2)
        self.module.use(value)
        return "\n".join([head, method.doc, body])

    def _note(self, expression: str) -> None:
        self.names |= self._emitter.module.names_in(expression)

    def _take(self, name: str) -> None:
        if name in self._emitter.imports:
            self.module.use(name)
        else:
            self.names.add(name)

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
        definition = self._scope.types.get(of.name)
        if definition is None:
            raise _NoValueError  # only its user knows one
        if isinstance(definition, TypedefDef):
            return self.value(definition.declaration)
        value = self._named(definition)
        return f"[{value}]" if self._scope.is_list_node(definition) else value

    def _named(self, definition: TypeDef) -> str:
        # Types that hold others twice and are held twice grow without bounds; and a union may
        # hold itself. Until there is a value, the type has none.
        if definition.name not in self._values:
            self._values[definition.name] = None
            self._values[definition.name] = self._whole(definition)
        value = self._values[definition.name]
        if value is None or len(value) > _LONGEST:
            raise _NoValueError
        return value

    def _whole(self, definition: TypeDef) -> str:
        name = self._python.type(definition.name)
        body = definition.body
        if isinstance(body, EnumBody):
            self._take(name)
            return f"{name}.{self._python.member(body.members[0].name, definition.name)}"
        if isinstance(body, StructBody):
            self._take(name)
            members = self._scope.fields(definition, body)
            return f"{name}({', '.join(self.value(member) for member in members)})"
        return self._union(definition, body)

    def _union(self, definition: TypeDef, body: UnionBody) -> str:
        for case in body.cases:
            try:
                parts = [] if case.arm.kind == "void" else [self.value(case.arm)]
            except _NoValueError:
                continue
            name = unions.case_name(self._emitter, definition, case)
            self._take(name)
            if len(case.labels) > 1:
                tag = self._python.field(body.discriminant.name)
                text = unions.label(self._emitter, case.labels[0], body)
                self._note(text)
                parts.append(f"{tag}={text}")
            return f"{name}({', '.join(parts)})"
        raise _NoValueError
