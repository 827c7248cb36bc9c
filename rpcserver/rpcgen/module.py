"""The Python module that is being written: its blocks, its imports, the names in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpcserver.rpcgen import layout

_ALWAYS = {
    **dict.fromkeys(("dataclass", "field"), "dataclasses"),
    "IntEnum": "enum",
    **dict.fromkeys(("Annotated", "Any", "ClassVar", "Literal", "TypeAlias"), "typing"),
    **dict.fromkeys(("rpc", "xdr"), "rpcserver"),
}

# A name in an expression; not an attribute, a keyword argument, or what a string says.
_NAME = re.compile(r'"[^"]*"|(?<![\w.])[A-Za-z_]\w*\b(?!=)')


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a module: its lines, and whether it wants blank lines around it."""

    text: str
    spacious: bool = True


class Module:
    """``own`` are all the names that it will define, ``defined`` those that are there already;
    ``imports`` are the names that other generated modules have, and the ``.x`` of each."""

    def __init__(
        self,
        own: set[str],
        imports: Mapping[str, Path],
        module_of: Callable[[Path], str],
        defined: Iterable[str] = (),
    ) -> None:
        self._own = own
        self._defined = set(defined)
        self._others = imports
        self._module_of = module_of
        self.imported: set[str] = set()
        self._blocks: list[Block] = []
        self._aliases: dict[str, str] = {}
        self._waiting: dict[str, list[str]] = {}

    def add(self, name: str, lines: Iterable[str], *, spacious: bool = True) -> None:
        """Append the block that defines ``name``."""
        self._blocks.append(Block("\n".join(lines), spacious))
        self._defined.add(name)
        for line in self._waiting.pop(name, []):
            self._blocks.append(Block(line, spacious=False))

    def use(self, *texts: str) -> None:
        """Note what the expressions ``texts`` use, for the imports."""
        for text in texts:
            for name in _NAME.findall(text):
                if name in _ALWAYS or name in self._others:
                    self.imported.add(name)

    def later(self, text: str) -> list[str]:
        """The names in the expression ``text`` that the module defines, but not yet."""
        return [name for name in _NAME.findall(text) if self._is_later(name)]

    def _is_later(self, name: str) -> bool:
        return name in self._own and name not in self._defined

    def alias(self, base: str, text: str) -> str:
        """A name for the type ``text``, which is defined as soon as what it names is."""
        alias = "_" + base.strip("_")
        while alias in self._own or alias in self._aliases:
            alias += "_"
        self._aliases[alias] = text
        self.use("TypeAlias", text)
        line = layout.assignment(f"{alias}: TypeAlias", text)
        self._waiting.setdefault(self.later(text)[-1], []).append(line)
        return alias

    def names_in(self, text: str) -> set[str]:
        """The names in the expression ``text`` that the module defines."""
        return self._own.intersection(_NAME.findall(text))

    def sheltered(self, members: Iterable[str], texts: Iterable[str]) -> Callable[[str], str]:
        """What makes the expressions ``texts`` safe in the body of a class with ``members``.

        A member called ``list`` hides the ``list`` of the annotations beside it, so that these
        need another name for it.
        """
        members = set(members)
        used = {name for text in texts for name in _NAME.findall(text)}
        aliases = {name: self._alias(name, members) for name in sorted(members & used)}
        return lambda text: _NAME.sub(lambda name: aliases.get(name[0], name[0]), text)

    def _alias(self, name: str, members: set[str]) -> str:
        alias = "_" + name.strip("_")
        while alias in self._own or alias in members or self._aliases.get(alias, name) != name:
            alias += "_"
        if alias not in self._aliases:
            self._aliases[alias] = name
            if self.later(name):
                self._waiting.setdefault(name, []).append(f"{alias} = {name}")
            elif name not in _ALWAYS and name not in self._others:
                self._blocks.append(Block(f"{alias} = {name}", spacious=False))
        return alias

    def text(self) -> str:
        """The whole module from its imports on, with the blank lines before them."""
        imports = self.imports()
        return ("\n\n" + "\n".join(imports) if imports else "") + self.body(bool(imports))

    def body(self, imports: bool) -> str:
        """The blocks, with the blank lines before them: two, or one if there are no imports."""
        parts: list[str] = []
        spacious = imports
        for number, block in enumerate(self._blocks):
            blank = 2 if block.spacious or (number and spacious) else 0 if number else 1
            parts.append("\n" * (blank + 1) + block.text)
            spacious = block.spacious
        return "".join(parts) + "\n"

    def imports(self) -> list[str]:
        """The lines that import what is used: Python's, then ours, then those of other files."""
        groups: list[list[str]] = [[], [], []]
        for module in dict.fromkeys(_ALWAYS.values()):
            names = [name for name, home in _ALWAYS.items() if home == module]
            groups[module == "rpcserver"] += self._from(module, names)
        others: dict[str, list[str]] = {}
        for name in sorted(self._others):
            if name in self.imported or name in self._aliases.values():
                others.setdefault(self._module_of(self._others[name]), []).append(name)
        for module in sorted(others):
            groups[2] += self._from(module, sorted(others[module], key=layout.isort))
        lines: list[str] = []
        for group in groups:
            lines += [*([""] if lines and group else []), *group]
        return lines

    def _from(self, module: str, names: Sequence[str]) -> list[str]:
        plain = [name for name in names if name in self.imported]
        # One by one: type checkers know what is imported as something else, and do not always
        # know it when it is assigned.
        renamed = [
            f"from {module} import {name} as {alias}"
            for alias, name in sorted(self._aliases.items(), key=lambda item: item[1])
            if name in names
        ]
        return [*([layout.imported(module, plain)] if plain else []), *renamed]
