"""A ``.x`` file with names of all lengths, so that every way to break a line is needed."""

from random import Random

_LETTERS = "abcdefghij_"


class LongNames:
    """Writes one file from one seed."""

    def __init__(self, seed: int, longest: int) -> None:
        self._random = Random(seed)
        self._longest = longest
        self._count = 0
        self._types = ["int", "unsigned hyper", "quadruple"]
        self._constants = ["5"]

    def file(self) -> str:
        """The text of the file."""
        lines = [self._constant() for _ in range(3)]
        enums = [self._enum() for _ in range(3)]
        lines += [line for line, _, _ in enums]
        for _ in range(20):
            lines += [f"typedef {self._declaration()};", self._struct()]
            lines.append(self._union(*self._random.choice(enums)[1:]))
        return "\n".join([*lines, self._program(), ""])

    def _name(self, start: str) -> str:
        self._count += 1
        length = self._random.randrange(self._longest)
        middle = "".join(self._random.choice(_LETTERS) for _ in range(length))
        return f"{start}{self._count}{middle}z"

    def _constant(self) -> str:
        self._constants.append(self._name("C"))
        return f"const {self._constants[-1]} = {self._random.randint(1, 9)};"

    def _enum(self) -> tuple[str, str, list[str]]:
        name, members = self._name("e"), [self._name("M") for _ in range(7)]
        self._types.append(name)
        values = ", ".join(f"{member} = {n}" for n, member in enumerate(members))
        return f"enum {name} {{ {values} }};", name, members

    def _declaration(self, start: str = "t") -> str:
        of, name = self._random.choice(self._types), self._name(start)
        size = self._random.choice(self._constants)
        forms = [
            *(f"{of} {name}", f"{of} *{name}", f"{of} {name}[{size}]", f"{of} {name}<{size}>"),
            *(f"{of} {name}<>", f"opaque {name}[{size}]", f"opaque {name}<{size}>"),
            *(f"string {name}<{size}>", f"string {name}<>"),
        ]
        if start == "t":
            self._types.append(name)
        return self._random.choice(forms)

    def _struct(self) -> str:
        name = self._name("s")
        members = [f"{self._declaration('m')};" for _ in range(self._random.randint(1, 4))]
        if self._random.random() < 0.3:
            members.append(f"{name} *next;")
        self._types.append(name)
        return f"struct {name} {{ {' '.join(members)} }};"

    def _union(self, enum: str, members: list[str]) -> str:
        name, rest = self._name("u"), self._random.sample(members, len(members) - 1)
        arms = []
        while rest:
            labels = [rest.pop() for _ in range(self._random.randint(1, min(4, len(rest))))]
            arms.append("".join(f"case {label}: " for label in labels) + self._arm())
        self._types.append(name)
        switch = f"switch ({enum} {self._name('d')})"
        return f"union {name} {switch} {{ {' '.join(arms)} default: {self._arm()} }};"

    def _arm(self) -> str:
        return f"{self._random.choice(['void', self._declaration('m')])};"

    def _program(self) -> str:
        procedures = []
        for number in range(20):
            count = self._random.randrange(5)
            arguments = ", ".join(self._declaration("m") for _ in range(count)) or "void"
            of = self._random.choice(self._types)
            result = self._random.choice(["void", "string", of, of, f"{of} *"])
            procedures.append(f"{result} {self._name('XPROC_')}({arguments}) = {number};")
        version = f"version {self._name('V')} {{ {' '.join(procedures)} }} = 1;"
        return f"program {self._name('P')} {{ {version} }} = 0x20000000;"
