"""``.x`` files for the compiler."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from fuzz.compiler import PLACES, compile_input, corpus

_DIRECTORY = tempfile.TemporaryDirectory()
_NAMES = ("py", "idl")
_STRINGS = ("utf-8", "bytes", "latin-1")


def compiled(data: bytes) -> None:
    """A module comes out, or an ``IdlError``."""
    if data:
        options = {"names": _NAMES[data[0] & 1], "strings": _STRINGS[data[0] % 3]}
        compile_input(data[1:], options, Path(_DIRECTORY.name))


def compiled_seeds() -> Iterator[bytes]:
    """All the ``.x`` files that there are, but for the longest."""
    for number, text in enumerate(corpus(PLACES)):
        data = text.encode("latin-1")
        if len(data) < 6000:
            yield bytes([48 + number % 6]) + data
