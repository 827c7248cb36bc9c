"""What a ``.x`` file may say and still had better not: the rules, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import ClassVar, TypeAlias

from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen import lint_names, lint_rules
from rpcserver.rpcgen.compiler import Options, scope_for
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.syntax import Position

Rule: TypeAlias = Callable[[Scope], Iterable[tuple[str, Position]]]
"""From the definitions of a file to what is unwise about them: messages, each with its place."""

RULES: dict[str, Rule] = {
    "unbounded": lint_rules.unbounded,
    "unused": lint_rules.unused,
    "unused-constant": lint_rules.unused_constant,
    "program-number": lint_rules.program_number,
    "version-gap": lint_rules.version_gap,
    "null-procedure": lint_rules.null_procedure,
    "recursion": lint_rules.recursion,
    "c-name": lint_names.c_name,
}
"""Every rule under its name, which users write into command lines and configuration."""


class Finding(IdlError):
    """Something legal and unwise; never raised, but shown as an error is, with its ``rule``."""

    severity: ClassVar[str] = "warning"

    def __init__(self, rule: str, place: IdlError) -> None:
        message = f"{place.message} [{rule}]"
        super().__init__(message, place.file, place.line, place.column, place.source_line)
        self.rule = rule


def find(path: Path, options: Options, shown: str, ignore: Collection[str] = ()) -> list[Finding]:
    """What the rules, but for those to ``ignore``, find in a file, in its order.

    Raises ``IdlError`` for a mistake in the file, ``UsageError`` if it cannot be read or there is
    no such rule.
    """
    for name in ignore:
        if name not in RULES:
            raise UsageError(f"there is no rule {name!r}: they are {', '.join(RULES)}")
    scope = scope_for(path, options, shown)
    found: dict[tuple[Position, str], str] = {}
    for name, rule in RULES.items():
        if name not in ignore:
            for message, at in rule(scope):
                found.setdefault((at, name), message)  # one for a place is enough
    return [
        Finding(name, scope.source.error(message, at))
        for (at, name), message in sorted(found.items())
    ]
