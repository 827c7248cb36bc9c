"""Text to syntax tree, with lark; a mistake becomes an ``IdlError`` in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, Tree, UnexpectedCharacters, UnexpectedInput
from lark.exceptions import UnexpectedToken, VisitError

from rpcserver.errors import IdlError
from rpcserver.rpcgen import syntax
from rpcserver.rpcgen.source import Source
from rpcserver.rpcgen.syntax import Declaration, Position, Value

_GRAMMAR = Path(__file__).with_name("grammar.lark")

_WORDS = {"IDENT": "an identifier", "NUMBER": "a number", "$END": "the end of the file"}


def parse(source: Source) -> syntax.Specification:
    """The tree of ``source``. Raises ``IdlError``."""
    try:
        tree = _lark().parse(source.code)
    except UnexpectedInput as error:
        raise _explain(source, error) from None
    try:
        definitions = _Builder(source).transform(tree)
    except VisitError as error:
        raise error.orig_exc from None
    assert isinstance(definitions, list)
    return syntax.Specification(definitions, source.file_doc())


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR.read_text(encoding="ascii"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        maybe_placeholders=True,
    )


def _explain(source: Source, error: UnexpectedInput) -> IdlError:
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
        token = error.token
        found = "the end of the file" if token.type == "$END" else repr(str(token))
    else:
        assert isinstance(error, UnexpectedCharacters)
        expected = error.allowed or set()
        found = repr(error.char)
    line, column = error.line, error.column
    if line < 1 or found == "the end of the file":
        lines = source.code.rstrip().splitlines() or [""]
        line, column = len(lines), len(lines[-1]) + 1
    return source.error(f"expected {_listed(expected)}, found {found}", Position(line, column))


def _listed(terminals: Iterable[str]) -> str:
    words = sorted({_word(terminal) for terminal in terminals}, key=_rank)
    if len(words) > 8:
        words = [word for word in words if word[0] not in "'"] or words
        if "an identifier" in words and len(words) < 3:
            words = [word for word in words if word != "an identifier"] + ["a type"]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _rank(word: str) -> tuple[bool, str]:
    return word[0] == "'", word


def _word(terminal: str) -> str:
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = _lark().get_terminal(terminal).pattern.value
    return f"'{pattern}'"


class _Builder(Transformer[Token, Any]):
    """Lark's tree, from the leaves up, into ours."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def _call_userfunc(self, tree: Tree[Token], new_children: Any = None) -> Any:
        # As in lark's v_args(meta=True), without a wrapper object for each rule.
        children = new_children if new_children is not None else tree.children
        return getattr(self, tree.data)(tree.meta, children)

    def _doc(self, meta: Any) -> str:
        return self._source.doc(meta.line, meta.end_line)

    def start(self, meta: Any, definitions: list[Any]) -> list[Any]:
        return definitions

    def name(self, meta: Any, children: list[Token]) -> syntax.Name:
        return syntax.Name(str(children[0]), _at(children[0]))

    def number(self, meta: Any, children: list[Token]) -> syntax.Number:
        token = children[0]
        digits = token.lstrip("-")
        if digits[0] == "0" and digits.isdigit() and any(digit in "89" for digit in digits):
            raise self._source.error(f"{token} starts with 0 and so is octal", _at(token))
        return syntax.Number(str(token), _at(token))

    def const_def(self, meta: Any, children: list[Any]) -> syntax.ConstDef:
        name, value = children
        return syntax.ConstDef(str(name), value, _at(name), self._doc(meta))

    def enum_def(self, meta: Any, children: list[Any]) -> syntax.TypeDef:
        name, body = children
        return syntax.TypeDef(str(name), body, _at(name), self._doc(meta))

    struct_def = union_def = enum_def

    def typedef_def(self, meta: Any, children: list[Any]) -> syntax.TypedefDef:
        (declaration,) = children
        return syntax.TypedefDef(declaration, declaration.at, self._doc(meta))

    def enum_body(self, meta: Any, members: list[Any]) -> syntax.EnumBody:
        return syntax.EnumBody(members)

    def member(self, meta: Any, children: list[Any]) -> syntax.Member:
        name, value = children
        return syntax.Member(str(name), value, _at(name), self._doc(meta))

    def struct_body(self, meta: Any, members: list[Any]) -> syntax.StructBody:
        return syntax.StructBody(members)

    def union_body(self, meta: Any, children: list[Any]) -> syntax.UnionBody:
        discriminant, *cases, default = children
        return syntax.UnionBody(discriminant, cases, default)

    def case_spec(self, meta: Any, children: list[Any]) -> syntax.Case:
        *labels, arm = children
        return syntax.Case(labels, arm)

    def label(self, meta: Any, children: list[Value]) -> Value:
        return children[0]

    def default_arm(self, meta: Any, children: list[Declaration]) -> Declaration:
        return children[0]

    # --- declarations: type, name, size, of which some may be missing -----------------------

    def _declaration(
        self, meta: Any, kind: syntax.Kind, of: Any, name: Token | None, size: Value | None
    ) -> Declaration:
        at = _at(name) if name is not None else Position(meta.line, meta.column)
        doc = self._doc(meta) if not meta.empty else ""
        return Declaration(kind, of, str(name or ""), size, at, doc)

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
        return Declaration("void", None, "", None, Position(meta.line, meta.column))

    # --- types ------------------------------------------------------------------------------

    def reference(self, meta: Any, children: list[Token]) -> syntax.Reference:
        return syntax.Reference(str(children[0]), _at(children[0]))

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
    def build(self: _Builder, meta: Any, children: list[Any]) -> syntax.Primitive:
        return syntax.Primitive(name, Position(meta.line, meta.column))

    return build


for _name in (
    "int",
    "unsigned int",
    "hyper",
    "unsigned hyper",
    "float",
    "double",
    "quadruple",
    "bool",
):
    setattr(_Builder, _name.replace(" ", "_"), _primitive(_name))


def _at(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1)
