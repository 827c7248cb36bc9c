"""``rpcserver.load``: a module from a ``.x`` file, and nothing written."""

import pickle
import sys
import threading
import traceback
from pathlib import Path

import pytest

import rpcserver
from rpcserver import xdr
from rpcserver.errors import IdlError, UsageError
from rpcserver.rpcgen import loader
from tests.rpcgen.case import ROOT

KV = ROOT / "idl" / "kv.x"


def test_the_same_file_is_the_same_module() -> None:
    module = rpcserver.load(KV)
    assert rpcserver.load(str(KV)) is module
    assert rpcserver.load(KV, strings="bytes") is not module
    assert rpcserver.load(KV, names="idl").kv_stat.KV_OK == 0
    assert not KV.with_suffix(".py").exists()


def test_a_changed_file_is_another_module(tmp_path: Path) -> None:
    path = tmp_path / "t.x"
    path.write_text("const A = 1;")
    first = rpcserver.load(path)
    path.write_text("const A = 2;")
    assert (first.A, rpcserver.load(path).A) == (1, 2)


def test_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "t.x").write_text("struct s { int x; };")
    first, second = (rpcserver.load(tmp_path / each / "t.x") for each in ("a", "b"))
    assert first.S is not second.S
    assert first.S(1) != second.S(1)


def test_instances_pickle() -> None:
    kv = rpcserver.load(KV)
    for value in (
        kv.KvStat.KV_NOENT,
        kv.Entry("k", b"v"),
        kv.GetResKvOk(b"v"),
        [kv.Entry("", b"")],
    ):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert type(again) is type(value)


def test_tracebacks_show_the_generated_lines() -> None:
    kv = rpcserver.load(KV)
    try:
        kv.KvV2Service().get(None, key="k")
    except rpcserver.errors.ProcUnavail as error:
        text = "".join(traceback.format_exception(error))
    assert "raise rpc.ProcUnavail" in text
    assert f"from {KV.as_posix()}>" in text


def test_types_that_hold_themselves_load() -> None:
    calc = rpcserver.load(ROOT / "idl" / "calc.x")
    leaf = calc.Expr(calc.Operator.OP_NUMBER, 1.5, None, None)
    tree = calc.Expr(calc.Operator.OP_NEG, 0.0, leaf, None)
    assert xdr.decode(calc.Expr, xdr.encode(calc.Expr, tree)) == tree


def test_threads_get_a_whole_module(tmp_path: Path) -> None:
    path = tmp_path / "t.x"
    path.write_text("".join(f"struct s{n} {{ int x; }};\n" for n in range(100)))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(rpcserver.load(path).S99)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read .*No such file"):
        rpcserver.load(tmp_path / "missing.x")
    with pytest.raises(UsageError, match="Is a directory"):
        rpcserver.load(tmp_path)
    with pytest.raises(UsageError, match="names are py or idl, not 'c'"):
        rpcserver.load(KV, names="c")
    with pytest.raises(UsageError, match="strings are utf-8, latin-1 or bytes, not 'ascii'"):
        rpcserver.load(KV, strings="ascii")
    path = tmp_path / "bad.x"
    path.write_text("struct")
    with pytest.raises(IdlError) as caught:
        rpcserver.load(path)
    assert (caught.value.line, caught.value.column) == (1, 7)


def test_old_encodings_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "old.x"
    path.write_bytes(b"\xef\xbb\xbf/* caf\xc3\xa9 */\r\n\r\nconst A = 1;\r\n")
    assert rpcserver.load(path).__doc__ == "café"
    path.write_bytes(b"/* caf\xe9 */\r\rconst A = 1;\r")
    assert rpcserver.load(path).__doc__ == "café"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "large.x"
    path.write_bytes(b" " * ((4 << 20) + 1))
    with pytest.raises(UsageError, match="more than 4194304 bytes"):
        rpcserver.load(path)


def test_a_module_that_fails_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "broken.x"
    monkeypatch.setattr(loader, "compile_file", lambda *_: "raise RuntimeError('while it runs')\n")
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="while it runs"):
            rpcserver.load(path)
    assert not [name for name in set(sys.modules) - before if "broken" in name]
