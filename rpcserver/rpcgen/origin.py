"""Where a line for the parser comes from: an included file, or behind macros."""

from __future__ import annotations

from dataclasses import dataclass

from rpcserver.errors import IdlError

_LONGEST_LINE = 500  # of which an error message shows anything


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of a file: the file's name, the line's number (from 1) and its text.

    ``columns`` are pairs (column for the parser, column there), from 0, for a line that macros
    have changed.
    """

    file: str
    number: int
    text: str
    columns: tuple[tuple[int, int], ...] = ()

    def error(self, message: str, at: int = 0) -> IdlError:
        """The error that says ``message`` about the character ``at`` (from 0)."""
        for here, there in reversed(self.columns):
            if here <= at:
                at = min(there + at - here, len(self.text))
                break
        line = self.text[:_LONGEST_LINE] if at < _LONGEST_LINE else ""
        shown = "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in line)
        return IdlError(message, self.file, self.number, at + 1, shown)
