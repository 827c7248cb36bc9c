"""Programs to Python: for each version its table, a service base class, and two clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpcserver.rpcgen import layout
from rpcserver.rpcgen.expressions import Expression, number
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.syntax import Number, Position, ProcedureDef, ProgramDef, Value, VersionDef

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


def _number(emitter: Emitter, value: Value) -> str:
    return number(value) if isinstance(value, Number) else str(emitter.scope.value(value))


def methods_of(emitter: Emitter, version: VersionDef) -> list[Method]:
    """The procedures of a version under their Python names."""
    methods = []
    taken: dict[str, Position] = {}
    for procedure in version.procedures:
        name = emitter.names.method(procedure.name)
        emitter.meet(taken, name, procedure.at)
        arguments: list[tuple[str, Expression]] = []
        names: dict[str, Position] = {}
        for position, argument in enumerate(procedure.arguments, 1):
            made_up = "arg" if len(procedure.arguments) == 1 else f"arg{position}"
            own = emitter.names.argument(argument.name) if argument.name else made_up
            emitter.meet(names, own, argument.at)
            arguments.append((own, emitter.expressions.of(argument)))
        attribute = emitter.names.field(procedure.name)
        result = emitter.expressions.of(procedure.result)
        methods.append(Method(procedure, attribute, name, arguments, result))
    return methods


def _version(emitter: Emitter, version: VersionDef, program: str) -> None:
    table = emitter.claim(emitter.names.constant(version.name), version.at)
    methods = methods_of(emitter, version)
    emitter.use(["rpc", "xdr"])
    for method in methods:
        for expression in (method.result, *(kind for _, kind in method.arguments)):
            # A signature shows plain types; the markers are in the table.
            emitter.use({"xdr"} & expression.uses)
    _table(emitter, version, table, program, methods)
    for ending, write in (("Service", _service), ("Client", _client), ("AsyncClient", _client)):
        name = emitter.claim(emitter.names.derived(version.name, ending), version.at)
        uses = {"rpc", table}
        for method in methods:
            uses |= method.result.uses | {use for _, kind in method.arguments for use in kind.uses}
        safe = emitter.unspoiled([method.name for method in methods], uses)
        lines = [f"class {name}(rpc.{ending}, version={table}):"]
        if version.doc:
            lines += [layout.docstring(version.doc, INDENT), ""]
        bodies = [write(method, table, safe, ending) for method in methods]
        lines += ["\n\n".join(bodies)] if bodies else [f"{INDENT}pass"]
        emitter.module.add("\n".join(lines), name)


def _table(
    emitter: Emitter, version: VersionDef, table: str, program: str, methods: list[Method]
) -> None:
    arguments = ["rpc.Version", f"prog={program}", f"vers={_number(emitter, version.number)}"]
    lines = [layout.brackets(f"class {table}(", arguments, "):")]
    if version.doc:
        lines += [layout.docstring(version.doc, INDENT), ""]
    taken: dict[str, Position] = {}
    names = [method.attribute for method in methods]
    uses = {use for method in methods for use in method.result.uses} | {"rpc", "xdr"}
    for method in methods:
        uses |= {use for _, kind in method.arguments for use in kind.uses}
    safe = emitter.unspoiled(names, uses)
    for method in methods:
        emitter.meet(taken, method.attribute, method.procedure.at)
        designators = ", ".join(safe(kind.designator) for _, kind in method.arguments)
        inside = [
            _number(emitter, method.procedure.number),
            f'"{method.name}"',
            f"[{designators}]",
            safe(method.result.designator),
        ]
        target = f"{method.attribute}: {safe('rpc')}.Procedure[{safe(method.result.plain)}]"
        value = f"{safe('rpc')}.Procedure({', '.join(inside)})"
        lines.append(layout.assignment(target, value, INDENT))
        if method.procedure.doc:
            lines.append(layout.docstring(method.procedure.doc, INDENT))
    if not methods:
        lines.append(f"{INDENT}pass")
    emitter.module.add("\n".join(lines), table)


def is_null(procedure: ProcedureDef) -> bool:
    """Whether this is the procedure 0 that every program has."""
    number_is_0 = isinstance(procedure.number, Number) and procedure.number.value == 0
    return number_is_0 and not procedure.arguments and procedure.result.kind == "void"


def _service(method: Method, table: str, safe: Callable[[str], str], ending: str) -> str:
    parameters = ["self", f"call: {safe('rpc')}.Call", "/", *method.parameters(safe)]
    tail = f") -> {safe('rpc')}.Result[{safe(method.result.plain)}]:"
    lines = [layout.brackets(f"def {method.name}(", parameters, tail, INDENT), method.doc]
    body = "return None" if is_null(method.procedure) else f"raise {safe('rpc')}.ProcUnavail"
    return "\n".join([*lines, f"{_BODY}{body}"])


def _client(method: Method, table: str, safe: Callable[[str], str], ending: str) -> str:
    asynchronous = ending == "AsyncClient"
    keyword = "async def" if asynchronous else "def"
    parameters = ["self", *method.parameters(safe)]
    tail = f") -> {safe(method.result.plain)}:"
    head = layout.brackets(f"{keyword} {method.name}(", parameters, tail, INDENT)
    called = f"{'await ' if asynchronous else ''}self._call("
    arguments = [f"{table}.{method.attribute}", *(name for name, _ in method.arguments)]
    call = layout.brackets(f"return {called}", arguments, ")", _BODY)
    return "\n".join([head, method.doc, call])
