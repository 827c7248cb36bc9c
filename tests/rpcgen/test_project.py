"""The table of generated files, writing them whole or not at all, and what is out of date."""

import os
from pathlib import Path

import pytest

from rpcserver import rpcgen
from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen import project
from rpcserver.rpcgen.compiler import Options

OPTIONS = Options()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A ``.x`` file."""
    path = tmp_path / "t.x"
    path.write_text("const A = 1;\n")
    return path


def table(directory: Path, text: str) -> list[tuple[Path, Path]]:
    """What the table ``text`` means in a directory."""
    pyproject = directory / "pyproject.toml"
    pyproject.write_text(text)
    return project.project_table(pyproject)


def test_the_table(tmp_path: Path) -> None:
    for name in ("b.x", "a-1.x", "sub/c.x", "sub/3com.x", "sub/class.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs = table(
        tmp_path,
        "[tool.rpcserver.gen]\n"
        '"sub/*.x" = "made/{name}.py"\n'
        '"b.x" = "bee.py"\n'
        '"*.x" = "gen/{name}.py"\n',
    )
    assert [
        (s.relative_to(tmp_path).as_posix(), o.relative_to(tmp_path).as_posix()) for s, o in pairs
    ] == [
        ("sub/3com.x", "made/_3com.py"),
        ("sub/c.x", "made/c.py"),
        ("sub/class.x", "made/_class.py"),
        ("b.x", "bee.py"),
        ("a-1.x", "gen/a_1.py"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no \[tool\.rpcserver\.gen\]"),
        ("tool.rpcserver.gen = 5", r"has no \[tool\.rpcserver\.gen\]"),
        ("[tool", "pyproject.toml: "),
        ('[tool.rpcserver.gen]\n"none/*.x" = "a.py"', r"no file matches 'none/\*\.x'"),
        ('[tool.rpcserver.gen]\n"*.x" = 5', r"the output of '\*\.x' is no string"),
        ('[tool.rpcserver.gen]\n"/*.x" = "a.py"', r"'/\*\.x': "),
        ('[tool.rpcserver.gen]\n"*.x" = "one.py"', "would both become .*one.py"),
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.x").touch()
    (tmp_path / "b.x").touch()
    with pytest.raises(UsageError, match=message):
        table(tmp_path, text)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read .*pyproject.toml: No such file"):
        project.project_table(tmp_path / "pyproject.toml")


def test_generate_says_whether_it_changed(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "down" / "t.py"
    assert rpcgen.generate(source, output)
    before = output.stat()
    assert not rpcgen.generate(source, output)
    assert output.stat().st_mtime_ns == before.st_mtime_ns
    source.write_text("const A = 2;\n")
    assert rpcgen.generate(source, output)
    assert "A = 2" in output.read_text()
    assert os.listdir(output.parent) == ["t.py"]


def test_the_file_has_the_usual_permissions(source: Path, tmp_path: Path) -> None:
    rpcgen.generate(source, tmp_path / "t.py")
    (tmp_path / "other").touch()
    assert (tmp_path / "t.py").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_mistake_leaves_the_older_output(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.py"
    rpcgen.generate(source, output)
    older = output.read_bytes()
    for text in ("const A = ;", "const A = B;", "struct a_b { int x; }; struct A_b { int x; };"):
        source.write_text(text)
        with pytest.raises(IdlError):
            rpcgen.generate(source, output)
        assert output.read_bytes() == older
    assert sorted(os.listdir(tmp_path)) == ["t.py", "t.x"]


def test_a_write_that_fails_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "t.py"
    output.write_text("older")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="cannot write .*t.py: No space left on device"):
        rpcgen.generate(source, output)
    assert output.read_text() == "older"
    assert sorted(os.listdir(tmp_path)) == ["t.py", "t.x"]


def test_where_nothing_can_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Not a directory"):
        rpcgen.generate(source, tmp_path / "file" / "t.py")
    with pytest.raises(UsageError, match="Is a directory"):
        rpcgen.generate(source, tmp_path)


def test_what_is_out_of_date(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.py"
    job = project.Job(source, output, source.as_posix())
    assert project.outdated(job, OPTIONS) == "is missing"
    rpcgen.generate(source, output)
    assert project.outdated(job, OPTIONS) == ""
    code = output.read_text()
    output.write_text(code.replace("A = 1", "A = 2"))
    reason = project.outdated(job, OPTIONS)
    assert reason == "differs from line 4: 'A = 2' should be 'A = 1'"
    output.write_text(code + "B = 3\n")
    reason = project.outdated(job, OPTIONS)
    assert reason == "has 5 lines instead of 4"
    output.write_bytes(code.replace("\n", "\r\n").encode())
    assert project.outdated(job, OPTIONS) == "differs in its line ends"
    output.write_bytes(b"\xff\xfe")
    assert project.outdated(job, OPTIONS).startswith("differs from line 1")


def test_a_path_is_shown_as_it_is_given(source: Path, tmp_path: Path) -> None:
    code = rpcgen.compile_file(source, shown_path='a/b"\n"""\\.x')
    assert code.startswith('# Generated by rpcgen 0.1 from a/b"?"""\\.x. Do not edit')
    compile(code, "t.py", "exec")
    monkey = rpcgen.compile_file(source)
    assert f"from {source.as_posix()}." in monkey.splitlines()[0]
