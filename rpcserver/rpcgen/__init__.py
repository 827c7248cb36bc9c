"""rpcgen: the compiler from ``.x`` files (RFC 4506, RFC 5531) to Python modules.

The steps, one file each: ``source`` (text, comments), ``parser`` and ``builder`` (lark,
``grammar.lark``), ``syntax`` (the tree), ``resolve`` (what names mean), ``check``, ``names``
(Python's), ``expressions``, ``emitter``, ``unions`` and ``programs`` (code), ``module`` (imports,
order, aliases), ``layout`` (line breaks). ``compiler`` puts them in a row; ``loader``, ``project``,
``samples`` and ``lint`` (with its rules) are what it is used for. No module here has the name of a
function of this package: importing it would put it in the function's place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rpcserver.errors import IdlError

if TYPE_CHECKING:
    from rpcserver.rpcgen import compiler
    from rpcserver.rpcgen.lint import Finding

__all__ = ["IdlError", "compile_file", "findings", "generate", "load", "sample"]


def load(
    path: str | Path,
    *,
    include: Sequence[str] = (),
    define: Sequence[str] = (),
    names: str = "py",
    strings: str = "utf-8",
    codecs: Mapping[str, object] | None = None,
) -> ModuleType:
    """A module with the types, services and clients of a ``.x`` file; nothing is written.

    ``names="idl"`` keeps every spelling; ``strings`` is ``utf-8``, ``latin-1`` or ``bytes``.
    ``codecs`` gives types that the file uses and does not define: under the name of each a
    designator, or a pair of functions ``pack(packer, value)`` and ``unpack(unpacker)`` over
    xdrlib3's classes. Raises ``IdlError`` for a mistake in the file, ``UsageError`` if it cannot
    be read, or lacks no type of such a name.
    """
    from rpcserver.rpcgen.loader import load_module

    return load_module(path, _options(include, define, names, strings), codecs)


def compile_file(
    path: str | Path,
    *,
    include: Sequence[str] = (),
    define: Sequence[str] = (),
    names: str = "py",
    strings: str = "utf-8",
    shown_path: str | None = None,
) -> str:
    """The source of the module for a ``.x`` file.

    What it imports from other ``.x`` files is taken for modules beside it, not in a package;
    ``generate`` knows better.
    """
    from rpcserver.rpcgen import compiler, project

    options = _options(include, define, names, strings)
    return compiler.compile_file(path, options, shown_path, project.module_name)


def generate(
    path: str | Path,
    output: str | Path,
    *,
    include: Sequence[str] = (),
    define: Sequence[str] = (),
    names: str = "py",
    strings: str = "utf-8",
    shown_path: str | None = None,
) -> bool:
    """Compile ``path`` into the file ``output``, whole or not at all; whether it changed."""
    from rpcserver.rpcgen import project

    job = project.Job(Path(path), Path(output), shown_path or Path(path).as_posix())
    return project.generate(job, _options(include, define, names, strings))


def sample(
    path: str | Path,
    *,
    module: str | None = None,
    include: Sequence[str] = (),
    define: Sequence[str] = (),
    names: str = "py",
    strings: str = "utf-8",
) -> str:
    """A service module with every method to fill in, which runs as it is.

    ``module`` is the name of the generated module that it imports.
    """
    from rpcserver.rpcgen import compiler, project, samples

    path = Path(path)
    options = _options(include, define, names, strings)
    emitter = compiler.emitter_for(path, options, path.as_posix(), project.module_name)
    return samples.sample(emitter, module or project.module_name(path))


def findings(
    path: str | Path,
    *,
    include: Sequence[str] = (),
    define: Sequence[str] = (),
    ignore: Collection[str] = (),
    shown_path: str | None = None,
) -> list[Finding]:
    """What is legal in a ``.x`` file and still unwise, in its order; ``ignore`` names rules.

    A ``Finding`` has ``rule`` beside what an ``IdlError`` has, and ``str()`` shows its line.
    Raises ``IdlError`` for a mistake in the file, ``UsageError`` if it cannot be read or there is
    no such rule.
    """
    from rpcserver.rpcgen import compiler, lint

    options = compiler.Options(tuple(include), tuple(define))
    return lint.find(Path(path), options, shown_path or Path(path).as_posix(), ignore)


def _options(
    include: Sequence[str], define: Sequence[str], names: str, strings: str
) -> compiler.Options:
    from rpcserver.rpcgen import compiler

    return compiler.Options(tuple(include), tuple(define), names, strings)
