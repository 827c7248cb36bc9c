"""``load()``: a module from a ``.x`` file, with no file written."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
import threading
from pathlib import Path
from types import ModuleType

from rpcserver.rpcgen.compiler import Options, compile_file

_LOCK = threading.RLock()


def load_module(path: str | Path, options: Options) -> ModuleType:
    """Compile a ``.x`` file and import the result.

    The module is in ``sys.modules``, so that instances of its classes can be pickled within
    this process; the same file with the same options gives the same module again.
    """
    code = compile_file(path, options)
    stem = re.sub(r"\W", "_", Path(path).stem)
    digest = hashlib.sha256(f"{Path(path).resolve()}\0{code}".encode()).hexdigest()[:12]
    name = f"rpcserver_idl_{stem}_{digest}"
    with _LOCK:  # or another thread would find a module that is half there
        if name not in sys.modules:
            _execute(name, code, f"<{name} from {Path(path).as_posix()}>")
        return sys.modules[name]


def _execute(name: str, code: str, file: str) -> None:
    module = ModuleType(name)
    module.__file__ = file
    # Tracebacks show the generated lines.
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    sys.modules[name] = module  # before it runs: dataclasses look there
    try:
        exec(compile(code, file, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name], linecache.cache[file]
        raise
