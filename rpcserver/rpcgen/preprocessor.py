"""What rpcgen leaves to cpp: ``#include``, ``#define``, ``#if``; and rpcgen's own ``%`` lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from rpcserver.rpcgen.condition import ConditionError, Conditions, evaluate
from rpcserver.rpcgen.origin import Origin

MAX_INCLUDES = 64
"""Files inside one another."""

MAX_FILES = 1000
"""Files in all, each counted as often as it is included."""

MAX_LINES = 1_000_000
"""Lines in all, with those of included files."""

MAX_EXPANSION = 16_384
"""Characters that one line may grow to by its macros."""

MAX_DEPTH = 100
"""Macros inside one another."""

PREDEFINED = {"RPC_HDR": "1"}
"""rpcgen runs cpp once for each of its outputs, with RPC_HDR, RPC_XDR, RPC_SVC, RPC_CLNT or
RPC_TBL defined. The header is the pass that sees every type and every program."""

# What is no code: a comment, or a line for the C compiler with what its backslashes join to it.
# Each may look as if the other stood in it; what starts first counts.
NO_CODE = re.compile(
    r"/\*(?P<text>.*?)(?P<end>\*/|\Z)|//(?P<rest>[^\n]*)|^%(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_VISIBLE = re.compile(r"[^\n]")
_DIRECTIVE = re.compile(r"\s*#\s*(?P<name>[A-Za-z]+|\d+)?(?P<rest>.*)", re.DOTALL)
_FILE = re.compile(r'\s*(?:"(?P<here>[^"]+)"|<(?P<there>[^>]+)>)')
_PERCENT_INCLUDE = re.compile(r'%\s*#\s*include\s+["<](?P<name>[^">]+)\.(?:x|h)[">]')
_PERCENT_DEFINE = re.compile(r"%\s*#\s*define\s+(?P<name>[A-Za-z_]\w*)\s+(?P<value>[^\n]*)")
_WORD = re.compile(r"[A-Za-z_]\w*|\"[^\"\n]*\"|'[^'\n]*'|\d\w*")
_DEFINE = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)(?P<bracket>\()?(?P<value>.*)", re.DOTALL)
_DEFINED = re.compile(r"\bdefined\s*(?:\(\s*([A-Za-z_]\w*)\s*\)|([A-Za-z_]\w*))")
# These are for the C compiler, or from whoever ran a preprocessor before.
_IGNORED = frozenset(["", "ident", "line", "pragma", "sccs", "warning"])


def blank(match: re.Match[str]) -> str:
    """What matched, with a blank for each character: every position stays what it was."""
    return _VISIBLE.sub(" ", match.group())


@dataclass(slots=True)
class Preprocessed:
    """The text for the parser, comments still in it; for each of its lines the origin; the
    ``.x`` files that a ``%#include`` names; and what ``%#define`` gave names to."""

    lines: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    imports: list[Path] = field(default_factory=list)
    defines: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


