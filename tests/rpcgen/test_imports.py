"""``%#include`` of another ``.x`` file: the generated modules import one another."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import rpcserver
from rpcserver import rpcgen, xdr
from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen import project
from rpcserver.rpcgen.compiler import Options
from tests.peers.need import unavailable
from tests.rpcgen import case

TYPES = """
const MAX = 4;
%#define FROM_C 3
enum color { RED = 1, BLUE = 2 };
typedef color colour;
struct point { int x; int y; };
typedef point *place;
struct node { int v; node *next; };
union shape switch (color c) { case RED: int a; default: void; };
typedef secret secrets<>;
"""
USER = """
%#include "types.h"
struct all {
    point a; place b; node c; node *d; shape e; secret f; secrets g;
    opaque h<MAX>; opaque i[BLUE]; opaque j<FROM_C>;
    int point;
    point k;
};
union other switch (colour c) { case BLUE: all a; default: void; };
program USER { version USER_V1 { other SWAP(color, all) = 1; } = 1; } = 0x20000001;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "types.x").write_text(TYPES)
    (tmp_path / "user.x").write_text(USER)
    return tmp_path


def test_load_loads_what_is_imported(folder: Path) -> None:
    codecs = {"secret": xdr.Int}
    user = rpcserver.load(folder / "user.x", codecs=codecs)
    types = rpcserver.load(folder / "types.x", codecs=codecs)
    assert user.Point is types.Point
    point = types.Point(1, 2)
    value = user.All(
        point, None, [types.Node(1)], [], types.ShapeRed(1), 7, [8], b"h", b"ii", b"", 3, point
    )
    data = xdr.encode(user.All, value)
    assert xdr.decode(user.All, data) == value
    assert rpcserver.load(folder / "user.x", codecs=codecs) is user
    assert rpcserver.load(folder / "user.x") is not user


def test_modules_beside_one_another(folder: Path) -> None:
    for name in ("types", "user"):
        rpcgen.generate(folder / f"{name}.x", folder / f"{name}_xdr.py")
    rpcgen.generate(folder / "types.x", folder / "types_.py")
    assert "\nfrom types import MAX, " in (folder / "user_xdr.py").read_text()


def test_modules_in_a_package(folder: Path) -> None:
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("types", "user"):
        rpcgen.generate(folder / f"{name}.x", package / f"{name}.py")
    assert "\nfrom .types import MAX, " in (package / "user.py").read_text()
    check = "import package.user as u, package.types as t; assert u.Point is t.Point"
    root = {"PYTHONPATH": str(case.ROOT), "MYPYPATH": str(case.ROOT)}
    subprocess.run([sys.executable, "-c", check], cwd=folder, check=True, env=os.environ | root)
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(case.ROOT)]}))
    for tool in ("mypy", "--strict", "package"), ("pyright", "--pythonpath", sys.executable):
        if importlib.util.find_spec(tool[0]) is None:
            unavailable(f"{tool[0]} not found: pip install --group lint")
        done = subprocess.run(
            [sys.executable, "-m", *tool],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | root,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("types", "user", "line"),
    [
        ("generated/{name}.py", "generated/{name}.py", "from .types import "),
        ("src/wire/types.py", "src/user.py", "from wire.types import "),
        ("wire/types.py", "user.py", "from wire.types import "),
        ("types_xdr.py", "user.py", "from types_xdr import "),
    ],
)
def test_modules_of_a_project(folder: Path, types: str, user: str, line: str) -> None:
    table = f'[tool.rpcserver.gen]\n"types.x" = "{types}"\n"user.x" = "{user}"\n'
    (folder / "pyproject.toml").write_text(table)
    for job in project.project_jobs(folder / "pyproject.toml"):
        project.generate(job, Options())
    assert line in (folder / user.replace("{name}", "user")).read_text()


def test_an_import_that_the_project_does_not_name(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.rpcserver.gen]\n"user.x" = "user.py"\n')
    (job,) = project.project_jobs(folder / "pyproject.toml")
    with pytest.raises(UsageError, match=r"user.x imports .*types.x, which pyproject.toml does"):
        project.generate(job, Options())


def test_a_sample_imports_from_both(folder: Path) -> None:
    text = rpcgen.sample(folder / "user.x")
    assert "\nfrom types import Color\n" in text
    assert "\nfrom user import All, Other, UserV1Service\n" in text


def test_the_header_may_be_in_another_folder(folder: Path) -> None:
    text = USER.replace('"types.h"', "<protocols/types.h>")
    (folder / "user.x").write_text(text)
    assert rpcserver.load(folder / "user.x").Point.__name__ == "Point"


def test_an_import_may_be_imported_again(folder: Path) -> None:
    (folder / "user.x").write_text("%#include <middle.h>\nstruct both { point a; middle b; };")
    (folder / "middle.x").write_text('%#include "types.x"\ntypedef point middle;')
    user = rpcserver.load(folder / "user.x")
    assert user.Middle is user.Point
    assert "from types import Point" in rpcgen.compile_file(folder / "user.x")


def test_files_that_import_one_another(folder: Path) -> None:
    (folder / "a.x").write_text('%#include "b.h"\nstruct a { b held; };')
    (folder / "b.x").write_text('%#include "a.h"\nstruct b { int x; };')
    a = rpcserver.load(folder / "a.x")
    assert a.A(a.B(1)).held.x == 1


def test_what_is_not_needed_is_not_read(folder: Path) -> None:
    (folder / "types.x").write_text("struct {")
    (folder / "user.x").write_text("%#include <types.h>\nstruct s { int x; };")
    assert rpcserver.load(folder / "user.x").S(1).x == 1


def test_mistakes_in_what_is_imported(folder: Path) -> None:
    (folder / "types.x").write_text("struct point { int 1; };")
    with pytest.raises(IdlError) as caught:
        rpcserver.load(folder / "user.x")
    assert str(caught.value).startswith(f"{folder}/types.x:1:20: error: expected an identifier")


def test_names_that_meet(folder: Path) -> None:
    (folder / "user.x").write_text('%#include "types.h"\nstruct Point { point a; };')
    with pytest.raises(IdlError) as caught:
        rpcserver.load(folder / "user.x")
    assert (
        caught.value.message
        == dedent(f"""
        in Python this would be 'Point', as is what {folder}/types.x defines: rename one
    """).strip()
    )


def test_what_is_defined_here_goes_before(folder: Path) -> None:
    text = '%#include "types.h"\nstruct point { double x; };\nstruct s { point p; color c; };'
    (folder / "user.x").write_text(text)
    user = rpcserver.load(folder / "user.x")
    assert xdr.encode(user.S, user.S(user.Point(0.0), user.Color.RED)) == bytes(11) + b"\1"
