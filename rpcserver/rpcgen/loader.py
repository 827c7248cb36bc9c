"""``load()``: a module from a ``.x`` file, with no file written."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rpcserver.errors import UsageError
from rpcserver.rpcgen.compiler import Options, compile_file

_LOCK = threading.RLock()


def load_module(
    path: str | Path, options: Options, codecs: Mapping[str, object] | None = None
) -> ModuleType:
    """Compile a ``.x`` file and import the result, and the files that it imports before it.

    The module is in ``sys.modules``, so that instances of its classes can be pickled within
    this process; the same file with the same options and codecs gives the same module again.
    Raises ``UsageError`` for a codec of a type that no file lacks.
    """
    codecs = codecs or {}
    used: set[str] = set()
    module = _load(Path(path), options, codecs, used)
    if unknown := sorted(codecs.keys() - used):
        raise UsageError(f"{path} lacks no type {unknown[0]!r} that could be given a codec")
    return module


def _load(path: Path, options: Options, codecs: Mapping[str, object], used: set[str]) -> ModuleType:
    code = compile_file(
        path, options, None, lambda other: _load(other, options, codecs, used).__name__
    )
    stem = re.sub(r"\W", "_", path.stem)
    given = sorted((name, id(codec)) for name, codec in codecs.items())
    digest = hashlib.sha256(f"{path.resolve()}\0{code}\0{given}".encode()).hexdigest()[:12]
    name = f"rpcserver_idl_{stem}_{digest}"
    with _LOCK:  # or another thread would find a module that is half there
        if name not in sys.modules:
            _execute(name, code, f"<{name} from {path.as_posix()}>", codecs)
        module = sys.modules[name]
        used.update(_hooks(module))
        return module


def forget(name: str) -> None:
    """Drop a module of ``load`` that is no longer used."""
    module = sys.modules.pop(name)
    linecache.cache.pop(module.__file__ or "", None)


def _hooks(module: ModuleType) -> dict[str, Any]:
    """The hooks of a module by the type's name: instances of ``xdr.Custom``."""
    return {each.name: each for each in vars(module).values() if type(each).__name__ == "Custom"}


def _execute(name: str, code: str, file: str, codecs: Mapping[str, object]) -> None:
    module = ModuleType(name)
    module.__file__ = file
    # Tracebacks show the generated lines.
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    sys.modules[name] = module  # before it runs: dataclasses look there
    try:
        exec(compile(code, file, "exec", dont_inherit=True), module.__dict__)
        for name, hook in _hooks(module).items():
            if name in codecs:
                hook.supply(codecs[name])
    except BaseException:
        del sys.modules[module.__name__], linecache.cache[file]
        raise
