"""Programs to Python: for each version its table, a service base class, and two clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpcserver.rpcgen import layout
from rpcserver.rpcgen.expressions import Expression
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.syntax import Position, ProcedureDef, ProgramDef, VersionDef

if TYPE_CHECKING:
    from rpcserver.rpcgen.emitter import Emitter

_BODY = INDENT * 2


@dataclass(slots=True)
class Method:
    """A procedure with its Python names and types."""

    procedure: ProcedureDef
    attribute: str
    """its name in the version's table"""
    name: str
    arguments: list[tuple[str, Expression]]
    result: Expression

    @property
    def kinds(self) -> list[Expression]:
        """The types of the result and of the arguments."""
        return [self.result, *(kind for _, kind in self.arguments)]

    @property
    def doc(self) -> str:
        """The comment of the procedure, else its name."""
        return layout.docstring(self.procedure.doc or self.procedure.name, _BODY)

    def parameters(self, safe: Callable[[str], str]) -> list[str]:
        """The arguments as a signature has them."""
        return [f"{name}: {safe(kind.plain)}" for name, kind in self.arguments]


def emit(emitter: Emitter, program: ProgramDef) -> None:
    """Write all versions of ``program``."""
    for version in program.versions:
        _version(emitter, version, emitter.names.constant(program.name))


def methods_of(emitter: Emitter, version: VersionDef) -> list[Method]:
    """The procedures of a version under their Python names."""
    methods = []
    taken: dict[str, Position] = {}
    table = emitter.names.constant(version.name)  # which the methods of clients need
    for procedure in version.procedures:
        name = emitter.names.method(procedure.name)
        emitter.meet(taken, name, procedure.at)
        arguments: list[tuple[str, Expression]] = []
        names: dict[str, Position] = {}
        for position, argument in enumerate(procedure.arguments, 1):
            made_up = "arg" if len(procedure.arguments) == 1 else f"arg{position}"
            own = emitter.names.argument(argument.name) if argument.name else made_up
            own += "_" if own == table else ""
            emitter.meet(names, own, argument.at)
            arguments.append((own, emitter.expressions.of(argument)))
        attribute = emitter.names.field(procedure.name)
        result = emitter.expressions.of(procedure.result)
        methods.append(Method(procedure, attribute, name, arguments, result))
    return methods


def _version(emitter: Emitter, version: VersionDef, program: str) -> None:
    table = emitter.claim(emitter.names.constant(version.name), version.at)
    methods = methods_of(emitter, version)
    doc = [layout.docstring(version.doc, INDENT), ""] if version.doc else []
    emitter.module.add(table, [*_table(emitter, version, table, program, methods, doc)])
    signatures = [kind.plain for method in methods for kind in method.kinds]
    for ending in ("Service", "Client", "AsyncClient"):
        name = emitter.claim(emitter.names.derived(version.name, ending), version.at)
        safe = emitter.module.sheltered((each.name for each in methods), [*signatures, "rpc"])
        emitter.module.use(*map(safe, signatures))
        if ending == "Service":
            bodies = [_service(emitter, method, safe) for method in methods]
        else:
            asynchronous = ending == "AsyncClient"
            bodies = [_client(each, table, safe, asynchronous=asynchronous) for each in methods]
        head = layout.brackets(f"class {name}(", [f"rpc.{ending}", f"version={table}"], "):")
        emitter.module.add(name, [head, *doc, "\n\n".join(bodies)])


def _table(
    emitter: Emitter,
    version: VersionDef,
    table: str,
    program: str,
    methods: list[Method],
    doc: list[str],
) -> Iterator[str]:
    arguments = ["rpc.Version", f"prog={program}", f"vers={emitter.number(version.number)}"]
    yield layout.brackets(f"class {table}(", arguments, "):")
    yield from doc
    texts = [f"rpc {kind.plain} {kind.designator}" for each in methods for kind in each.kinds]
    safe = emitter.module.sheltered((method.attribute for method in methods), texts)
    emitter.module.use("rpc", *map(safe, texts))
    taken: dict[str, Position] = {}
    for method in methods:
        emitter.meet(taken, method.attribute, method.procedure.at)
        inside = ", ".join([
            emitter.number(method.procedure.number),
            f'"{method.name}"',
            f"[{', '.join(kind.designator for _, kind in method.arguments)}]",
            method.result.designator,
        ])  # fmt: skip
        kind = safe(f"rpc.Procedure[{method.result.plain}]")
        value = safe(f"rpc.Procedure({inside})")
        yield layout.assignment(f"{method.attribute}: {kind}", value, INDENT)
        if method.procedure.doc:
            yield layout.docstring(method.procedure.doc, INDENT)


def is_null(emitter: Emitter, procedure: ProcedureDef) -> bool:
    """Whether this is the procedure 0 that every program has."""
    is_0 = emitter.scope.value(procedure.number) == 0
    return is_0 and not procedure.arguments and procedure.result.kind == "void"


def _service(emitter: Emitter, method: Method, safe: Callable[[str], str]) -> str:
    parameters = ["self", f"call: {safe('rpc')}.Call", "/", *method.parameters(safe)]
    result = f"{safe('rpc')}.Result[{safe(method.result.plain)}]"
    head = layout.signature(f"def {method.name}", parameters, result, INDENT)
    body = "return None" if is_null(emitter, method.procedure) else "raise rpc.ProcUnavail"
    return "\n".join([head, method.doc, f"{_BODY}{body}"])


def _client(method: Method, table: str, safe: Callable[[str], str], *, asynchronous: bool) -> str:
    keyword, wait = ("async def", "await ") if asynchronous else ("def", "")
    parameters = ["self", *method.parameters(safe)]
    result = safe(method.result.plain)
    head = layout.signature(f"{keyword} {method.name}", parameters, result, INDENT)
    arguments = [f"{table}.{method.attribute}", *(name for name, _ in method.arguments)]
    call = layout.brackets(f"return {wait}self._call(", arguments, ")", _BODY)
    return "\n".join([head, method.doc, call])
