"""The text of a ``.x`` file: its lines for error messages, its comments for docstrings."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import NamedTuple

from rpcserver.errors import IdlError
from rpcserver.rpcgen.syntax import Position


class Comment(NamedTuple):
    """A comment: its text without the stars, its first and last line, and whether code is
    before it on its first line."""

    text: str
    first: int
    last: int
    behind_code: bool


class Source:
    """One file. ``code`` is its text with comments and ``%`` lines blanked out, so that every
    position stays what it was; ``comments`` are what was there."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.comments: list[Comment] = []
        self.code = self._blank_comments(_PERCENT.sub(_blank, text))
        self._leading = {each.last: each for each in self.comments if not each.behind_code}
        self._trailing = {each.first: each for each in self.comments if each.behind_code}

    def error(self, message: str, at: Position) -> IdlError:
        """The error that says ``message`` about the place ``at``."""
        line = self.lines[at.line - 1] if at.line <= len(self.lines) else ""
        return IdlError(message, self.file, at.line, at.column, line)

    def doc(self, first: int, last: int) -> str:
        """The comment that belongs to what stands on the lines ``first`` to ``last``: before it,
        or behind it on its last line."""
        parts: list[str] = []
        line = first - 1
        while comment := self._leading.get(line):
            parts.insert(0, comment.text)
            line = comment.first - 1
        trailing = self._trailing.get(last)
        return "\n\n".join(part for part in [*parts, trailing.text if trailing else ""] if part)

    def file_doc(self) -> str:
        """The comment at the head of the file, if it belongs to the file and not to the first
        thing in it: something else than a definition must follow."""
        if not self.comments:
            return ""
        head = self.comments[0]
        before = self.code.splitlines()[: head.last + 1]
        return "" if any(line.strip() for line in before) else head.text

    def _blank_comments(self, text: str) -> str:
        def blank(match: re.Match[str]) -> str:
            first = text.count("\n", 0, match.start()) + 1
            start = text.rfind("\n", 0, match.start()) + 1
            if not match["end"]:
                at = Position(first, match.start() - start + 1)
                raise self.error("a comment that never ends: expected */", at)
            last = first + match.group().count("\n")
            behind = bool(_COMMENT.sub("", text[start : match.start()]).strip())
            self.comments.append(Comment(_plain(match["text"]), first, last, behind))
            return _blank(match)

        return _COMMENT.sub(blank, text)


_COMMENT = re.compile(r"/\*(?P<text>.*?)(?P<end>\*/|\Z)", re.DOTALL)
_PERCENT = re.compile(r"^%.*$", re.MULTILINE)
_STARS = re.compile(r"^\s*\*+ ?", re.MULTILINE)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _plain(text: str) -> str:
    """A comment's text without the stars and the indentation of its frame."""
    lines = text.strip("*").splitlines() or [""]
    rest = "\n".join(lines[1:])
    if all(line.lstrip().startswith("*") for line in lines[1:] if line.strip()):
        rest = _STARS.sub("", rest)
    plain = "\n".join(line.rstrip() for line in [lines[0].strip(), *dedent(rest).splitlines()])
    return plain.strip()
