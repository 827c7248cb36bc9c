"""Types that a ``.x`` uses and does not define: their codecs are the user's."""

from pathlib import Path

import pytest
from xdrlib3 import Packer, Unpacker

import rpcserver
from rpcserver import xdr
from rpcserver.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.x"
    path.write_text("struct s { int a; foo_t b; };\ntypedef foo_t foos<2>;\n")
    return path


def pack(packer: Packer, value: complex) -> None:
    packer.pack_double(value.real)
    packer.pack_double(value.imag)


def unpack(unpacker: Unpacker) -> complex:
    return complex(unpacker.unpack_double(), unpacker.unpack_double())


def test_a_designator(file: Path) -> None:
    module = rpcserver.load(file, codecs={"foo_t": xdr.String(5)})
    value = module.S(1, "text")
    assert xdr.decode(module.S, xdr.encode(module.S, value)) == value
    with pytest.raises(xdr.XdrError, match=r"b: 6 bytes exceed the limit of 5"):
        xdr.encode(module.S, module.S(1, "longer"))


def test_a_pair_of_functions(file: Path) -> None:
    module = rpcserver.load(file, codecs={"foo_t": (pack, unpack)})
    value = module.S(1, 2 - 3j)
    data = xdr.encode(module.S, value)
    assert len(data) == 20
    assert xdr.decode(module.S, data) == value
    assert xdr.encode(module.Foos, [1j, 2j])[:4] == b"\0\0\0\2"


def test_the_hook_in_the_module(file: Path) -> None:
    module = rpcserver.load(file)
    with pytest.raises(xdr.XdrError, match="b: nobody supplied a codec for foo_t"):
        xdr.encode(module.S, module.S(1, 2))
    module.FooTCodec.supply(xdr.Int)
    assert xdr.encode(module.S, module.S(1, 2)) == b"\0\0\0\1\0\0\0\2"


def test_modules_with_other_codecs_are_others(file: Path) -> None:
    first = rpcserver.load(file, codecs={"foo_t": xdr.Int})
    second = rpcserver.load(file, codecs={"foo_t": xdr.Hyper})
    assert rpcserver.load(file, codecs={"foo_t": xdr.Int}) is first
    assert len(xdr.encode(first.S, first.S(1, 2))) == 8
    assert len(xdr.encode(second.S, second.S(1, 2))) == 12


def test_a_codec_of_what_the_file_defines(file: Path) -> None:
    with pytest.raises(UsageError, match="t.x lacks no type 's' that could be given a codec"):
        rpcserver.load(file, codecs={"s": xdr.Int})
