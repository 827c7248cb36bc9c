"""A ``.x`` file to the source of a Python module, all steps in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpcserver.errors import UsageError
from rpcserver.rpcgen.check import check
from rpcserver.rpcgen.emitter import Emitter
from rpcserver.rpcgen.names import Names
from rpcserver.rpcgen.parser import parse
from rpcserver.rpcgen.preprocessor import Preprocessor
from rpcserver.rpcgen.resolve import Scope
from rpcserver.rpcgen.source import Source

MAX_BYTES = 4 << 20
"""A ``.x`` file is written by people; one of this size takes a minute and most of a gigabyte."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to compile: ``names`` is ``py`` or ``idl`` (every spelling kept), ``strings`` is
    ``utf-8``, ``latin-1`` or ``bytes``; ``include`` and ``define`` are for the preprocessor."""

    include: Sequence[str] = ()
    define: Sequence[str] = ()
    names: str = "py"
    strings: str = "utf-8"

    def __post_init__(self) -> None:
        if self.names not in ("py", "idl"):
            raise UsageError(f"names are py or idl, not {self.names!r}")
        if self.strings not in ("utf-8", "latin-1", "bytes"):
            raise UsageError(f"strings are utf-8, latin-1 or bytes, not {self.strings!r}")


def emitter_for(path: Path, options: Options, shown: str) -> Emitter:
    """The emitter for a file that was read, understood and checked.

    Raises ``IdlError`` for a mistake in it, ``UsageError`` if it cannot be read.
    """
    source = Source(Preprocessor(_read, options.include, options.define).run(path, shown))
    scope = Scope(parse(source), source)
    check(scope)
    return Emitter(scope, Names(keep=options.names == "idl"), options.strings)


def compile_file(path: str | Path, options: Options, shown_path: str | None = None) -> str:
    """The source of the module for the ``.x`` file at ``path``.

    ``shown_path`` is what its header and error messages call the file. Raises ``IdlError`` and
    ``UsageError``.
    """
    shown = shown_path or Path(path).as_posix()
    return emitter_for(Path(path), options, shown).run(shown)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} has more than {MAX_BYTES} bytes: that is no .x file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # as old comments are written
    return text.replace("\r\n", "\n").replace("\r", "\n")
