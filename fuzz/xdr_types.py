"""Random XDR types, as the source of a module: every opcode, and classes that are not plain."""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, ClassVar, Union  # noqa: F401

from rpcserver import xdr
from rpcserver.xdr.schema import Schema, arguments_schema, schema_of
from rpcserver.xdr.types import Marker

SCALARS = (
    "xdr.Void", "xdr.Int", "xdr.UnsignedInt", "xdr.Hyper", "xdr.UnsignedHyper", "xdr.Float",
    "xdr.Double", "xdr.Quadruple", "xdr.Bool",
)  # fmt: skip
ENDS: tuple[int, ...] = (
    -(2**31),
    -(2**31) + 1,
    -3,
    -1,
    0,
    1,
    2,
    3,
    7,
    70,
    71,
    900,
    2**31 - 2,
    2**31 - 1,
)
OUTSIDE: tuple[int, ...] = (-(2**31) - 1, 2**31, 2**32 - 1, 2**32, 2**40, -(2**63), 2**70)
"""numbers that no enum has on the wire, and that nobody forbids to write"""


def twist(value: Any) -> Any:
    """Another value of the same type: it shows whether a class's own code ran."""
    if type(value) is list:
        return value[::-1]
    if type(value) is int and 0 < value < 2**31 - 1:
        return value ^ 1
    return value


def optional(designator: Any) -> Any:
    """What a pointer to ``designator`` is."""
    held: Any = Annotated[Any, designator] if isinstance(designator, Marker) else designator
    return held | None


def refuse(value: Any) -> None:
    """Raise for some instances, as ``__post_init__`` may."""
    text = repr(value)
    if len(text) % 11 == 3:
        raise xdr.XdrError(f"refused: {len(text)} characters", 1, "own")
    if len(text) % 11 == 4:
        raise ValueError(text)


class Calls(type):
    """A metaclass with its own way to make an instance."""

    def __call__(cls, *values: Any, **named: Any) -> Any:
        made = super().__call__(*values, **named)
        for name in cls.__dataclass_fields__:  # type: ignore[attr-defined]
            object.__setattr__(made, name, twist(getattr(made, name)))
        return made


# How a class is made, and the lines that its body starts with.
PLAIN = ("@dataclass(slots=True)", "", "")
STYLES = (
    *[PLAIN] * 8,
    ("@dataclass", "", ""),
    ("@dataclass(slots=True, frozen=True)", "", ""),
    ("@dataclass(slots=True, order=True, weakref_slot=True)", "", ""),
    ("@dataclass(slots=True, kw_only=True)", "", ""),
    ("@dataclass(slots=True)", "", "def __post_init__(self): refuse(self)"),
    ("@dataclass(slots=True)", "", "def __setattr__(self, k, v):\n"
     "        object.__setattr__(self, k, twist(v))"),
    ("@dataclass(slots=True)", "", "def __getattribute__(self, k):\n"
     "        return twist(object.__getattribute__(self, k))"),
    ("@dataclass(slots=True)", "", "def __new__(cls, *a, **k):\n"
     "        refuse(a)\n        return object.__new__(cls)"),
    ("@dataclass(slots=True)", ", metaclass=Calls", ""),
    ("@dataclass(slots=True)", ", metaclass=abc.ABCMeta", "@abc.abstractmethod\n"
     "    def f(self): ..."),
    ("@dataclass(slots=True, init=False)", "", "def __init__(self, *a, **k):\n"
     "        for n, v in zip(self.__dataclass_fields__, a): setattr(self, n, twist(v))\n"
     "        for n, v in k.items(): setattr(self, n, v)"),
)  # fmt: skip


