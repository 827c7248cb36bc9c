"""A service module to start from: every method there, answering with an empty value."""

from __future__ import annotations

import re

from rpcserver.rpcgen import layout
from rpcserver.rpcgen.emitter import Emitter
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.names import Names
from rpcserver.rpcgen.programs import Method, is_null, methods_of
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.syntax import (
    Declaration,
    EnumBody,
    Name,
    ProgramDef,
    Reference,
    StructBody,
    TypeDef,
    TypedefDef,
    UnionBody,
)

_ZEROS = {"float": "0.0", "double": "0.0", "bool": "False", "quadruple": "xdr.Quad()"}


def sample(emitter: Emitter, module: str) -> str:
    """The text of a module that serves what the generated ``module`` describes.

    Each method returns the first value that its type has, so that it runs as it is.
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
                services.append(name)
                classes.append(writer.service(name, base, methods_of(emitter, version)))
    text = "\n\n\n".join([*classes, _MAIN.format(services=", ".join(f"{s}()" for s in services))])
    more = ["rpc", *(["xdr"] if "xdr.Quad" in text else [])]
    head = [
        '"""A service to fill in; it runs as it is."""',
        f"import rpcserver\nfrom rpcserver import {', '.join(more)}",
        _import(module, writer.names),
    ]
    return "\n\n".join(head) + f"\n\n\n{text}\n"


_MAIN = """if __name__ == "__main__":
    with rpcserver.serve({services}) as server:
        print(*server.endpoints, sep="\\n", flush=True)
        server.serve_forever()"""


def _import(module: str, names: set[str]) -> str:
    line = f"from {module} import {', '.join(sorted(names, key=_isort))}"
    if len(line) <= layout.WIDTH:
        return line
    inner = "".join(f"{INDENT}{name},\n" for name in sorted(names, key=_isort))
    return f"from {module} import (\n{inner})"


def _isort(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


class _Writer:
    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._scope: Scope = emitter.scope
        self._python: Names = emitter.names
        self.names: set[str] = set()

    def service(self, name: str, base: str, methods: list[Method]) -> str:
        self.names.add(base)
        bodies = [self._method(method) for method in methods if not is_null(method.procedure)]
        inside = "\n\n".join(bodies) or f"{INDENT}pass"
        return f"class {name}({base}):\n{inside}"

    def _method(self, method: Method) -> str:
        parameters = ["self", "call: rpc.Call", "/", *method.parameters(lambda text: text)]
        plain = [method.result.plain, *(kind.plain for _, kind in method.arguments)]
        for text in plain:
            self._note(text)
        tail = f") -> {method.result.plain}:"
        head = layout.brackets(f"def {method.name}(", parameters, tail, INDENT)
        value = self.value(method.procedure.result)
        return "\n".join([head, method.doc, f"{INDENT * 2}return {value}"])

    def _note(self, expression: str) -> None:
        words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", expression))
        self.names |= words & self._emitter.module.defined

    def value(self, declaration: Declaration) -> str:
        """An expression for the first value of a type."""
        match declaration.kind:
            case "void" | "optional":
                target = self._scope.points_to(declaration)
                return "[]" if target and self._scope.is_list_node(target) else "None"
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
        name = self._python.type(definition.name)
        body = definition.body
        if isinstance(body, EnumBody):
            self.names.add(name)
            return f"{name}.{self._python.member(body.members[0].name)}"
        if isinstance(body, StructBody):
            self.names.add(name)
            members = [member for member in body.members if member.kind != "void"]
            if self._scope.is_list_node(definition):
                members.pop()
            return f"{name}({', '.join(self.value(member) for member in members)})"
        return self._union(definition, body)

    def _union(self, definition: TypeDef, body: UnionBody) -> str:
        case = body.cases[0]
        label = case.labels[0]
        spelled = label.name if isinstance(label, Name) else str(label.value)
        name = self._python.arm(definition.name, spelled)
        self.names.add(name)
        parts = [] if case.arm.kind == "void" else [self.value(case.arm)]
        if len(case.labels) > 1:
            tag = self._python.field(body.discriminant.name)
            text = self._emitter.label(label, body)
            self._note(text)
            parts.append(f"{tag}={text}")
        return f"{name}({', '.join(parts)})"
