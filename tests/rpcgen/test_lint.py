"""Each rule of lint finds what it is for, and says where: ``lint/NAME.x`` and ``lint/NAME.txt``.

UPDATE_SNAPSHOTS=1 accepts the findings as they are now.
"""

import os
from pathlib import Path

import pytest

from rpcserver import rpcgen
from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen.lint import RULES
from tests.rpcgen import case

LINT = Path(__file__).with_name("lint")
NAMES = sorted(path.stem for path in LINT.glob("*.x"))


def found(name: str) -> list[str]:
    path = LINT / f"{name}.x"
    return [f"{each}\n" for each in rpcgen.findings(path, shown_path=f"lint/{name}.x")]


@pytest.mark.parametrize("name", NAMES)
def test_findings(name: str) -> None:
    text = "".join(found(name))
    snapshot = LINT / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")


def test_no_findings_without_their_file() -> None:
    assert sorted(path.stem for path in LINT.glob("*.txt")) == NAMES


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_case(rule: str) -> None:
    findings = rpcgen.findings(LINT / f"{rule.replace('-', '_')}.x")
    assert findings
    assert {each.rule for each in findings} == {rule}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_to_ignore(rule: str) -> None:
    assert not rpcgen.findings(LINT / f"{rule.replace('-', '_')}.x", ignore=[rule])


@pytest.mark.parametrize("name", ["clean", "unused_types_only"])
def test_nothing_to_find(name: str) -> None:
    assert found(name) == []


def test_no_such_rule() -> None:
    with pytest.raises(UsageError, match=r"no rule 'style'.*unbounded"):
        rpcgen.findings(LINT / "clean.x", ignore=["style"])


def test_a_mistake_is_an_error() -> None:
    with pytest.raises(IdlError, match="several_names.x:.*: error: "):
        rpcgen.findings(case.BAD / "several_names.x")


def test_macros_and_included_files(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "inc.h").write_text("struct inc { string linux<>; };\n", encoding="utf-8")
    path = tmp_path / "a.x"
    path.write_text(
        '#include "inc.h"\n'
        "#ifdef OLD\nstruct old { string name<>; };\n#endif\n"
        "program P { version V { void TAKE(inc) = 1; } = 1; } = NUMBER;\n",
        encoding="utf-8",
    )
    findings = rpcgen.findings(path, include=[str(tmp_path / "lib")], define=["OLD", "NUMBER=1"])
    assert [(Path(each.file).name, each.line, each.rule) for each in findings] == [
        ("inc.h", 1, "c-name"),
        ("inc.h", 1, "unbounded"),
        ("a.x", 3, "unused"),
        ("a.x", 5, "program-number"),
    ]


def test_what_another_file_is_to_blame_for(tmp_path: Path) -> None:
    """A file that is imported has findings of its own; a limit it lacks is missed here, too."""
    types = "struct text { string unix<>; };\nstruct loop { loop *a; loop *b; };\n"
    (tmp_path / "types.x").write_text(types, encoding="utf-8")
    path = tmp_path / "use.x"
    path.write_text(
        '%#include "types.h"\n'
        "struct outer { text inner; loop again; };\n"
        "program P { version V { void TAKE(outer) = 1; } = 1; } = 0x20000000;\n",
        encoding="utf-8",
    )
    (finding,) = rpcgen.findings(path)
    assert (finding.line, finding.column, finding.rule) == (2, 21, "unbounded")
    assert "(arg -> inner -> unix)" in finding.message


def test_a_long_way_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "long.x"
    structs = "".join(f"struct s{n} {{ s{n + 1} *to{n}; }};\n" for n in range(3000))
    program = "program P { version V { void TAKE(s0) = 1; } = 1; } = 0x20000000;\n"
    path.write_text(f"{structs}struct s3000 {{ string end<>; }};\n{program}", encoding="utf-8")
    (finding,) = rpcgen.findings(path)
    assert "(arg -> to0 -> " in finding.message
    assert finding.message.endswith("-> end): give it a limit, <N> [unbounded]")
    assert len(finding.message) < 250


@pytest.mark.parametrize("path", [*map(case.source, case.NAMES), *case.PROJECT])
def test_whatever_compiles_can_be_looked_at(path: Path) -> None:
    options = case.OPTIONS.get(path.stem, {})
    how = {key: value for key, value in options.items() if key in ("include", "define")}
    for finding in rpcgen.findings(path, **how):
        assert finding.source_line
        assert finding.column <= len(finding.source_line)


def test_our_own_service() -> None:
    assert rpcgen.findings(case.ROOT / "idl" / "kv.x") == []