def pair_codec(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The functions over xdrlib3's classes of the custom type ``name``: some are angry."""

    def pack(packer: Any, value: Any) -> None:
        packer.pack_int(value[0])
        packer.pack_string(value[1])

    def unpack(unpacker: Any) -> Any:
        number = unpacker.unpack_int()
        if "angry" in name and number % 3 == 0:
            raise KeyError(number)
        if "lost" in name and number % 3 == 0:
            unpacker.set_position(unpacker.get_position() + (-8 if number & 8 else 400))
        return number, bytes(unpacker.unpack_string())

    return pack, unpack


@dataclass
class World:
    """Some types that may refer to one another: their ``source``, their ``schemas``."""

    random: Random
    name: str
    lines: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    enums: dict[str, list[int]] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    structs: list[str] = field(default_factory=list)
    schemas: list[tuple[str, Schema]] = field(default_factory=list)

    def make(self) -> None:
        """Draw the types. What is no type after all is left out."""
        coming = [f"T{n}" for n in range(self.random.randint(2, 6))]
        kinds = {name: self.random.choice(("struct", "struct", "union")) for name in coming}
        for n in range(self.random.randint(1, 2)):
            self._enum(f"E{n}")
        self.structs = [name for name, kind in kinds.items() if kind == "struct"] + ["Node"]
        self.named = [*coming, "Node", "Custom0", "Custom1"]
        self._struct("Node")
        for name, kind in kinds.items():
            self._struct(name) if kind == "struct" else self._union(name)
        for n in range(2):
            self._custom(f"Custom{n}")
        module = types.ModuleType(self.name)
        scope = vars(module)
        scope.update(
            vars(sys.modules[__name__]), Arm=xdr.Arm, IntEnum=enum.IntEnum, __name__=self.name
        )
        sys.modules[self.name] = module
        # As what ``python -c`` runs, and what dataclasses makes.
        exec(compile(self.source, "<string>", "exec"), scope)
        wanted = [*self.named, *(self.type() for _ in range(6))]
        for text in wanted:
            self._add(text, lambda text=text: schema_of(eval(text, scope)))  # type: ignore[misc]
        for _ in range(2):
            texts = [self.type() for _ in range(self.random.randint(0, 3))]
            self._add(
                f"arguments {texts}",
                lambda texts=texts: arguments_schema([eval(text, scope) for text in texts]),  # type: ignore[misc]
            )

    @property
    def source(self) -> str:
        """The module's text."""
        head = "from __future__ import annotations\nimport abc\n"
        return head + "\n".join([*self.lines, *self.last]) + "\n"

    def forget(self) -> None:
        """Take the module away again."""
        sys.modules.pop(self.name, None)

    def _add(self, text: str, make: Callable[[], Schema]) -> None:
        try:
            self.schemas.append((text, make()))
        except TypeError:
            pass

    def _limit(self) -> str:
        return str(self.random.choice((None, None, 0, 1, 2, 3, 5, 40)))

    def type(self, depth: int = 0) -> str:
        """The text of a designator."""
        choice = self.random.choice
        forms: tuple[str, ...] = (*("scalar", "named") * 4, *("bytes", "text", "enum") * 2)
        if depth < 4:
            forms += ("array", "fixed", "optional", "list") * 2
        form = choice(forms)
        if form == "named":
            return choice(self.named)
        if form == "enum":
            return choice(list(self.enums))
        if form == "bytes":
            size = choice((0, 1, 3, 4, 7, 16))
            return choice((f"xdr.Opaque({self._limit()})", f"xdr.FixedOpaque({size})"))
        if form == "text":
            encoding = choice(
                ("utf-8", "utf-8", "UTF-8", "latin-1", "ascii", "cp1252", "utf-16-le")
            )
            return f"xdr.String({self._limit()}, {encoding!r})"
        if form == "array":
            return f"xdr.Array({self.type(depth + 1)}, {self._limit()})"
        if form == "fixed":
            return f"xdr.FixedArray({self.type(depth + 1)}, {choice((0, 1, 2, 3, 9))})"
        if form == "optional":
            return f"optional({self.type(depth + 1)})"
        if form == "list":
            return f"xdr.LinkedList({choice(self.structs)}, {choice((True, False))})"
        return choice(SCALARS)

    def _enum(self, name: str) -> None:
        numbers: list[int] = self.random.sample(ENDS, self.random.randint(1, 5))
        if self.random.random() < 0.1:
            numbers.append(self.random.choice(OUTSIDE))
        if self.random.random() < 0.3:
            numbers = [n + numbers[0] for n in range(self.random.choice((2, 30)))]
        lines = [f"    {name}_{n} = {number}" for n, number in enumerate(numbers)]
        if self.random.random() < 0.1:
            lines.append(f"    ALIAS = {numbers[0]}")
        if self.random.random() < 0.1:
            lines += ["    def __new__(cls, n):", "        made = int.__new__(cls, n)",
                      "        made._value_ = f'<{n}>'", "        return made"]  # fmt: skip
        self.lines += [f"class {name}(IntEnum):", *lines]
        self.enums[name] = numbers

    def _class(self, name: str, bases: str, members: list[str], doc: str = "") -> None:
        decorator, more, body = self.random.choice(STYLES)
        if "metaclass" in more and "Arm" in bases and self.random.random() < 0.5:
            more = ""
        lines = [f"{decorator}", f"class {name}({bases}{more}):"]
        lines += [f"    {line}" for line in (doc and f'"""{doc}"""', *members, body) if line]
        self.lines += lines if len(lines) > 2 else [*lines, "    pass"]

    def _struct(self, name: str) -> None:
        count = self.random.choice((0, 1, 1, 2, 2, 3, 5))
        members = [f"f{n}: {self.type()}" for n in range(count)]
        if self.random.random() < 0.1:
            self._class(f"{name}Base", "xdr.Struct", members)
            self.lines += [f"class {name}({name}Base):", self.random.choice(
                ("    pass", "    __slots__ = ()", "    __slots__ = ('more',)",
                 "    def __init__(self, *a): super().__init__(*map(twist, a))"))]  # fmt: skip
        else:
            self._class(name, "xdr.Struct", members)

    def _union(self, name: str) -> None:
        choice = self.random.choice
        kind = choice(("xdr.Int", "xdr.UnsignedInt", "xdr.Bool", *self.enums))
        labels: list[Any] = {
            "xdr.Int": list(ENDS),
            "xdr.UnsignedInt": [0, 1, 5, 300, 2**31, 2**32 - 1],
            "xdr.Bool": choice(([True, False], [0, 1])),
        }.get(kind) or [f"{kind}.{kind}_{n}" for n in range(len(self.enums[kind]))]
        self.random.shuffle(labels)
        arms: list[str] = []
        while labels and len(arms) < 4 and (not arms or self.random.random() < 0.7):
            own = [labels.pop() for _ in range(choice((1, 1, 2, 3))) if labels]
            self._arm(f"{name}_{len(arms)}", name, kind, own)
            arms.append(f"{name}_{len(arms)}")
        if self.random.random() < 0.4:
            self._arm(f"{name}_default", name, kind, None)
            arms.append(f"{name}_default")
        self.lines.append(f"{name} = Union[{', '.join(arms)}]")

    def _arm(self, name: str, union: str, kind: str, labels: list[Any] | None) -> None:
        case = "xdr.DEFAULT" if labels is None else f"[{', '.join(map(str, labels))}]"
        if labels is not None and len(labels) == 1 and self.random.random() < 0.9:
            members = [f"k: ClassVar[Any] = {labels[0]}"]
        else:
            members = [f"k: {kind} = field(kw_only=True)"]
        if self.random.random() < 0.7:
            members.append(f"p: {self.type()}")
        self._class(name, f"Arm, on={kind}, case={case}", members, f"union {union}, case")

    def _custom(self, name: str) -> None:
        kind = self.random.choice(("typed", "typed", "typed", "pair", "angry", "lost", "unknown"))
        self.lines.append(f"{name} = xdr.Custom('{kind}_t')")
        if kind == "typed":
            self.last.append(f"{name}.supply({self.type()})")
        elif kind != "unknown":
            self.last.append(f"{name}.supply(pair_codec({kind!r}))")
