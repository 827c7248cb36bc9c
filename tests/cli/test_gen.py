"""``rpcserver gen``: one file, or those of the project."""

from pathlib import Path

import pytest

from rpcserver import rpcgen
from tests.cli.command import ROOT, invoke, run

TYPES = "struct point { int x; int y; };\n"
PROGRAM = "program P { version V { int P_PROC_ADD(int, int) = 1; } = 1; } = 0x20000001;\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with a table and a .x file."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.rpcserver.gen]\n"idl/*.x" = "made/{name}.py"\n', encoding="utf-8"
    )
    (tmp_path / "idl").mkdir()
    (tmp_path / "idl" / "p.x").write_text(TYPES, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_file(project: Path) -> None:
    done = invoke("gen", "idl/p.x")
    assert (done.exit_code, done.stdout) == (0, "wrote p.py\n")
    made = (project / "p.py").read_text(encoding="utf-8")
    assert made == rpcgen.compile_file("idl/p.x")
    assert "from idl/p.x." in made.splitlines()[0]
    assert invoke("gen", "idl/p.x").stdout == ""  # nothing to change


def test_output(project: Path) -> None:
    assert invoke("gen", "idl/p.x", "-o", "deep/down.py").exit_code == 0
    assert "class Point" in (project / "deep" / "down.py").read_text(encoding="utf-8")
    assert invoke("gen", "idl/p.x", "-o", "-").stdout == rpcgen.compile_file("idl/p.x")


def test_how_to_compile(project: Path) -> None:
    (project / "idl" / "p.x").write_text("typedef string some_name<8>;\n", encoding="utf-8")
    assert "SomeName: TypeAlias = Annotated[str," in invoke("gen", "idl/p.x", "-o", "-").stdout
    done = invoke("gen", "idl/p.x", "-o", "-", "--names", "idl", "--strings", "bytes")
    assert "some_name: TypeAlias = Annotated[bytes," in done.stdout
    assert invoke("gen", "idl/p.x", "--strings", "ebcdic").exit_code == 2


def test_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("gen").exit_code == 0
    made = (project / "made" / "p.py").read_text(encoding="utf-8")
    assert "from idl/p.x." in made.splitlines()[0]
    monkeypatch.chdir(project / "sub")  # the table is looked for above, and nothing else changes
    assert invoke("gen").stdout == ""
    assert invoke("gen", "--check").exit_code == 0


@pytest.mark.parametrize(
    "args", [["gen", "--check"], ["gen", "--check", "idl/p.x", "-o", "made/p.py"]]
)
def test_check(project: Path, args: list[str]) -> None:
    made = project / "made" / "p.py"
    missing = invoke(*args)
    assert missing.exit_code == 1
    assert "p.py is missing" in missing.stderr
    assert not made.exists()
    assert invoke("gen").exit_code == 0
    assert invoke(*args).exit_code == 0
    made.write_text(made.read_text(encoding="utf-8").replace("Point", "Dot"), encoding="utf-8")
    changed = invoke(*args)
    assert changed.exit_code == 1
    assert "differs from line" in changed.stderr
    assert "Dot" in made.read_text(encoding="utf-8")


def test_a_mistake_in_the_file_leaves_the_output_alone(project: Path) -> None:
    assert invoke("gen", "idl/p.x").exit_code == 0
    before = (project / "p.py").read_text(encoding="utf-8")
    (project / "idl" / "p.x").write_text("struct point {\n    int 5;\n};\n", encoding="utf-8")
    done = invoke("gen", "idl/p.x")
    assert done.exit_code == 1
    where, line, caret = done.stderr.splitlines()[:3]
    assert where.startswith("idl/p.x:2:9: error: ")
    assert line.endswith("    int 5;")
    assert caret.index("^") == line.index("5")
    assert (project / "p.py").read_text(encoding="utf-8") == before
    assert invoke("gen", "idl/p.x", "-o", "other.py").exit_code == 1
    assert not (project / "other.py").exists()


def test_sample(project: Path) -> None:
    (project / "idl" / "p.x").write_text(PROGRAM, encoding="utf-8")
    printed = invoke("gen", "--sample", "idl/p.x")
    assert printed.exit_code == 0
    assert "def add(self, call: rpc.Call" in printed.stdout
    assert invoke("gen", "--sample", "idl/p.x", "-o", "service.py").exit_code == 0
    assert (project / "service.py").read_text(encoding="utf-8") == printed.stdout
    (project / "service.py").write_text("filled in", encoding="utf-8")
    again = invoke("gen", "--sample", "idl/p.x", "-o", "service.py")
    assert again.exit_code == 1
    assert (project / "service.py").read_text(encoding="utf-8") == "filled in"


@pytest.mark.parametrize(
    "args",
    [["-o", "x.py"], ["--sample"], ["--names", "idl"], ["-D", "X"], ["--sample", "--check", "p.x"]],
)
def test_what_does_not_go_together(project: Path, args: list[str]) -> None:
    assert invoke("gen", *args).exit_code == 2


def test_what_is_not_there(project: Path) -> None:
    missing = invoke("gen", "idl/q.x")
    assert missing.exit_code == 1
    assert len(missing.stderr.splitlines()) == 1
    assert "idl/q.x" in missing.stderr
    (project / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    no_table = invoke("gen")
    assert no_table.exit_code == 1
    assert "tool.rpcserver.gen" in no_table.stderr


def test_our_own_files_are_up_to_date() -> None:
    done = run("gen", "--check", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
