"""A short run of the fuzz target; `make fuzz` is the long one."""

import pytest

from fuzz import compiler


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_files(seed: int) -> None:
    assert compiler.run(compiler.corpus(compiler.PLACES), seed, 4) == []


def test_what_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("rpcserver.rpcgen.load", broken)
    (found,) = compiler.run(["const A = 1;"], 1, 0.05)
    assert "RecursionError" in found
