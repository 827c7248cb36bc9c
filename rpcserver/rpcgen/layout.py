"""Python source as ``ruff format`` would leave it, at 100 columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

WIDTH = 100
INDENT = "    "
_OR = " | "
_LOOP = " for _ in "


def brackets(head: str, items: Sequence[str], tail: str, indent: str = "") -> str:
    """``head(`` items ``)tail``, where ``head`` ends and ``tail`` starts with the brackets.

    On one line if that fits, else the items on a line of their own, else one on each.
    """
    line = f"{indent}{head}{', '.join(items)}{tail}"
    return line if len(line) <= WIDTH or not items else _opened(head, items, tail, indent)


def signature(head: str, parameters: Sequence[str], result: str, indent: str = "") -> str:
    """``head(`` parameters ``) -> result:``."""
    line = f"{indent}{head}({', '.join(parameters)}) -> {result}:"
    if len(line) > WIDTH and len(parameters) == 1:
        return f"{indent}{head}(\n{indent}{INDENT}{parameters[0]},\n{indent}) -> {result}:"
    return brackets(f"{head}(", parameters, f") -> {result}:", indent)


def _opened(head: str, items: Sequence[str], tail: str, indent: str) -> str:
    inner = f"{indent}{INDENT}{', '.join(items)}"
    index = head.endswith("[") and (head[-2:-1].isalnum() or head[-2:-1] == "_")
    loop = len(items) == 1 and len(_parts(items[0], _LOOP)) > 1
    listed = head.endswith("[") and not index and not loop
    if len(inner) > WIDTH or listed:  # the elements of a list never share a line
        # A comma behind a single index would make a tuple of it.
        comma = "" if loop or (index and len(items) == 1) else ","
        inner = "\n".join(wrap(item, indent + INDENT, comma) for item in items)
    return f"{indent}{head}\n{inner}\n{indent}{tail}"


def imported(module: str, names: Sequence[str]) -> str:
    """``from module import`` names, one on each line if they do not fit."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n{''.join(f'{INDENT}{name},{chr(10)}' for name in names)})"


def isort(name: str) -> tuple[int, list[tuple[str, int]], str]:
    """Where a name stands among those that are imported: constants, classes, the others, each
    in alphabetical order with numbers by their value."""
    kind = 2 if not name[:1].isupper() else 0 if name.isupper() and len(name) > 1 else 1
    pieces = re.findall(r"(\D*)(\d*)", name.lower())
    return kind, [(word, int(digits or -1)) for word, digits in pieces], name


def wrap(expression: str, indent: str, end: str = "") -> str:
    """An expression on lines of its own, its last brackets opened if it is too long."""
    if len(f"{indent}{expression}{end}") <= WIDTH:
        return f"{indent}{expression}{end}"
    for operator in (_LOOP, _OR):
        first, *rest = _parts(expression, operator)
        if rest:
            lines = [wrap(first, indent), *(indent + operator.lstrip() + each for each in rest)]
            return "\n".join(lines) + end
    if not expression.endswith((")", "]")):
        return f"{indent}{expression}{end}"
    head, items, tail = split(expression)
    return brackets(head, items, tail + end, indent)


def returned(value: str, indent: str) -> str:
    """``return value``."""
    if len(f"{indent}return {value}") <= WIDTH:
        return f"{indent}return {value}"
    if value.endswith((")", "]")):
        head, items, tail = split(value)
        room = len(f"{indent}return {head}") <= WIDTH
        if items and (room or len(f"{indent}{INDENT}{head}") > WIDTH):
            return brackets(f"return {head}", items, tail, indent)
    return _parenthesized("return ", value, indent)


def assignment(target: str, value: str, indent: str = "") -> str:
    """``target = value``: if it is too long, the brackets that end the value are opened, or it
    gets some, or the target's are opened, whatever fits first."""
    line = f"{indent}{target} = {value}"
    if len(line) <= WIDTH:
        return line
    room = len(f"{indent}{target} = (") <= WIDTH
    if value.endswith((")", "]")) and not _parts(value, _OR)[1:]:
        head, items, tail = split(value)
        if len(f"{indent}{target} = {head}") <= WIDTH or not (room or target.endswith("]")):
            return brackets(f"{target} = {head}", items, tail, indent)
    if room or not target.endswith("]"):
        return _parenthesized(f"{target} = ", value, indent)
    head, items, tail = split(target)
    return _opened(head, items, "", indent) + assignment(tail, value, indent).lstrip()


def _parenthesized(before: str, value: str, indent: str) -> str:
    inner = wrap(value, indent + INDENT)
    if "\n" not in inner and len(inner) > WIDTH:
        return f"{indent}{before}{value}"  # brackets would not help
    return f"{indent}{before}(\n{inner}\n{indent})"


def annotation(name: str, kind: str, indent: str) -> str:
    """``name: kind`` in a class."""
    line = f"{indent}{name}: {kind}"
    if len(line) <= WIDTH or kind.startswith('"'):
        return line
    if kind.endswith("]"):
        head, items, tail = split(kind)
        return brackets(f"{name}: {head}", items, tail, indent)
    return _parenthesized(f"{name}: ", kind, indent)


def split(expression: str) -> tuple[str, list[str], str]:
    """``head(a, b)`` as ``head(``, ``[a, b]``, ``)``: the last brackets, and what is in them."""
    depth = 0
    for at in range(len(expression) - 1, -1, -1):
        depth += (expression[at] in ")]") - (expression[at] in "([")
        if depth == 0:
            return expression[: at + 1], _parts(expression[at + 1 : -1], ", "), expression[-1]
    raise AssertionError(expression)


def _parts(text: str, separator: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if depth == 0 and text.startswith(separator, at):
            parts.append(text[start:at])
            start = at + len(separator)
    return [*parts, text[start:]] if text else []


def docstring(text: str, indent: str = "") -> str:
    """A docstring, of one line or of several."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    lines = [line.rstrip() for line in text.strip().expandtabs(4).split("\n")]
    if lines[-1].endswith('"'):
        lines[-1] = lines[-1][:-1] + '\\"'
    if lines[0].startswith('"'):
        lines[0] = f" {lines[0]}"
    if len(lines) == 1:
        return f'{indent}"""{lines[0]}"""'
    body = "\n".join(indent + line if line else "" for line in lines[1:])
    return f'{indent}"""{lines[0]}\n{body}\n{indent}"""'
