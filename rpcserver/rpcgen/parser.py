"""Text to syntax tree, with lark; a mistake becomes an ``IdlError`` in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput
from lark.exceptions import UnexpectedToken

from rpcserver.errors import IdlError
from rpcserver.rpcgen import syntax
from rpcserver.rpcgen.builder import KEYWORDS, Builder, keyword_error
from rpcserver.rpcgen.source import Source, raise_all
from rpcserver.rpcgen.syntax import Position

MAX_NESTING = 30
"""Braces inside one another: each is a few Python calls inside one another here and later."""

MAX_ERRORS = 20
"""Of the grammar; each costs another run of the parser."""

_GRAMMAR = Path(__file__).with_name("grammar.lark")

_TYPE = frozenset([
    "BOOL", "CHAR", "DOUBLE", "ENUM", "FLOAT", "HYPER", "IDENT", "INT", "LONG", "QUADRUPLE",
    "SHORT", "STRUCT", "UNION", "UNSIGNED",
])  # fmt: skip
_VISIBLE = re.compile(r"[^\n]")
# A definition ends with a semicolon; people begin the next one at the start of a line.
_RESUME = re.compile(r"[{};]|^(?:const|enum|program|struct|typedef|union)\b", re.MULTILINE)
_DEFINITION = frozenset([
    "CONST", "ENUM", "NAMESPACE", "PRAGMA", "PROGRAM", "STRUCT", "TYPEDEF", "UNION",
])  # fmt: skip
# What an error message calls several terminals that are expected together.
_GROUPS = (
    ("a definition", _DEFINITION),
    ("a declaration", _TYPE | {"OPAQUE", "STRING", "VOID"}),
    ("a type", _TYPE),
    ("a value", frozenset(["IDENT", "NUMBER", "CHARACTER"])),
    ("an identifier", frozenset(["IDENT"])),
    ("a character", frozenset(["CHARACTER"])),
    ("a string", frozenset(["TEXT"])),
    ("the end of the file", frozenset(["$END"])),
)


def parse(source: Source) -> syntax.Specification:
    """The tree of ``source``. Raises ``IdlError``, with further ones if it has several."""
    _check_nesting(source)
    code, tree = source.code, None
    errors: list[IdlError] = []
    while tree is None and len(errors) < MAX_ERRORS:
        try:
            tree = _lark().parse(code)
        except UnexpectedInput as error:
            errors.append(_explain(source, code, error))
            code = _behind(code, error.pos_in_stream or 0)
            if not code or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
                break
    raise_all(errors)
    assert tree is not None
    builder = Builder(source)
    definitions = builder.transform(tree)
    raise_all(builder.errors)
    assert isinstance(definitions, list)
    return syntax.Specification(definitions, source.file_doc())


def _behind(code: str, at: int) -> str:
    """``code`` from the definition on that follows the one with a mistake at ``at``, and blanks
    for what is before it; empty if none follows."""
    depth = code.count("{", 0, at) - code.count("}", 0, at)
    begun = not code[:at].isspace()
    for match in _RESUME.finditer(code, at):
        found = match.group()
        depth += (found == "{") - (found == "}")
        if found not in "{};" and (match.start() > at or begun):
            start = match.start()
        elif found == ";" and depth <= 0:
            start = match.end()
        else:
            continue
        return _VISIBLE.sub(" ", code[:start]) + code[start:]
    return ""


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR.read_text(encoding="ascii"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        maybe_placeholders=True,
    )


def _check_nesting(source: Source) -> None:
    depth = 0
    for brace in re.finditer(r"[{}]", source.code):
        depth += 1 if brace.group() == "{" else -1
        if depth > MAX_NESTING:
            at = source.position(brace.start())
            raise source.error(f"more than {MAX_NESTING} braces inside one another", at)


def _explain(source: Source, code: str, error: UnexpectedInput) -> IdlError:
    before: Token | None = (getattr(error, "token_history", None) or [None])[-1]
    if before is not None and before.type == "IDENT" and before in KEYWORDS:
        return keyword_error(source, before)
    at, text = Position(error.line, error.column), ""
    if isinstance(error, UnexpectedCharacters):
        expected, text = _expected_after(code[: error.pos_in_stream]), error.char
    else:
        assert isinstance(error, UnexpectedToken)
        expected, text = error.accepts, str(error.token)
    found = repr(text)
    if not text:
        at, found = source.position(len(source.code.rstrip())), "the end of the file"
    if text in KEYWORDS and "IDENT" in expected:
        found += ", which is a keyword"
    return source.error(f"expected {_listed(expected)}, found {found}", at)


def _expected_after(code: str) -> set[str]:
    """The terminals that can follow: the lexer, which met something else, knows less."""
    try:
        _lark().parse(code)
    except UnexpectedToken as error:
        return error.accepts
    return set(_GROUPS[0][1])


def _listed(terminals: Iterable[str]) -> str:
    rest = set(terminals)
    words = []
    for word, group in _GROUPS:
        if group <= rest:
            rest -= group
            words.append(word)
    words += sorted(f"'{_lark().get_terminal(terminal).pattern.value}'" for terminal in rest)
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
