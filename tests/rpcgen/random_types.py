"""Random ``.x`` files, and what each type in them should come to.

A type's *shape* is plain data: ``("int",)``, ``("array", shape, limit)``, ``("struct", ((name,
shape), ...))``, ... It is worked out here from the text's own making, and from the schema of the
compiled type by ``shape_of``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from rpcserver.xdr import schema as s

Shape = tuple[Any, ...]
T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

PRIMITIVES = {
    "int": "INT",
    "unsigned int": "UNSIGNED_INT",
    "unsigned": "UNSIGNED_INT",
    "hyper": "HYPER",
    "unsigned hyper": "UNSIGNED_HYPER",
    "float": "FLOAT",
    "double": "DOUBLE",
    "quadruple": "QUADRUPLE",
    "bool": "BOOL",
}
UNLIMITED = 2**32 - 1


class Type(NamedTuple):
    """A type where one can be named: its shape, and for the node of a list the node's own."""

    shape: Shape
    node: Shape | None = None

    def pointer(self) -> Shape:
        """What a pointer to it is: a list, or optional data, which cannot be optional twice."""
        if self.node is not None:
            return ("list", self.node, False)
        if self.shape[0] == "optional":
            return ("array", self.shape, 1)
        return ("optional", self.shape)


class RandomFile:
    """Draws definitions; ``types`` has them by name, ``lines`` is the text, in any order."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._count = 0
        self.types: dict[str, Type] = {}
        self.lines: list[str] = []
        for _ in range(draw(st.integers(1, 7))):
            self._define()
        self.lines = draw(st.permutations(self.lines))

    @property
    def text(self) -> str:
        """The ``.x`` file."""
        return "\n".join([*self.lines, ""])

    def _name(self, start: str) -> str:
        self._count += 1
        return f"{start}{self._count}x"  # with no number at its end, to which a label might go

    def _choice(self, *options: T) -> T:
        chosen: T = self._draw(st.sampled_from(options))
        return chosen

    def _define(self) -> None:
        name, kind = self._name("t"), self._choice("enum", "struct", "list", "union", "typedef")
        if kind == "typedef":
            text, declared = self._declaration(name)
            self.lines.append(f"typedef {text};")
            self.types[name] = declared
            return
        body, shape = self._body(kind, name)
        self.lines.append(f"{kind if kind != 'list' else 'struct'} {name} {body};")
        is_list = kind == "list"
        self.types[name] = Type(
            ("list", shape, True) if is_list else shape, shape if is_list else None
        )

    def _body(self, kind: str, name: str = "") -> tuple[str, Shape]:
        if kind == "enum":
            return self._enum()
        if kind == "union":
            return self._union()
        names = [self._name("f") for _ in range(self._choice(1, 2, 3))]
        members = [self._declaration(each) for each in names]
        text = " ".join(f"{declared};" for declared, _ in members)
        shapes = [of.shape for _, of in members]
        shape = ("struct", tuple(zip(names, shapes, strict=True)))
        return f"{{ {text} {f'{name} *next; ' if kind == 'list' else ''}}}", shape

    def _enum(self) -> tuple[str, Shape]:
        numbers = self._draw(
            st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4, unique=True)
        )
        members = ", ".join(f"{self._name('E')} = {self._number(n)}" for n in numbers)
        return f"{{ {members} }}", ("enum", tuple(sorted(numbers)))

    def _number(self, number: int) -> str:
        sign, size = ("-" if number < 0 else ""), abs(number)
        return self._choice(f"{number}", f"{sign}{size:#x}", f"{sign}0{size:o}")

    def _size(self) -> tuple[str, int]:
        size = self._choice(0, 1, 2, 5)
        if self._choice(False, True):
            return self._number(size), size
        name = self._name("C")
        self.lines.append(f"const {name} = {self._number(size)};")
        return name, size

    def _union(self) -> tuple[str, Shape]:
        kinds: list[tuple[str, Shape, list[int]]] = [
            ("int", ("INT",), [-3, -1, 0, 1, 7]),
            ("unsigned int", ("UNSIGNED_INT",), [0, 1, 2**32 - 1]),
            ("bool", ("BOOL",), [0, 1]),
        ]
        text, shape, labels = self._choice(*kinds)
        enums = [name for name, of in self.types.items() if of.shape[0] == "enum"]
        if self._choice(False, True) and enums:
            text = self._choice(*enums)
            shape = self.types[text].shape
            labels = list(shape[1])
        labels = self._draw(st.permutations(labels))
        cases: list[str] = []
        arms: dict[int, Shape] = {}
        while labels and (not cases or self._choice(False, True)):
            own = [labels.pop() for _ in range(self._choice(1, 1, 2)) if labels]
            arm, held = self._arm()
            cases.append("".join(f"case {self._number(n)}: " for n in own) + arm)
            arms.update(dict.fromkeys(own, held))
        default = None
        if self._choice(False, True):
            arm, default = self._arm()
            cases.append(f"default: {arm}")
        body = f"switch ({text} {self._name('d')}) {{ {' '.join(cases)} }}"
        return body, ("union", shape, tuple(sorted(arms.items())), default)

    def _arm(self) -> tuple[str, Shape]:
        if self._choice(False, True):
            return "void;", ("VOID",)
        text, of = self._declaration(self._name("f"))
        return f"{text};", of.shape

    def _declaration(self, name: str) -> tuple[str, Type]:
        """A declaration of ``name``, and the type that it gives to it."""
        form = self._choice("plain", "plain", "fixed", "array", "pointer", "opaque", "string")
        if form in ("opaque", "string"):
            size, limit = self._size()
            return self._choice(
                (f"string {name}<{size}>", Type(("string", limit))),
                (f"string {name}<>", Type(("string", UNLIMITED))),
                (f"opaque {name}<{size}>", Type(("opaque", limit))),
                (f"opaque {name}<>", Type(("opaque", UNLIMITED))),
                (f"opaque {name}[{size}]", Type(("fixed_opaque", limit))),
            )
        text, of = self._specifier()
        if form == "plain":
            return f"{text} {name}", of
        if form == "pointer":
            return f"{text} *{name}", Type(of.pointer())
        size, limit = self._size()
        if form == "fixed":
            return f"{text} {name}[{size}]", Type(("fixed_array", of.shape, limit))
        unlimited = (f"{text} {name}<>", Type(("array", of.shape, UNLIMITED)))
        return self._choice((f"{text} {name}<{size}>", Type(("array", of.shape, limit))), unlimited)

    def _specifier(self) -> tuple[str, Type]:
        kind = self._choice("primitive", "named", "named", "inline")
        if kind == "named" and self.types:
            name = self._choice(*self.types)
            return name, self.types[name]
        if kind == "inline" and self._count < 30:
            kind = self._choice("enum", "struct", "union")
            body, shape = self._body(kind)
            return f"{kind} {body}", Type(shape)
        text = self._choice(*PRIMITIVES)
        return text, Type((PRIMITIVES[text],))


_OPCODES = {getattr(s, name): name for name in {*PRIMITIVES.values(), "VOID"}}


def shape_of(schema: s.Schema) -> Shape:
    """The shape of what the compiler made."""
    op = schema[0]
    if op in _OPCODES:
        return (_OPCODES[op],)
    if op == s.ENUM:
        return ("enum", tuple(sorted(schema[2])))
    if op == s.STRUCT:
        fields = map(shape_of, schema[3])
        return ("struct", tuple(zip(schema[2], fields, strict=True)))
    if op == s.UNION:
        cases = {label: shape_of(arm[2]) for label, arm in schema[4].items()}
        default = None if schema[5] is None else shape_of(schema[5][2])
        return ("union", shape_of(schema[3]), tuple(sorted(cases.items())), default)
    if op == s.OPTIONAL:
        return ("optional", shape_of(schema[1]))
    if op in (s.ARRAY, s.FIXED_ARRAY, s.LINKED_LIST):
        names = {s.ARRAY: "array", s.FIXED_ARRAY: "fixed_array", s.LINKED_LIST: "list"}
        return (names[op], shape_of(schema[1]), schema[2])
    return ({s.STRING: "string", s.OPAQUE: "opaque", s.FIXED_OPAQUE: "fixed_opaque"}[op], schema[1])
