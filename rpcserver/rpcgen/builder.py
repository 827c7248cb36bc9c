"""Lark's parse tree to the syntax tree."""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer, Tree

from rpcserver.errors import IdlError
from rpcserver.rpcgen import syntax
from rpcserver.rpcgen.source import Source
from rpcserver.rpcgen.syntax import Declaration, Position, Value

# RFC 4506 section 6.4. What RFC 5531 adds (program, version) is a common name for a member.
KEYWORDS = frozenset([
    "bool", "case", "const", "default", "double", "quadruple", "enum", "float", "hyper", "int",
    "opaque", "string", "struct", "switch", "typedef", "union", "unsigned", "void",
])  # fmt: skip
_LONGEST_NUMBER = 100
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "a": 7, "b": 8, "f": 12, "v": 11}


def keyword_error(source: Source, token: Token) -> IdlError:
    """The error for a keyword where a name should be."""
    return source.error(f"{str(token)!r} is a keyword and no name", _at(token))


class Builder(Transformer[Token, Any]):
    """Lark's tree, from the leaves up, into ours; ``errors`` has the mistakes that it met."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self.errors: list[IdlError] = []

    def _call_userfunc(self, tree: Tree[Token], new_children: Any = None) -> Any:
        # As in lark's v_args(meta=True), without a wrapper object for each rule.
        children = new_children if new_children is not None else tree.children
        return getattr(self, tree.data)(tree.meta, children)

    def _doc(self, meta: Any) -> str:
        return "" if meta.empty else self._source.doc(meta.start_pos, meta.end_pos)

    def IDENT(self, token: Token) -> Token:
        if token in KEYWORDS:
            self.errors.append(keyword_error(self._source, token))
        return token

    def start(self, meta: Any, definitions: list[Any]) -> list[Any]:
        # A namespace is a list of definitions, a pragma is none.
        return [
            each for some in definitions for each in (some if isinstance(some, list) else [some])
        ]

    def namespace(self, meta: Any, children: list[Any]) -> list[Any]:
        return self.start(meta, [each for each in children if not isinstance(each, Token)])

    def pragma(self, meta: Any, children: list[Token]) -> list[Any]:
        return []

    def text(self, meta: Any, children: list[Token]) -> str:
        return str(children[0])

    def character(self, meta: Any, children: list[Token]) -> syntax.Number:
        token = children[0]
        inside = token[1:-1]
        code = _ESCAPES.get(inside[1], ord(inside[1])) if inside[0] == "\\" else ord(inside)
        return syntax.Number(str(code), _at(token))

    def c_type(self, meta: Any, children: list[Token]) -> None:
        return None

    def name(self, meta: Any, children: list[Token]) -> syntax.Name:
        return syntax.Name(str(children[0]), _at(children[0]))

    def number(self, meta: Any, children: list[Token]) -> syntax.Number:
        token = children[0]
        digits = token.lstrip("-")
        if len(digits) > _LONGEST_NUMBER:
            message = f"a number of {len(digits)} digits"
        elif digits[0] == "0" and digits.isdigit() and any(digit in "89" for digit in digits):
            message = f"{token} starts with 0 and so is octal"
        else:
            return syntax.Number(str(token), _at(token))
        self.errors.append(self._source.error(message, _at(token)))
        return syntax.Number("0", _at(token))

    def const_def(self, meta: Any, children: list[Any]) -> syntax.ConstDef:
        name, value = children
        return syntax.ConstDef(str(name), value, _at(name), self._doc(meta))

    def enum_def(self, meta: Any, children: list[Any]) -> syntax.TypeDef:
        name, body = children
        return syntax.TypeDef(str(name), body, _at(name), self._doc(meta))

    struct_def = union_def = enum_def

    def typedef_def(self, meta: Any, children: list[Any]) -> syntax.TypedefDef:
        (declaration,) = children
        if declaration.kind == "void":
            self.errors.append(self._source.error("void is no type to name", declaration.at))
        return syntax.TypedefDef(declaration, declaration.at, self._doc(meta))

    def enum_body(self, meta: Any, members: list[Any]) -> syntax.EnumBody:
        return syntax.EnumBody(members)

    def member(self, meta: Any, children: list[Any]) -> syntax.Member:
        name, value = children
        return syntax.Member(str(name), value, _at(name), self._doc(meta))

    def struct_body(self, meta: Any, members: list[Any]) -> syntax.StructBody:
        return syntax.StructBody([member for member in members if member.kind != "void"])

    def union_body(self, meta: Any, children: list[Any]) -> syntax.UnionBody:
        discriminant, *cases, default = children
        return syntax.UnionBody(discriminant, cases, default)

    def case_spec(self, meta: Any, children: list[Any]) -> syntax.Case:
        *labels, arm = children
        return syntax.Case(
            [value for value, _ in labels], _documented(arm, [doc for _, doc in labels])
        )

    def label(self, meta: Any, children: list[Value]) -> tuple[Value, str]:
        return children[0], self._doc(meta)

    def default_arm(self, meta: Any, children: list[Any]) -> Declaration:
        doc, arm = children
        return _documented(arm, [doc])

    def default_label(self, meta: Any, children: list[Any]) -> str:
        return self._doc(meta)

    # --- declarations: type, name, size, of which some may be missing -----------------------

    def _declaration(
        self, meta: Any, kind: syntax.Kind, of: Any, name: Token | None, size: Value | None
    ) -> Declaration:
        at = _at(name) if name is not None else Position(meta.line, meta.column)
        return Declaration(kind, of, str(name or ""), size, at, self._doc(meta))

    def plain(self, meta: Any, children: list[Any]) -> Declaration:
        of, name = (*children, None)[:2]
        return self._declaration(meta, "plain", of, name, None)

    def optional(self, meta: Any, children: list[Any]) -> Declaration:
        of, name = (*children, None)[:2]
        return self._declaration(meta, "optional", of, name, None)

    def fixed_array(self, meta: Any, children: list[Any]) -> Declaration:
        of, name, size = children
        return self._declaration(meta, "fixed_array", of, name, size)

    def variable_array(self, meta: Any, children: list[Any]) -> Declaration:
        of, name, size = children
        return self._declaration(meta, "variable_array", of, name, size)

    def fixed_opaque(self, meta: Any, children: list[Any]) -> Declaration:
        name, size = children
        return self._declaration(meta, "fixed_opaque", None, name, size)

    def _limited(self, meta: Any, kind: syntax.Kind, children: list[Any]) -> Declaration:
        name = next((child for child in children if isinstance(child, Token)), None)
        size = next((each for each in children if isinstance(each, Value)), None)
        return self._declaration(meta, kind, None, name, size)

    def variable_opaque(self, meta: Any, children: list[Any]) -> Declaration:
        return self._limited(meta, "variable_opaque", children)

    def string(self, meta: Any, children: list[Any]) -> Declaration:
        return self._limited(meta, "string", children)

    def void(self, meta: Any, children: list[Any]) -> Declaration:
        return self._declaration(meta, "void", None, None, None)

    # --- types ------------------------------------------------------------------------------

    def reference(self, meta: Any, children: list[Token]) -> syntax.Reference:
        return syntax.Reference(str(children[0]), _at(children[0]))

    def tagged(self, meta: Any, children: list[Token]) -> syntax.Reference:
        return syntax.Reference(str(children[0]), _at(children[0]), tagged=True)

    def anonymous(self, meta: Any, children: list[syntax.Body]) -> syntax.Body:
        return children[0]

    # --- programs ---------------------------------------------------------------------------

    def program_def(self, meta: Any, children: list[Any]) -> syntax.ProgramDef:
        name, *versions, number = children
        return syntax.ProgramDef(str(name), number, versions, _at(name), self._doc(meta))

    def version_def(self, meta: Any, children: list[Any]) -> syntax.VersionDef:
        name, *procedures, number = children
        return syntax.VersionDef(str(name), number, procedures, _at(name), self._doc(meta))

    def procedure_def(self, meta: Any, children: list[Any]) -> syntax.ProcedureDef:
        result, name, *arguments, number = children
        if len(arguments) == 1 and arguments[0].kind == "void":
            arguments = []
        return syntax.ProcedureDef(str(name), number, result, arguments, _at(name), self._doc(meta))


def _primitive(name: str) -> Any:
    def build(self: Builder, meta: Any, children: list[Any]) -> syntax.Primitive:
        return syntax.Primitive(name, Position(meta.line, meta.column))

    return build


for _name in (
    *("int", "unsigned int", "hyper", "unsigned hyper"),
    *("float", "double", "quadruple", "bool"),
):
    setattr(Builder, _name.replace(" ", "_"), _primitive(_name))


def _documented(arm: Declaration, docs: list[str]) -> Declaration:
    """An arm with what is said at its labels, too."""
    arm.doc = "\n\n".join(filter(None, [*docs, arm.doc]))
    return arm


def _at(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1)
