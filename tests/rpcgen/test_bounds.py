"""Files that would take all memory or all time: a clear error, or a result, within bounds.

Each is compiled in a process of its own, which the kernel gives 3 GB and two minutes at most.
"""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rpcgen import case

MEMORY = 3 << 30
SECONDS = 120
COMPILE = """
import sys
from rpcserver import rpcgen
from rpcserver.errors import IdlError, UsageError
try:
    code = rpcgen.compile_file(sys.argv[1])
    compile(code, "module", "exec")
except (IdlError, UsageError) as error:
    print(str(error)[:300])
else:
    print("compiled")
"""


def nested(before: str, middle: str, after: str, depth: int = 5000) -> str:
    return before * depth + middle + after * depth


BOMBS = {
    "many_members": (
        "enum e { " + ", ".join(f"M{n} = {n}" for n in range(50_000)) + " };",
        "compiled",
    ),
    "many_fields": (
        "struct s { " + "".join(f"int f{n}; " for n in range(50_000)) + "};",
        "compiled",
    ),
    "million_members": (
        "enum e { " + ", ".join(f"M{n} = {n}" for n in range(1_000_000)) + " };",
        "bytes: that is no .x file",
    ),
    "ten_megabytes": ("/*" + "x" * 10_000_000 + "*/", "bytes: that is no .x file"),
    "structs": (nested("struct { ", "int x;", " } y;"), "braces inside one another"),
    "open_structs": ("struct a { struct { " * 5000, "braces inside one another"),
    "brackets": ("#if " + nested("(", "1", ")") + "\n#endif\n", "condition"),
    "conditions": (nested("#if 1\n", "const A = 1;\n", "#endif\n"), "compiled"),
    "macros": (
        "#define M0 int a;\n"
        + "".join(f"#define M{n + 1} M{n} M{n}\n" for n in range(80))
        + "struct s { M80 };\n",
        "macros make this line longer",
    ),
    "macro_of_itself": ("#define X X Y\n#define Y X Y\nstruct s { X };\n", "error: expected"),
    "typedefs": (
        "typedef int t0;\n" + "".join(f"typedef t{n} t{n + 1};\n" for n in range(3000)),
        "inside one another",
    ),
    "constants": (
        "".join(f"const C{n} = C{n + 1};\n" for n in range(20_000)) + "const C20000 = 1;\n",
        "compiled",
    ),
    "doubling": (
        "struct s0 { int x; };\n"
        + "".join(f"struct s{n + 1} {{ s{n} a; s{n} b; }};\n" for n in range(40)),
        "compiled",
    ),
    "errors": ("struct s { int; };\n" * 20_000, "error: expected an identifier"),
    "comment": ("/*" + "*" * 1_000_000, "a comment that never ends"),
    "number": ("const A = " + "9" * 100_000 + ";", "a number of 100000 digits"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bounds(name: str, tmp_path: Path) -> None:
    text, expected = BOMBS[name]
    path = tmp_path / "t.x"
    path.write_text(text)
    assert expected in compiled(path)


def test_an_include_bomb(tmp_path: Path) -> None:
    """Each file includes the next one twice: a billion files."""
    for n in range(30):
        path = tmp_path / f"f{n}.x"
        path.write_text(f'#include "f{n + 1}.x"\n#include "f{n + 1}.x"\n')
    (tmp_path / "f30.x").write_text("const A = 1;\n")
    assert "files included in all" in compiled(tmp_path / "f0.x")


def compiled(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=case.ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
