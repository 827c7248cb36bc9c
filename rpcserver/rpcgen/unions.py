"""Unions to Python: a class for each arm, and the union of these classes (RFC 4506, 4.15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpcserver.rpcgen import layout
from rpcserver.rpcgen.expressions import Expression, number
from rpcserver.rpcgen.layout import INDENT
from rpcserver.rpcgen.syntax import (
    Case,
    Declaration,
    EnumBody,
    Name,
    Number,
    TypeDef,
    UnionBody,
    Value,
)

if TYPE_CHECKING:
    from rpcserver.rpcgen.emitter import Emitter


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm to write: its class, its labels as expressions (none: the default arm), what it
    holds, and what its docstring says."""

    name: str
    labels: list[str]
    declaration: Declaration
    doc: str


def emit(emitter: Emitter, definition: TypeDef, body: UnionBody) -> None:
    """Write the union ``definition``."""
    union = emitter.claim(emitter.names.type(definition.name), definition.at)
    name, tag = f"union {definition.shown or definition.name}", body.discriminant.name
    kind = str(getattr(body.discriminant.type, "name", ""))
    switch = f"{name} switch ({'enum' if '.' in kind else kind} {tag})"
    arms = []
    for case in body.cases:
        labels = [label(emitter, each, body) for each in case.labels]
        doc = f"{switch}, case {', '.join(_spelled(each) for each in case.labels)}"
        arm_name = emitter.claim(case_name(emitter, definition, case), case.labels[0].at)
        arms.append(Arm(arm_name, labels, case.arm, doc))
    if body.default is not None:
        arm_name = emitter.claim(emitter.names.arm(definition.name, "default"), body.default.at)
        arms.append(Arm(arm_name, [], body.default, f"{name}, every other {tag}"))
    on = emitter.expressions.of(body.discriminant)
    for arm in arms:
        _arm(emitter, arm, emitter.names.field(tag), on)
    emitter.module.use("TypeAlias")
    alias = layout.assignment(f"{union}: TypeAlias", " | ".join(arm.name for arm in arms))
    doc_lines = [layout.docstring(definition.doc)] if definition.doc else []
    emitter.module.add(union, [alias, *doc_lines])


def case_name(emitter: Emitter, definition: TypeDef, case: Case) -> str:
    """The class of an arm: the union's name and the first label's."""
    first = case.labels[0]
    spelled = first.name if isinstance(first, Name) else str(first.value)
    return emitter.names.arm(definition.name, spelled)


def label(emitter: Emitter, value: Value, body: UnionBody) -> str:
    """The Python expression for a label of a union."""
    on = emitter.scope.behind(body.discriminant)
    meant = emitter.scope.value(value)
    if isinstance(on, TypeDef) and isinstance(on.body, EnumBody):
        constant = emitter.scope.constants.get(value.name) if isinstance(value, Name) else None
        if isinstance(value, Name) and constant is not None and constant.enum is on:
            name = value.name
        else:
            name = emitter.member_names(on)[meant]
        return f"{emitter.names.type(on.name)}.{emitter.names.member(name, on.name)}"
    if getattr(on, "name", "") == "bool":
        return str(bool(meant))
    return number(value) if isinstance(value, Number) else str(meant)


def _arm(emitter: Emitter, arm: Arm, tag: str, on: Expression) -> None:
    held = None if arm.declaration.kind == "void" else emitter.expressions.of(arm.declaration)
    fields = [tag]
    if held is not None:
        payload = emitter.names.field(arm.declaration.name)
        fields.append(payload + "_" if payload == tag else payload)
    literal = f"Literal[{', '.join(arm.labels)}]"
    kind, value = literal if arm.labels else on.plain, ""
    if len(arm.labels) == 1:
        kind, value = f"ClassVar[{literal}]", arm.labels[0]
    elif held is not None:
        value = "field(kw_only=True)"
    texts = [kind, value, held.annotation if held is not None else ""]
    safe = emitter.module.sheltered(fields, texts)
    kind, value = safe(kind), safe(value)
    emitter.module.use("dataclass", "xdr", kind, value)
    case = f"[{', '.join(arm.labels)}]" if arm.labels else "xdr.DEFAULT"
    arguments = ["xdr.Arm", f"on={on.designator}", f"case={case}"]
    # A void arm has no field under which its comment could stand.
    more = arm.declaration.doc if held is None else ""
    lines = [
        "@dataclass(slots=True)",
        layout.brackets(f"class {arm.name}(", arguments, "):"),
        layout.docstring("\n\n".join(filter(None, [arm.doc, more])), INDENT),
        "",
    ]
    if value:
        lines.append(layout.assignment(f"{tag}: {kind}", value, INDENT))
    else:
        lines.append(layout.annotation(tag, kind, INDENT))
    if held is not None:
        lines += emitter.field(arm.name, fields[1], arm.declaration, safe)
    emitter.module.add(arm.name, lines)


def _spelled(value: Value) -> str:
    return value.name if isinstance(value, Name) else value.text
