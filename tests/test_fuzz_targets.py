"""Each fuzz target on its seeds, and for a moment on damaged ones; `make fuzz` is the long run."""

import logging
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fuzz import blind, corpus, targets
from rpcserver.rpc.record import RecordReader
from rpcserver.xdr.codec import NATIVE


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable()
    yield
    logging.disable(before)


@pytest.mark.parametrize("name", targets.NAMES)
def test_target(name: str) -> None:
    if not NATIVE and name in ("native", "differential", "plain"):
        pytest.skip("there is no native codec")
    assert blind.run(name, 1, 0.5) == []


def test_what_fails_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: RecordReader, size: int) -> None:
        pass  # no limit

    monkeypatch.setattr(RecordReader, "_check", broken)
    found = blind.run("record", 1, 0.1, tmp_path)
    assert any("AssertionError" in each for each in found)
    for path in tmp_path.iterdir():
        with pytest.raises(AssertionError):
            targets.load("record").run(path.read_bytes())


def test_what_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind, "SLOW", 0.0)
    assert any("one input took" in each for each in blind.run("record", 1, 0.0))


def test_a_corpus_is_written(tmp_path: Path) -> None:
    count = corpus.write(tmp_path / "record", "record")
    files = {path.read_bytes() for path in (tmp_path / "record").iterdir()}
    assert len(files) == count > 20
    assert files == set(targets.load("record").seeds())


# --- that the targets see what is wrong ---------------------------------------------------------


def broken_target(name: str, where: str, what: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a target finds when ``where`` (``module:attribute``) is ``what``."""
    target = targets.load(name)
    assert target is not None
    module, _, attribute = where.partition(":")
    holder: Any = import_module(module)
    *path, last = attribute.split(".")
    for each in path:
        holder = getattr(holder, each)
    monkeypatch.setattr(holder, last, what)
    return blind.run(name, 1, 0.0)


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("begin", "rpcserver.rpc.dispatch:message.success", lambda *_: b"no reply"),
        ("rpcbind", "rpcserver.rpcbind.service:_owner", lambda call: "superuser"),
        ("rpcbind", "rpcserver.rpcbind.service:_must_be_near", lambda call: None),
        ("gss", "rpcserver.auth.gss_window:Window.take", lambda self, number: True),
        ("gss", "rpcserver.auth.gss_contexts:Table._evict", lambda self: None),
        ("replies", "rpcserver.rpc.calls:parse_reply", lambda record: 1 // 0),
        ("gss-replies", "rpcserver.auth.gss_calls:opened", lambda *_: 1 // 0),
        ("reference", "rpcserver.xdr.reference:Codec.unpack", lambda *_, **__: (None, -1)),
    ],
)
def test_a_target_sees_what_is_wrong(
    name: str, where: str, what: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broken_target(name, where, what, monkeypatch) != []