class Preprocessor:
    """Runs once over a file and what it includes.

    ``read`` gives the text of a file, ``include`` are directories to look in, and ``define`` are
    macros, ``NAME`` or ``NAME=VALUE``.
    """

    def __init__(
        self,
        read: Callable[[Path], str],
        include: Sequence[str] = (),
        define: Sequence[str] = (),
    ) -> None:
        self._read = read
        self._include = [Path(each) for each in include]
        self._macros = dict(PREDEFINED)
        for each in define:
            name, equals, value = each.partition("=")
            self._macros[name] = value if equals else "1"
        self._open_files: list[Path] = []
        self._files = 0
        self._result = Preprocessed()

    def run(self, path: Path, shown: str) -> Preprocessed:
        """Preprocess the file at ``path``, which messages call ``shown``. Raises ``IdlError``."""
        self._file(path, shown)
        return self._result

    def _file(self, path: Path, shown: str) -> None:
        text = self._read(path)
        self._open_files.append(path.resolve())
        conditions = Conditions()
        for line in _lines(text, shown):
            self._line(line, conditions, path)
            for origin in line.joined:
                self._put("", origin)
            if included := self._included(line, conditions, path):
                found, name = included
                # As the user would say it: beside what was named, or below what -I named.
                beside = found == path.parent / name
                self._file(
                    found, str(PurePosixPath(shown).parent / name) if beside else found.as_posix()
                )
            if len(self._result.lines) > MAX_LINES:
                raise line.origin.error(f"more than {MAX_LINES} lines with all that is included")
        conditions.finish()
        self._open_files.pop()

    def _put(self, text: str, origin: Origin) -> None:
        self._result.lines.append(text)
        self._result.origins.append(origin)

    def _line(self, line: _Line, conditions: Conditions, path: Path) -> None:
        """Take one line: of a directive or what is left out, the parser gets an empty one."""
        text, origin = "", line.origin
        if line.code.lstrip().startswith("#"):
            self._directive(line, conditions)
        elif conditions.active:
            text, origin = self._expanded(line)
            if origin.text.startswith("%"):
                self._percent(line, path)
        self._put(text, origin)

    def _percent(self, line: _Line, path: Path) -> None:
        if match := _PERCENT_INCLUDE.match(line.origin.text):
            # Whatever folder C finds the header in, its .x stands beside this one.
            name = f"{match['name']}.x"
            places = [path.parent / name, path.parent / Path(name).name]
            for sibling in places:
                if _is_file(sibling) and sibling.resolve() not in self._open_files:
                    self._result.imports.append(sibling)
                    break
        elif match := _PERCENT_DEFINE.match(line.origin.text):
            self._result.defines[match["name"]] = match["value"].strip()

    # --- directives ---------------------------------------------------------------------------

    def _directive(self, line: _Line, conditions: Conditions) -> None:
        match = _DIRECTIVE.match(line.code)
        assert match is not None
        name, rest = match["name"] or "", match["rest"]
        if name in ("if", "ifdef", "ifndef", "elif", "else", "endif"):
            conditions.step(name, line.origin, lambda: self._condition(name, rest, line))
        elif not conditions.active or name in _IGNORED or name.isdigit() or name == "include":
            pass
        elif name == "define":
            self._define(rest, line.origin)
        elif name == "undef":
            self._macros.pop(rest.strip(), None)
        elif name == "error":
            raise line.origin.error(f"#error {rest.strip()}")
        else:
            raise line.origin.error(f"unknown directive #{name}", line.code.index("#"))

    def _condition(self, name: str, rest: str, line: _Line) -> bool:
        if name in ("ifdef", "ifndef"):
            words = rest.split()
            if not words:
                raise line.origin.error(f"#{name} wants the name of a macro")
            return (words[0] in self._macros) == (name == "ifdef")
        answered = _DEFINED.sub(
            lambda asked: str(int((asked[1] or asked[2]) in self._macros)), rest
        )
        try:
            return bool(evaluate(self._replaced(answered, line.origin)))
        except ConditionError as error:
            at = len(line.code) - len(rest) + error.at
            raise line.origin.error(str(error), at) from None

    def _define(self, rest: str, origin: Origin) -> None:
        match = _DEFINE.match(rest)
        if match is None:
            raise origin.error("#define wants a name")
        # A macro with arguments is for C code; nothing in a .x can be meant by it.
        if not match["bracket"]:
            self._macros[match["name"]] = match["value"].strip()

    def _included(self, line: _Line, conditions: Conditions, path: Path) -> tuple[Path, str] | None:
        """The file that an ``#include`` line names, if it is one of ours, and what it calls it."""
        directive = _DIRECTIVE.fullmatch(line.code)
        if directive is None or directive["name"] != "include" or not conditions.active:
            return None
        rest, origin = directive["rest"], line.origin
        match = _FILE.match(rest) or _FILE.match(self._replaced(rest, origin))
        if match is None:
            raise origin.error('#include wants "FILE" or <FILE>')
        name = match["here"] or match["there"]
        places = [*([path.parent] if match["here"] else []), *self._include]
        found = next((place / name for place in places if _is_file(place / name)), None)
        if found is None:
            if match["there"] or name.endswith(".h"):
                return None  # C's own, and nothing in it is for us
            raise origin.error(f"cannot find {name!r} (-I names directories to look in)")
        if found.resolve() in self._open_files:
            chain = " -> ".join(each.name for each in [*self._open_files, found])
            raise origin.error(f"{name!r} includes itself: {chain}")
        if len(self._open_files) >= MAX_INCLUDES:
            raise origin.error(f"more than {MAX_INCLUDES} files inside one another")
        self._files += 1
        if self._files > MAX_FILES:
            raise origin.error(f"more than {MAX_FILES} files included in all")
        return found, name

    # --- macros -------------------------------------------------------------------------------

    def _expanded(self, line: _Line) -> tuple[str, Origin]:
        parts: list[str] = []
        columns = [(0, 0)]
        at = length = 0
        for match in _WORD.finditer(line.code):
            if match.group() in self._macros:
                value = self._replaced(match.group(), line.origin)
                parts += [line.text[at : match.start()], value]
                length += match.start() - at
                # Every character of the value stands for the macro's name.
                columns += [(length + n, match.start()) for n in range(len(value))]
                length += len(value)
                at = match.end()
                columns.append((length, at))
        if not parts:
            return line.text, line.origin
        return "".join([*parts, line.text[at:]]), replace(line.origin, columns=tuple(columns))

    def _replaced(self, text: str, origin: Origin) -> str:
        """``text`` with its macros replaced, again and again, none inside of itself."""
        left = MAX_EXPANSION

        def pieces(text: str, inside: tuple[str, ...]) -> Iterator[str]:
            nonlocal left
            at = 0
            for match in _WORD.finditer(text):
                word = match.group()
                if word in self._macros and word not in inside:
                    if len(inside) > MAX_DEPTH:
                        raise origin.error(f"macros more than {MAX_DEPTH} deep in one another")
                    yield text[at : match.start()]
                    yield from pieces(self._macros[word], (*inside, word))
                    at = match.end()
            left -= len(text) - at + 1
            if left < 0:
                raise origin.error(f"macros make this line longer than {MAX_EXPANSION} characters")
            yield text[at:]

        return "".join(pieces(text, ()))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


