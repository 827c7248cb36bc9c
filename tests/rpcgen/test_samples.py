"""``gen --sample``: a service that runs as it is."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rpcserver
from rpcserver import rpc, rpcgen, xdr
from rpcserver.errors import IdlError, UsageError
from tests.rpcgen import case

PROGRAMS = [*filter(case.has_program, [*map(case.source, case.NAMES), *case.PROJECT])]


def services(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[rpc.Service]:
    """The services of a sample, which was run as a module."""
    options = case.OPTIONS.get(path.stem, {})
    monkeypatch.setitem(sys.modules, "the_generated_one", rpcserver.load(path, **options))
    text = rpcgen.sample(path, module="the_generated_one", **options)
    module = ModuleType("the_sample")
    exec(compile(text, "the_sample", "exec"), module.__dict__)
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, rpc.Service)
        and value.__module__ == "the_sample"
    ]
    return [each() for each in classes]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_serves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = services(path, monkeypatch)
    assert there
    with rpcserver.serve(*there, register=False) as server:
        assert len(server.endpoints) == 2


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_its_values_are_of_their_types(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in services(path, monkeypatch):
        for procedure in service._version._procedures.values():
            arguments = [None] * len(procedure.arguments)
            method = getattr(service, procedure.method)
            result: Any = method(None, *arguments)
            xdr.encode(procedure.result, result)


def test_values_that_nobody_would_read(tmp_path: Path) -> None:
    path = tmp_path / "large.x"
    path.write_text(
        "struct t0 { int x; };\n"
        + "".join(f"struct t{n} {{ t{n - 1} a; t{n - 1} b; }};\n" for n in range(1, 40))
        + "program P { version V { t39 PROC_BIG(void) = 1; t0 PROC_SMALL(void) = 2; } = 1; } = 1;"
    )
    text = rpcgen.sample(path)
    assert "        raise rpc.ProcUnavail\n" in text
    assert "        return T0(0)\n" in text
    assert "import T0, T39, V" in text


def test_nothing_to_serve(tmp_path: Path) -> None:
    path = tmp_path / "types.x"
    path.write_text("struct t { int x; };\n")
    with pytest.raises(UsageError, match=r"types\.x has no program: there is nothing to serve"):
        rpcgen.sample(path)


def test_mistakes_are_told_here_too(tmp_path: Path) -> None:
    path = tmp_path / "meet.x"
    path.write_text("struct a_b { int x; };\nstruct A_b { int x; };\n")
    with pytest.raises(IdlError, match="as is what stands in line 1"):
        rpcgen.sample(path)
