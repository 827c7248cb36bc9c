"""A project's generated files: the table in ``pyproject.toml``, writing, and checking."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import Any

from rpcserver.errors import UsageError
from rpcserver.rpcgen.compiler import Options, compile_file


def nearest_pyproject() -> Path | None:
    """The ``pyproject.toml`` of the current directory or the nearest one above that has one."""
    here = Path.cwd()
    paths = (directory / "pyproject.toml" for directory in (here, *here.parents))
    return next((path for path in paths if path.exists()), None)


def project_table(pyproject: str | Path) -> list[tuple[Path, Path]]:
    """The ``.x`` files and outputs that ``[tool.rpcserver.gen]`` names, as paths below it.

    Each line is a pattern of sources and the output with ``{name}`` in it, like
    ``"idl/*.x" = "generated/{name}.py"``. Raises ``UsageError`` if there is no such table.
    """
    pyproject = Path(pyproject)
    root = pyproject.parent
    table = _tool_table(pyproject, "gen")
    if table is None:
        raise UsageError(f"{pyproject} has no [tool.rpcserver.gen]")
    sources: dict[Path, Path] = {}
    outputs: dict[Path, Path] = {}
    for pattern, output in table.items():
        found = _sources(pyproject, pattern, output)
        if not found:
            raise UsageError(f"{pyproject}: no file matches {pattern!r}")
        for source in found:
            if source in sources:
                continue  # the first pattern that matches it
            target = root / output.replace("{name}", module_name(source))
            if target in outputs:
                both = f"{outputs[target]} and {source}"
                raise UsageError(f"{pyproject}: {both} would both become {target}")
            sources[source] = target
            outputs[target] = source
    return list(sources.items())


def lint_ignored(pyproject: str | Path) -> list[str]:
    """The rules that ``ignore`` in ``[tool.rpcserver.lint]`` names. Raises ``UsageError``."""
    table = _tool_table(Path(pyproject), "lint") or {}
    ignored = table.get("ignore", [])
    if not isinstance(ignored, list) or not all(isinstance(each, str) for each in ignored):
        raise UsageError(f"{pyproject}: ignore in [tool.rpcserver.lint] is no list of strings")
    return ignored


def _tool_table(pyproject: Path, name: str) -> dict[str, Any] | None:
    try:
        with pyproject.open("rb") as file:
            return dict(tomllib.load(file)["tool"]["rpcserver"][name])
    except OSError as error:
        raise UsageError(f"cannot read {pyproject}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{pyproject}: {error}") from error
    except (KeyError, TypeError, ValueError):
        return None


def _sources(pyproject: Path, pattern: str, output: object) -> list[Path]:
    if not isinstance(output, str):
        raise UsageError(f"{pyproject}: the output of {pattern!r} is no string")
    try:
        return sorted(pyproject.parent.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"{pyproject}: {pattern!r}: {error}") from error


def module_name(source: Path) -> str:
    """The module name for a ``.x`` file: ``rpc-msg.x`` is ``rpc_msg``."""
    name = re.sub(r"\W", "_", source.stem)
    return f"_{name}" if name[:1].isdigit() or iskeyword(name) else name


@dataclass(frozen=True, slots=True)
class Job:
    """A file to generate: ``source`` into ``output``, which names it as ``shown``.

    ``outputs`` are those of the whole project below ``root``; without them what ``source`` imports
    is taken to be generated beside ``output``.
    """

    source: Path
    output: Path
    shown: str
    root: Path | None = None
    outputs: Mapping[Path, Path] = field(default_factory=dict)

    def compile(self, options: Options) -> str:
        """What ``output`` should hold. Raises ``IdlError`` and ``UsageError``."""
        return compile_file(self.source, options, self.shown, self.module_of)

    def module_of(self, other: Path) -> str:
        """What ``output`` calls the module of the ``.x`` file ``other`` when it imports it."""
        folder = self.output.parent
        if self.root is None:
            dot = "." if (folder / "__init__.py").exists() else ""
            return dot + module_name(other)
        target = self.outputs.get(other.resolve())
        if target is None:
            raise UsageError(f"{self.shown} imports {other}, which pyproject.toml does not name")
        root = self.root / "src" if self.root / "src" in target.parents else self.root
        if target.parent == folder != root:
            return f".{target.stem}"
        return ".".join(target.relative_to(root).with_suffix("").parts)


def project_jobs(pyproject: str | Path) -> list[Job]:
    """What ``project_table`` names, to be generated."""
    root = Path(pyproject).parent
    table = project_table(pyproject)
    outputs = {source.resolve(): output for source, output in table}
    # An output names its source as seen from the root, wherever one stands.
    return [
        Job(source, output, source.relative_to(root).as_posix(), root, outputs)
        for source, output in table
    ]


def generate(job: Job, options: Options) -> bool:
    """Compile a file; whether its output changed.

    Nothing is written if the source has a mistake or the output is the same already, and the
    output is never there in part.
    """
    return write(job.output, job.compile(options))


def write(output: Path, text: str) -> bool:
    """Put ``text`` into a file, whole or not at all; whether it changed. Raises ``UsageError``."""
    data = text.encode()
    if _there(output) == data:
        return False
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, output)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    return True


def outdated(job: Job, options: Options) -> str:
    """Why the output is not what the source compiles to; empty if it is."""
    code = job.compile(options)
    data = _there(job.output)
    if data is None:
        return "is missing"
    if data == code.encode():
        return ""
    there, wanted = data.decode(errors="replace").splitlines(), code.splitlines()
    for number, (old, new) in enumerate(zip(there, wanted, strict=False), 1):
        if old != new:
            return f"differs from line {number}: {old.strip()!r} should be {new.strip()!r}"
    if len(there) == len(wanted):
        return "differs in its line ends"
    return f"has {len(there)} lines instead of {len(wanted)}"


def _there(output: Path) -> bytes | None:
    """What a file holds; ``None`` if there is none, or it is a pipe that would never end."""
    if output.exists() and not output.is_file() and not output.is_dir():
        return None
    try:
        return output.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {output}: {error.strerror}") from error
