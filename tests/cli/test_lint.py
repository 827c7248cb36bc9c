"""``rpcserver lint``: findings, and what it exits with."""

from pathlib import Path

import pytest

from tests.cli.command import invoke

CLEAN = "struct point { int x; int y; };\n"
UNWISE = "program P { version V { void TAKE(string text<>) = 1; } = 1; } = 5;\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, with two .x files and a table that names them."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.rpcserver.gen]\n"*.x" = "{name}.py"\n', encoding="utf-8"
    )
    (tmp_path / "clean.x").write_text(CLEAN, encoding="utf-8")
    (tmp_path / "unwise.x").write_text(UNWISE, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_to_say() -> None:
    done = invoke("lint", "clean.x")
    assert (done.exit_code, done.output) == (0, "")


def test_findings() -> None:
    done = invoke("lint", "clean.x", "unwise.x")
    assert done.exit_code == 1
    where, line, caret, *more = done.stdout.splitlines()
    assert where.startswith("unwise.x:1:42: warning: TAKE takes a string of any length (text)")
    assert where.endswith(" [unbounded]")
    assert caret.index("^") == line.index("text")
    assert [each.rpartition(" ")[2] for each in more[::3]] == ["[program-number]"]
    assert done.stderr == ""


def test_rules_to_ignore() -> None:
    once = invoke("lint", "unwise.x", "--ignore", "unbounded")
    assert (once.exit_code, once.stdout.count("warning:")) == (1, 1)
    twice = invoke("lint", "unwise.x", "--ignore", "unbounded", "--ignore", "program-number")
    assert (twice.exit_code, twice.output) == (0, "")
    unknown = invoke("lint", "unwise.x", "--ignore", "style")
    assert unknown.exit_code == 2
    assert "unbounded" in unknown.stderr


def test_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = invoke("lint", "clean.x", "unwise.x")
    monkeypatch.chdir(project / "sub")
    done = invoke("lint")
    assert (done.exit_code, done.stdout) == (1, named.stdout)


def test_what_the_project_ignores(project: Path) -> None:
    pyproject = project / "pyproject.toml"
    table = pyproject.read_text(encoding="utf-8") + "[tool.rpcserver.lint]\nignore = {}\n"
    pyproject.write_text(table.format('["unbounded"]', name="{name}"), encoding="utf-8")
    assert invoke("lint", "unwise.x").stdout.count("warning:") == 1
    assert invoke("lint", "--ignore", "program-number").exit_code == 0
    for wrong in ('["style"]', '"unbounded"', "[1]"):
        pyproject.write_text(table.format(wrong, name="{name}"), encoding="utf-8")
        done = invoke("lint")
        assert done.exit_code == 1
        assert len(done.stderr.splitlines()) == 1


def test_a_mistake_does_not_hide_the_others(project: Path) -> None:
    (project / "bad.x").write_text("struct point {\n    int 5;\n};\n", encoding="utf-8")
    done = invoke("lint", "bad.x", "unwise.x")
    assert done.exit_code == 1
    assert "bad.x:2:9: error: " in done.stdout
    assert done.stdout.count("warning:") == 2


def test_what_is_included_twice_is_said_once(project: Path) -> None:
    (project / "common.h").write_text("struct class { int x; };\n", encoding="utf-8")
    for name in ("a.x", "b.x"):
        (project / name).write_text('#include "common.h"\n', encoding="utf-8")
    assert invoke("lint", "a.x", "b.x").stdout.count("warning:") == 1


def test_how_the_files_are_read(project: Path) -> None:
    (project / "how.x").write_text("#ifdef WIDE\nstruct class { int x; };\n#endif\n" + CLEAN)
    assert invoke("lint", "how.x").exit_code == 0
    assert invoke("lint", "how.x", "-D", "WIDE").exit_code == 1


def test_what_is_not_there(project: Path) -> None:
    missing = invoke("lint", "none.x")
    assert missing.exit_code == 1
    assert "none.x" in missing.stderr
    (project / "pyproject.toml").unlink()
    nothing = invoke("lint")
    assert nothing.exit_code == 1
    assert "name a FILE.x" in nothing.stderr
