"""Python names for what a ``.x`` defines; each depends on its own identifier only."""

from __future__ import annotations

import builtins
import keyword
import re
from enum import IntEnum

# What generated modules say at the top, and so cannot mean anything else in them.
_IMPORTED = frozenset(
    ["Annotated", "ClassVar", "IntEnum", "Literal", "TypeAlias", "dataclass", "field", "rpc", "xdr"]
)
_USED_BUILTINS = frozenset(["bool", "bytes", "float", "int", "list", "str"])
_RESERVED_FIELDS = frozenset(("_on", "_case", "_xdr_schema"))
_AFTER_PROC = re.compile(r"^.*?PROC\d*_(?=[A-Za-z])")


class Names:
    """The rules of ``names="py"``; of ``names="idl"`` with ``keep``, which keeps every spelling
    that Python can read."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep

    def type(self, name: str) -> str:
        """A struct, enum, union or typedef: ``kv_stat`` is ``KvStat``."""
        return self._module(name if self.keep else _cap_words(name))

    def arm(self, union: str, label: str) -> str:
        """The arm of a union for its first label, an identifier or a number."""
        label = label.replace("-", "Minus")
        if self.keep:
            return self._module(f"{union}_{label}")
        return self._module(_cap_words(union) + _cap_words(label))

    def constant(self, name: str) -> str:
        """A constant, program or version: as it is."""
        return self._module(name)

    def derived(self, version: str, ending: str) -> str:
        """The service and client classes of a version."""
        return (version if self.keep else _cap_words(version)) + ending

    def member(self, name: str) -> str:
        """A member of an enum: as it is, unless ``IntEnum`` has something of that name."""
        inside = _inside(name)
        sunder = inside.startswith("_") and inside.endswith("_")
        return inside + "_" if sunder or hasattr(IntEnum, inside) else inside

    def field(self, name: str) -> str:
        """A member of a struct or union: as it is."""
        return name + "_" if name in _RESERVED_FIELDS else _inside(name)

    def method(self, procedure: str) -> str:
        """A procedure: ``KVPROC_GET`` is ``get``."""
        name = procedure if self.keep else _AFTER_PROC.sub("", procedure).lower()
        name = name.lstrip("_") + "_" if name.startswith("_") else name
        return name + "_" if name == "channel" or keyword.iskeyword(name) else name

    def argument(self, name: str) -> str:
        """An argument of a method."""
        return name + "_" if name in ("self", "call") or keyword.iskeyword(name) else name

    def _module(self, name: str) -> str:
        name = name.lstrip("_") + "_" if name.startswith("__") else name
        reserved = name in _IMPORTED or name in _USED_BUILTINS or keyword.iskeyword(name)
        return name + "_" if reserved or (name in _SPECIAL) else name


_SPECIAL = frozenset(("__name__",)) | frozenset(
    name for name in vars(builtins) if name in ("True", "False", "None")
)


def _inside(name: str) -> str:
    """A name in a class body: Python would change or refuse ``__x``."""
    if name.startswith("__"):
        return name.lstrip("_").rstrip("_") + "_"
    return name + "_" if keyword.iskeyword(name) else name


def _cap_words(name: str) -> str:
    parts = [part for part in name.split("_") if part]
    return "".join(
        part.capitalize() if part.isupper() else part[0].upper() + part[1:] for part in parts
    )
