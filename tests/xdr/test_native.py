"""The native codec is there, is the right one, and says the same as the reference."""

import os
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Annotated, Any

import pytest

from fuzz import codec as differential
from rpcserver import xdr
from rpcserver.xdr import reference
from rpcserver.xdr import schema as s

_native = pytest.importorskip("rpcserver.xdr._native", reason="no C compiler built it")
PACKAGE = Path(xdr.__file__).parents[1]
SAY = "from rpcserver import xdr; print(xdr.codec_name(), xdr.encode(xdr.Int, 7).hex())"


def python(text: str, path: Path = PACKAGE.parent, **environment: str) -> Any:
    """What a Python of its own does with ``text``."""
    known = {name: value for name, value in os.environ.items() if name != "RPCSERVER_CODEC"}
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=path,
        env={**known, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_opcodes() -> None:
    numbers = {name: number for name, number in vars(s).items() if type(number) is int}
    by_number = {number: name for name, number in numbers.items() if name.isupper()}
    assert [by_number[number] for number in range(s.CUSTOM + 1)] == list(_native.OPCODES)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_codecs_agree(seed: int) -> None:
    assert differential.run(seed, count=10_000) == []


def test_what_differs_is_found() -> None:
    class Broken:
        def __init__(self, schema: s.Schema) -> None:
            self._codec = reference.Codec(schema)
            self.pack = self._codec.pack

        def unpack(self, data: bytes, start: int = 0, **options: bool) -> Any:
            return self._codec.unpack(data, start)  # whatever the options

        unpack_whole = unpack

    comparison = differential.Comparison(Broken, 1)
    comparison.world()
    assert any(kind.startswith("decode") for kind in comparison.found)


@pytest.mark.parametrize("choice", ["native", "reference"])
def test_the_environment_chooses(choice: str) -> None:
    assert python(SAY, RPCSERVER_CODEC=choice).stdout == f"{choice} 00000007\n"


def test_a_wrong_choice_is_said() -> None:
    assert "it is native or reference" in python(SAY, RPCSERVER_CODEC="fast").stderr


def test_a_stale_module_is_not_used(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "rpcserver")
    with (tmp_path / "rpcserver" / "xdr" / "csrc" / "native.h").open("a") as file:
        file.write("/* newer */\n")
    ran = python(SAY, tmp_path)
    assert ran.stdout == "reference 00000007\n"
    assert "was built from other sources and is not used" in ran.stderr
    shutil.rmtree(tmp_path / "rpcserver" / "xdr" / "csrc")  # as in a wheel
    assert python(SAY, tmp_path).stdout == "native 00000007\n"


SUBINTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
from rpcserver import xdr
text = '''
from rpcserver import xdr
assert xdr.codec_name() == "native"
assert xdr.encode(xdr.Array(xdr.String()), ["a"]).hex() == "000000010000000161000000"
try:
    xdr.decode(xdr.Int, b"")
except xdr.XdrError as error:
    assert str(error) == "4 bytes wanted and 0 left at byte 0"
else:
    raise AssertionError
'''
for _ in range(3):
    made = interpreters.create()
    failed = interpreters.run_string(made, text)
    assert failed is None, failed
    interpreters.destroy(made)
assert xdr.encode(xdr.Int, 7) == b"\\0\\0\\0\\7"
print("good")
"""


def test_subinterpreters() -> None:
    ran = python(SUBINTERPRETERS, RPCSERVER_CODEC="native")
    if "No module named '_xxsubinterpreters'" in ran.stderr:
        pytest.skip("this Python has no sub-interpreters")
    assert (ran.stdout, ran.returncode) == ("good\n", 0), ran.stderr


def test_buffers_are_not_copied() -> None:
    data = xdr.encode(xdr.Opaque(), b"abcde")
    found = xdr.decode(xdr.Opaque(), data, buffers=True)
    assert isinstance(found, memoryview)
    assert found.obj is data
    assert bytes(found) == b"abcde"
    numbers = xdr.decode(
        xdr.Array(xdr.Hyper), xdr.encode(xdr.Array(xdr.Hyper), [1, -2]), buffers=True
    )
    assert isinstance(numbers, array)
    assert (numbers.typecode, list(numbers)) == ("q", [1, -2])


@pytest.mark.parametrize("make", [reference.Codec, _native.Codec])
def test_numpy(make: Any) -> None:
    numpy = pytest.importorskip("numpy")
    for kind, types in (
        (xdr.Int, ("i4", ">i4", "<i4", "i8", "u1")),
        (xdr.UnsignedInt, ("u4", ">u4", "u8")),
        (xdr.Hyper, ("i8", ">i8", "i4")),
        (xdr.UnsignedHyper, ("u8", ">u8")),
        (xdr.Float, ("f4", ">f4", "f8")),
        (xdr.Double, ("f8", ">f8", "f4")),
    ):
        codec = make(s.schema_of(xdr.Array(kind)))
        for name in types:
            whole = numpy.arange(12).astype(name)
            for part in (whole, whole[::3], whole[::-1], whole[:0]):
                assert codec.pack(part) == codec.pack(part.tolist()), (kind, name)
        with pytest.raises(xdr.XdrError):
            codec.pack(numpy.arange(12).reshape(3, 4))
    assert make(s.schema_of(xdr.Int)).pack(numpy.int64(7)) == b"\0\0\0\7"
    assert make(s.schema_of(xdr.Opaque())).pack(numpy.arange(2, dtype="u1")) == bytes.fromhex(
        "0000000200010000"
    )


def both(designator: Any) -> list[Any]:
    """Both codecs of a type."""
    schema = s.schema_of(designator)
    return [reference.Codec(schema), _native.Codec(schema)]


def test_a_quad_that_was_made_around_its_class() -> None:
    for codec in both(xdr.Quadruple):
        with pytest.raises(xdr.XdrError, match="1 bytes where exactly 16 must be"):
            codec.pack(bytes.__new__(xdr.Quad, b"x"))


def test_a_custom_type_that_holds_itself() -> None:
    own = xdr.Custom("own_t")
    own.supply(Annotated[Any, own])
    for codec in both(own):
        with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
            codec.pack(1)
        with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
            codec.unpack(b"")


def test_a_list_that_shrinks_while_it_is_packed() -> None:
    class Clears:
        def __index__(self) -> int:
            values.clear()
            return 1

    for codec in both(xdr.Array(xdr.Int)):
        values: list[Any] = [0, Clears(), 2, 3]
        with pytest.raises(xdr.XdrError, match="2 elements in a sequence whose length is 4"):
            codec.pack(values)


def test_a_size_is_a_size() -> None:
    for wrong in (xdr.Opaque(-1), xdr.String(2**32), xdr.FixedArray(xdr.Int, -1)):
        with pytest.raises(TypeError, match="is no size"):
            s.schema_of(wrong)
    with pytest.raises(TypeError, match="is no struct"):
        s.schema_of(xdr.LinkedList(xdr.Int))
