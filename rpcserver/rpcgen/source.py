"""The text of a ``.x`` file: its lines for error messages, its comments for docstrings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from textwrap import dedent

from rpcserver.errors import IdlError
from rpcserver.rpcgen.preprocessor import NO_CODE, Preprocessed, blank
from rpcserver.rpcgen.syntax import Position


class Source:
    """One file, preprocessed. ``code`` is its text with comments blanked out, so that every
    position stays what it was. Raises ``IdlError`` for a comment without an end."""

    def __init__(self, preprocessed: Preprocessed) -> None:
        text, self._origins = preprocessed.text, preprocessed.origins
        self.file = self._origins[0].file
        self.defines = preprocessed.defines
        self._starts = list(accumulate((len(line) + 1 for line in preprocessed.lines), initial=0))
        comments = list(NO_CODE.finditer(text))
        if comments and comments[-1]["end"] == "":
            message = "a comment that never ends: expected */"
            raise self.error(message, self.position(comments[-1].start()))
        self.code = NO_CODE.sub(blank, text)
        self._docs = _Docs(self.code, comments)

    def position(self, offset: int) -> Position:
        """Line and column of the character at ``offset``."""
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def error(self, message: str, at: Position) -> IdlError:
        """The error that says ``message`` about the place ``at``."""
        return self._origins[at.line - 1].error(message, at.column - 1)

    def line(self, at: Position) -> str:
        """The place ``at`` for people: the number of its line, and its file if it is another."""
        origin = self._origins[at.line - 1]
        other = origin.file != self._origins[0].file
        return f"line {origin.number}{f' of {origin.file}' if other else ''}"

    def doc(self, start: int, end: int) -> str:
        """The comments on what stands from ``start`` to ``end``: on the lines before it, behind
        its opening brace, or behind it on its last line."""
        docs = self._docs
        opening = docs.opening.get(self.code.find("{", start, end), [])
        return "\n\n".join([*docs.leading.get(start, []), *opening, *docs.trailing.get(end, [])])

    def file_doc(self) -> str:
        """The comment at the head of the file, if a blank line tells it from what follows."""
        return "\n\n".join(self._docs.head)


def raise_all(errors: Sequence[IdlError]) -> None:
    """Raise the first of several errors, the others with it; nothing if there is none."""
    if errors:
        errors[0].others = tuple(errors[1:])
        raise errors[0]


_TO_NEXT = re.compile(r"[ \t]*(\n?)[ \t]*")
_STARS = re.compile(r"^\s*\*+ ?", re.MULTILINE)


class _Docs:
    """What each comment belongs to: an offset at which something starts (``leading``), ends
    (``trailing``), or opens its braces (``opening``); ``head`` belongs to the file."""

    def __init__(self, code: str, comments: list[re.Match[str]]) -> None:
        self.leading: dict[int, list[str]] = {}
        self.trailing: dict[int, list[str]] = {}
        self.opening: dict[int, list[str]] = {}
        self.head: list[str] = []
        texts: list[str] = []  # of the comment before, and of what continues it
        column: int | None = None  # of the comment before, if it stands behind code
        end = 0
        bounds = [*(match.start() for match in comments), len(code)]
        for match, following in zip(comments, bounds[1:], strict=True):
            gap = code[end : match.start()]
            end = match.end()
            before = gap.rpartition("\n")[2]
            adjacent = not gap.strip() and gap.count("\n") <= 1
            to_next = _TO_NEXT.match(code, end, following)
            assert to_next is not None
            if adjacent and column is not None and ("\n" not in gap or len(before) == column):
                pass  # a comment behind code goes on, in the same line or below
            elif before.strip() and not (before.rstrip().endswith("{") and not to_next[1]):
                texts, column = [], len(before)
                self._behind(match.start() - len(before), before.rstrip(), texts)
            else:
                if not adjacent or column is not None:
                    texts = []
                column = None
                if not gap.strip() and match is comments[0]:
                    self.head = texts
                self.leading[to_next.end()] = texts
            texts.append(_plain(match["text"] or match["rest"] or ""))
        if any(self.leading[at] is self.head and code[at : at + 1].strip() for at in self.leading):
            self.head = []  # it belongs to what it stands before

    def _behind(self, line: int, before: str, texts: list[str]) -> None:
        if before.endswith("{"):
            self.opening[line + len(before) - 1] = texts
        else:
            # A definition ends with its semicolon, a member before it.
            self.trailing[line + len(before)] = texts
            self.trailing[line + len(before.rstrip(" \t;,"))] = texts


def _plain(text: str) -> str:
    """A comment's text without the stars and the indentation of its frame."""
    if "\n" not in text:
        return text.strip("*").strip()
    lines = text.strip("*").split("\n")
    rest = "\n".join(lines[1:])
    if all(line.lstrip().startswith("*") for line in lines[1:] if line.strip()):
        rest = _STARS.sub("", rest)
    plain = "\n".join(line.rstrip() for line in [lines[0].strip(), *dedent(rest).split("\n")])
    return plain.strip()
