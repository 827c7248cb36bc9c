"""Mutated ``.x`` files for the preprocessor, the grammar and ``load()``.

::

    python -m fuzz.compiler [--seconds N] [--seed S] [--save DIR] [FILE-or-DIR...]

Whatever the input, the compiler gives a module or an ``IdlError`` (``UsageError`` for a file that
it cannot read), within ``SLOW`` seconds. Without files, those of the project are mutated, and the
system's. What breaks that is printed with its traceback and kept in DIR.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rpcserver import rpcgen
from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen import loader

ROOT = Path(__file__).parents[1]
PLACES = (
    ROOT / "idl",
    ROOT / "tests" / "rpcgen" / "cases",
    ROOT / "tests" / "rpcgen" / "bad",
    Path("/usr/include/rpcsvc"),
)
SLOW = 20
"""seconds that one input may take"""
LARGEST = 60_000
"""characters of an input: a real file is no larger, and many small ones find more"""

ODD = "\0\t\n\r\"'#%/*\\{}()<>[]=;:,~\x7f\x85\xff\u2028\ud800"
LINES = (
    "#if 0", "#if 1", "#else", "#endif", "#elif defined(X) && X > 1", "#define X X", "#define X 1",
    "#define Y X X X X", "#undef X", "#include __FILE__", '#include "t.x"', "%#define Z 5",
    "%#include \"other.h\"", "namespace n {", "}", "pragma big_endian x;", "\\", "/*", "*/", "//",
    "#ifdef RPC_HDR", "#line 5", "const X = X;", "typedef x x;", "struct s { s *next; };",
)  # fmt: skip
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Mutator:
    """Makes new files from ``texts``."""

    def __init__(self, texts: Sequence[str], seed: int) -> None:
        self._random = random.Random(seed)
        self._texts = texts
        self._changes: list[Callable[[str], str]] = [
            self._cut, self._token, self._swap, self._copy, self._odd, self._line, self._splice,
        ]  # fmt: skip
        self._tokens = sorted({token for text in texts for token in _TOKEN.findall(text)})

    def text(self) -> str:
        """A mutated file."""
        text = self._random.choice(self._texts)
        for _ in range(self._random.randint(1, 8)):
            change = self._random.choice(
                (
                    self._cut,
                    self._token,
                    self._swap,
                    self._copy,
                    self._odd,
                    self._line,
                    self._splice,
                )
            )
            text = str(change(text))[:LARGEST]
        return text

    def options(self) -> dict[str, str]:
        """How to compile it."""
        names = self._random.choice(("py", "idl"))
        return {
            "names": names,
            "strings": self._random.choice(("utf-8", "bytes", "latin-1")),
        }

    def _place(self, text: str) -> int:
        return self._random.randrange(len(text) + 1)

    def _cut(self, text: str) -> str:
        at = self._place(text)
        return text[:at] + text[at + self._random.randint(1, 40) :]

    def _token(self, text: str) -> str:
        at = self._place(text)
        return f"{text[:at]} {self._random.choice(self._tokens)} {text[at:]}"

    def _swap(self, text: str) -> str:
        found = list(_TOKEN.finditer(text))
        if not found:
            return text
        match = self._random.choice(found)
        return f"{text[: match.start()]}{self._random.choice(self._tokens)}{text[match.end() :]}"

    def _copy(self, text: str) -> str:
        start, at = self._place(text), self._place(text)
        piece = text[start : start + self._random.randint(1, 200)]
        return text[:at] + piece * self._random.choice((1, 1, 2, 40)) + text[at:]

    def _odd(self, text: str) -> str:
        at = self._place(text)
        return text[:at] + self._random.choice(ODD) + text[at:]

    def _line(self, text: str) -> str:
        at = text.find("\n", self._place(text)) + 1
        return f"{text[:at]}{self._random.choice(LINES)}\n{text[at:]}"

    def _splice(self, text: str) -> str:
        other = self._random.choice(self._texts)
        return text[: self._place(text)] + other[self._place(other) :]


class Failed(Exception):
    """An input that the compiler did not take as it should."""


def one_input(data: bytes, options: dict[str, str], directory: Path) -> bool:
    """Compile and import ``data``; whether it was a good file. Raises what should not be."""

    def too_slow(*_: object) -> None:
        raise Failed(f"more than {SLOW} seconds")

    signal.signal(signal.SIGALRM, too_slow)
    signal.setitimer(signal.ITIMER_REAL, SLOW)
    try:
        return compile_input(data, options, directory)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def compile_input(data: bytes, options: dict[str, str], directory: Path) -> bool:
    """The same, for as long as it takes."""
    path = directory / "t.x"
    path.write_bytes(data)
    before = set(sys.modules)
    try:
        rpcgen.load(path, **options)  # type: ignore[arg-type]
        rpcgen.findings(path)
    except IdlError as error:
        str(error)
        return False
    except UsageError:
        return False
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("rpcserver_idl_"):
                loader.forget(name)
    return True


def corpus(places: Iterable[Path]) -> list[str]:
    """The texts of all files there."""
    files: list[Path] = []
    for place in places:
        files += sorted(place.rglob("*.x")) if place.is_dir() else [place]
    return [file.read_text(encoding="latin-1") for file in files if file.is_file()]


def run(texts: Sequence[str], seed: int, seconds: float, save: Path | None = None) -> list[str]:
    """Try mutations of ``texts``; the tracebacks of those that failed, each kind once."""
    mutator = Mutator(texts, seed)
    found: dict[str, str] = {}
    end = time.monotonic() + seconds
    tried = good = 0
    with tempfile.TemporaryDirectory() as directory:
        while time.monotonic() < end:
            data = mutator.text().encode("utf-8", "surrogatepass")
            tried += 1
            try:
                good += one_input(data, mutator.options(), Path(directory))
            except Exception as error:  # noqa: BLE001  that is what is looked for
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} {place.filename}:{place.lineno}"
                if kind not in found:
                    found[kind] = "".join(traceback.format_exception(error))
                    if save is not None:
                        save.mkdir(parents=True, exist_ok=True)
                        (save / f"seed{seed}-{len(found)}.x").write_bytes(data)
    print(f"seed {seed}: {tried} inputs, {good} of them good, {len(found)} kinds of failure")
    return list(found.values())


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.compiler")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--save", type=Path, default=Path("fuzz") / "found")
    parser.add_argument("places", nargs="*", type=Path)
    options = parser.parse_args()
    texts = corpus(options.places or PLACES)
    found = run(texts, options.seed, options.seconds, options.save)
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
