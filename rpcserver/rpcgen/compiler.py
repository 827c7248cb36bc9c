"""A ``.x`` file to the source of a Python module, all steps in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rpcserver.errors import UsageError
from rpcserver.rpcgen.check import check
from rpcserver.rpcgen.emitter import Emitter
from rpcserver.rpcgen.names import Names
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


ModuleOf: TypeAlias = Callable[[Path], str]
"""What the import statement calls the module of another ``.x`` file."""


def scope_for(path: Path, options: Options, shown: str) -> Scope:
    """What the names in a file mean, which was read, understood and checked.

    Raises ``IdlError`` for a mistake in it, ``UsageError`` if it cannot be read.
    """
    return _Scopes(options).of(path, shown)


def emitter_for(path: Path, options: Options, shown: str, module_of: ModuleOf) -> Emitter:
    """The emitter for a file. Raises ``IdlError`` and ``UsageError``."""
    scope = scope_for(path, options, shown)
    return Emitter(scope, Names(keep=options.names == "idl"), options.strings, module_of)


def compile_file(
    path: str | Path, options: Options, shown_path: str | None, module_of: ModuleOf
) -> str:
    """The source of the module for the ``.x`` file at ``path``.

    ``shown_path`` is what its header and error messages call the file. Raises ``IdlError`` and
    ``UsageError``.
    """
    shown = shown_path or Path(path).as_posix()
    return emitter_for(Path(path), options, shown, module_of).run(shown)


class _Scopes:
    """The files that take part: one, and what it needs of those that it imports."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._done: dict[Path, Scope] = {}
        self._begun: set[Path] = set()

    def of(self, path: Path, shown: str) -> Scope:
        """The definitions of the file at ``path``, checked."""
        key = path.resolve()
        if key not in self._done:
            from rpcserver.rpcgen.parser import parse  # with lark, which --help does without

            self._begun.add(key)
            options = self._options
            preprocessed = Preprocessor(_read, options.include, options.define).run(path, shown)
            source = Source(preprocessed)
            scope = Scope(parse(source), source, lambda: self._imports(preprocessed.imports))
            check(scope)
            self._done[key] = scope
        return self._done[key]

    def _imports(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Scope]]:
        for path in paths:
            key = path.resolve()
            # As with the guards of C's headers: in a circle, who comes second gets nothing.
            if key in self._done or key not in self._begun:
                yield path, self.of(path, path.as_posix())


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
