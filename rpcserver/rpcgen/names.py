"""Python names for what a ``.x`` defines; each depends on its own identifier only."""

from __future__ import annotations

import re
from keyword import iskeyword

# What generated modules say in annotations and elsewhere, so that no definition can be called so.
_MODULE = frozenset([
    "Annotated", "Any", "ClassVar", "IntEnum", "Literal", "TypeAlias", "dataclass", "field", "rpc",
    "xdr", "bool", "bytes", "float", "int", "list", "str",
])  # fmt: skip
# What rpcserver keeps in the classes that it makes of structs, arms and versions, and what a
# dataclass would take for the default of a field, since every class has it.
_CLASS = frozenset(["_case", "_on", "_procedures", "_prog", "_vers", "_xdr_schema", "mro"])
# What IntEnum and int have; not asked of them, since it differs from one Python to the next.
_ENUM = frozenset([
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "imag",
    "is_integer", "mro", "name", "numerator", "real", "to_bytes", "value",
])  # fmt: skip
# What a method needs beside its arguments.
_METHOD = frozenset(["call", "rpc", "self"])

_AFTER_PROC = re.compile(r"^.*?PROC\d*_(?=[A-Za-z])")


class Names:
    """The rules of ``names="py"``; of ``names="idl"`` with ``keep``, which keeps every spelling
    that Python can read. Types without a name have the path to them: ``outer.inner``."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep

    def type(self, name: str) -> str:
        """A struct, enum, union or typedef: ``kv_stat`` is ``KvStat``."""
        return self.constant(self._words(name))

    def arm(self, union: str, label: str) -> str:
        """The arm of a union for its first label, an identifier or a number."""
        label = label.replace("-", "Minus")
        joint = "_" if self.keep else ""
        return self.constant(self._words(union) + joint + self._words(label))

    def constant(self, name: str) -> str:
        """A constant, program or version: as it is, like all that stands in the module itself."""
        return name + "_" if name in _MODULE else _readable(name)

    def derived(self, version: str, ending: str) -> str:
        """The service and client classes of a version."""
        return self.constant(self._words(version) + ending)

    def member(self, name: str, enum: str) -> str:
        """A member of ``enum``: as it is, unless ``IntEnum`` has or refuses something like it."""
        name = _readable(name)
        if name.startswith(f"_{self.type(enum)}__"):
            return name.rstrip("_") + "__"  # else it would be taken for private to the class
        refused = name in _ENUM or (name.startswith("_") and name.endswith("_"))
        return name + "_" if refused else name

    def field(self, name: str) -> str:
        """A member of a struct or union, or a procedure in the table of its version: as it is."""
        return name + "_" if name in _CLASS else _readable(name)

    def method(self, procedure: str) -> str:
        """A procedure: ``KVPROC_GET`` is ``get``."""
        name = procedure if self.keep else _AFTER_PROC.sub("", procedure).lower()
        # Those with an underscore are rpcserver's own.
        name = name.lstrip("_") + "_" if name.startswith("_") else name
        return name + "_" if name == "channel" else _readable(name)

    def argument(self, name: str) -> str:
        """An argument of a method."""
        return name + "_" if name in _METHOD else _readable(name)

    def _words(self, name: str) -> str:
        if self.keep:
            return name.replace(".", "_")
        words = [word for word in re.split("[_.]", name) if word]
        return "".join(
            word.capitalize() if word.isupper() else word[0].upper() + word[1:] for word in words
        )


def _readable(name: str) -> str:
    """A name that Python neither refuses nor, in a class, changes (as it does with ``__x``)."""
    if name.startswith("__"):
        name = name.strip("_") + "_"
    if iskeyword(name) or not name:
        return name + "_"
    return "_" + name if name[0].isdigit() else name
