"""``load()``: a module from a ``.x`` file, with no file written."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

from rpcserver.rpcgen.compiler import Options, compile_file


def load_module(path: str | Path, options: Options) -> ModuleType:
    """Compile a ``.x`` file and import the result.

    The module is in ``sys.modules``, so that instances of its classes can be pickled within
    this process; the same file with the same options gives the same module again.
    """
    code = compile_file(path, options)
    stem = re.sub(r"\W", "_", Path(path).stem)
    digest = hashlib.sha256(f"{Path(path).resolve()}\0{code}".encode()).hexdigest()[:12]
    name = f"rpcserver_idl_{stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = f"<{Path(path).as_posix()}>"
    # Tracebacks show the generated lines.
    linecache.cache[module.__file__] = (len(code), None, code.splitlines(True), module.__file__)
    sys.modules[name] = module
    try:
        exec(compile(code, module.__file__, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
