"""A project's generated files: the table in ``pyproject.toml``, writing, and checking."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path

from rpcserver.errors import UsageError
from rpcserver.rpcgen.compiler import Options, compile_file


def project_table(pyproject: str | Path) -> list[tuple[Path, Path]]:
    """The ``.x`` files and outputs that ``[tool.rpcserver.gen]`` names, as paths below it.

    Each line is a pattern of sources and the output with ``{name}`` in it, like
    ``"idl/*.x" = "generated/{name}.py"``. Raises ``UsageError`` if there is no such table.
    """
    pyproject = Path(pyproject)
    root = pyproject.parent
    try:
        with pyproject.open("rb") as file:
            table = tomllib.load(file)["tool"]["rpcserver"]["gen"]
    except OSError as error:
        raise UsageError(f"cannot read {pyproject}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{pyproject}: {error}") from error
    except (KeyError, TypeError):
        raise UsageError(f"{pyproject} has no [tool.rpcserver.gen]") from None
    pairs: dict[Path, Path] = {}
    for pattern, output in table.items():
        found = sorted(root.glob(pattern))
        if not found:
            raise UsageError(f"{pyproject}: no file matches {pattern!r}")
        for source in found:
            pairs.setdefault(source, root / output.format(name=module_name(source)))
    return list(pairs.items())


def module_name(source: Path) -> str:
    """The module name for a ``.x`` file: ``rpc-msg.x`` is ``rpc_msg``."""
    return source.stem.replace("-", "_").replace(".", "_")


def generate(source: Path, output: Path, options: Options, shown_path: str | None = None) -> bool:
    """Compile ``source`` into ``output``; whether the file changed.

    Nothing is written if the source has a mistake or the output is the same already, and the
    output is never there in part.
    """
    code = compile_file(source, options, shown_path)
    return write(output, code)


def write(output: Path, text: str) -> bool:
    """Put ``text`` into a file, whole or not at all; whether it changed. Raises ``UsageError``."""
    try:
        if output.exists() and output.read_text(encoding="utf-8") == text:
            return False
        output.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, output)
        except BaseException:
            os.unlink(name)
            raise
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot write {output}: {error}") from error
    return True


def outdated(source: Path, output: Path, options: Options, shown_path: str | None = None) -> str:
    """Why ``output`` is not what ``source`` compiles to; empty if it is."""
    code = compile_file(source, options, shown_path)
    if not output.exists():
        return "is missing"
    there = output.read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = code.splitlines()
    for number, (old, new) in enumerate(zip(there, wanted, strict=False), 1):
        if old != new:
            return f"differs from line {number}: {old.strip()!r} should be {new.strip()!r}"
    return "" if len(there) == len(wanted) else f"has {len(there)} lines instead of {len(wanted)}"
