"""The cases: ``cases/NAME.x`` with the module that it compiles to, ``cases/NAME.py``."""

import re
from pathlib import Path
from typing import Any

from rpcserver import rpcgen, xdr

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).with_name("cases")
BAD = Path(__file__).with_name("bad")

NAMES = sorted(path.stem for path in CASES.glob("*.x"))
OPTIONS: dict[str, dict[str, Any]] = {
    "beyond_header_constants": {"define": ["PATH_MAX=1024"]},
    "dialect_include": {"include": [str(CASES / "include")]},
    "dialect_option_d": {"define": ["FULL", "WIDTH=12"]},
    "names_idl": {"names": "idl"},
    "strings_bytes": {"strings": "bytes"},
    "strings_latin_1": {"strings": "latin-1"},
}
"""for the cases that are compiled in another way than by default"""
CODECS = {"beyond_user_codecs": {"timestamp": xdr.Hyper, "source": xdr.Opaque(4)}}
"""for those that have types of the user's"""

PROJECT = sorted([*ROOT.glob("idl/*.x"), *ROOT.glob("idl/protocols/*.x")])
"""the real files of the project"""


def source(name: str) -> Path:
    """The ``.x`` of a case."""
    return CASES / f"{name}.x"


def has_program(path: Path) -> bool:
    """Whether there is something to serve in a ``.x`` file."""
    text = path.read_text(encoding="utf-8")
    return re.search(r"^\s*program\b", text, re.MULTILINE) is not None


def compiled(name: str) -> str:
    """What a case compiles to now."""
    shown = f"cases/{name}.x"
    return rpcgen.compile_file(source(name), shown_path=shown, **OPTIONS.get(name, {}))
