"""Python source as ``ruff format`` would leave it, at 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 100
INDENT = "    "


def brackets(head: str, items: Sequence[str], tail: str, indent: str = "") -> str:
    """``head(`` items ``)tail``, where ``head`` ends and ``tail`` starts with the brackets.

    On one line if that fits, else the items on a line of their own, else one on each.
    """
    line = f"{indent}{head}{', '.join(items)}{tail}"
    if len(line) <= WIDTH or not items:
        return line
    inner = f"{indent}{INDENT}{', '.join(items)}"
    if len(inner) > WIDTH:
        inner = "\n".join(wrap(item, indent + INDENT, ",") for item in items)
    return f"{indent}{head}\n{inner}\n{indent}{tail}"


def wrap(expression: str, indent: str, end: str = "") -> str:
    """An expression on lines of its own, its last brackets opened if it is too long."""
    line = f"{indent}{expression}{end}"
    if len(line) <= WIDTH or not expression.endswith((")", "]")):
        return line
    head, items, tail = split(expression)
    return brackets(head, items, tail + end, indent)


def assignment(target: str, value: str, indent: str = "") -> str:
    """``target = value``."""
    line = f"{indent}{target} = {value}"
    if len(line) <= WIDTH:
        return line
    if (
        value.endswith(")")
        and "(" in value
        and len(f"{indent}{target} = {split(value)[0]}") <= WIDTH
    ):
        head, items, tail = split(value)
        return brackets(f"{target} = {head}", items, tail, indent)
    if target.endswith("]"):
        head, items, tail = split(target)
        return brackets(head, items, f"{tail} = {value}", indent)
    return f"{indent}{target} = (\n{operands(value, indent + INDENT)}\n{indent})"


def annotation(name: str, kind: str, indent: str) -> str:
    """``name: kind`` in a class."""
    line = f"{indent}{name}: {kind}"
    if len(line) <= WIDTH or kind.startswith('"'):
        return line
    if kind.endswith("]"):
        head, items, tail = split(kind)
        return brackets(f"{name}: {head}", items, tail, indent)
    return f"{indent}{name}: (\n{operands(kind, indent + INDENT)}\n{indent})"


def operands(value: str, indent: str) -> str:
    """The inside of brackets around ``A | B``: one line, or one for each operand."""
    if len(indent + value) <= WIDTH:
        return indent + value
    first, *rest = _parts(value, " | ")
    return "\n".join([wrap(first, indent), *(wrap(f"| {each}", indent) for each in rest)])


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
    # A closing quote behind an odd backslash would be escaped; doubled ones are safe.
    if len(lines) == 1:
        return f'{indent}"""{lines[0]}"""'
    body = "\n".join(indent + line if line else "" for line in lines[1:])
    return f'{indent}"""{lines[0]}\n{body}\n{indent}"""'