@dataclass(slots=True)
class _Line:
    """A line: ``code`` has blanks for comments and ``%`` lines, ``text`` for the latter only; the
    origins of the lines that were ``joined`` to it by a backslash."""

    code: str
    text: str
    origin: Origin
    joined: list[Origin]


def _lines(text: str, shown: str) -> Iterator[_Line]:
    blanked = NO_CODE.sub(blank, text)
    code = blanked.split("\n")
    kept = NO_CODE.sub(lambda match: _kept(match, blanked), text).split("\n")
    sources = text.split("\n")
    n = 0
    while n < len(code):
        first = n
        while code[n].endswith("\\") and n + 1 < len(code):
            n += 1
        n += 1
        origins = [Origin(shown, m + 1, sources[m]) for m in range(first, n)]
        parts, texts = code[first:n], kept[first:n]
        parts[:-1] = [part[:-1] for part in parts[:-1]]
        texts[:-1] = [part[:-1] for part in texts[:-1]]
        yield _Line("".join(parts), "".join(texts), origins[0], origins[1:])


def _kept(match: re.Match[str], blanked: str) -> str:
    """A comment, unless it starts on the line of a directive: then it goes with it."""
    start = blanked.rfind("\n", 0, match.start()) + 1
    directive = blanked[start : match.start()].lstrip().startswith("#")
    return blank(match) if directive or match.group().startswith("%") else match.group()
