"""Types whose codec the user supplies."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from xdrlib3 import Packer, Unpacker

from rpcserver import xdr

Foo = xdr.Custom("foo_t")


@dataclass(slots=True)
class Holder(xdr.Struct):
    before: xdr.Int
    foo: Annotated[Any, Foo]


@pytest.fixture(autouse=True)
def empty() -> None:
    Foo.designator = Foo.pack = Foo.unpack = None


def test_nothing_supplied_is_said() -> None:
    with pytest.raises(xdr.XdrError, match="foo: nobody supplied a codec for foo_t at byte 4"):
        xdr.encode(Holder, Holder(1, 2))
    with pytest.raises(xdr.XdrError, match="foo: nobody supplied a codec for foo_t at byte 4"):
        xdr.decode(Holder, bytes(8))
    with pytest.raises(TypeError, match="foo_t wants a designator, or a pair of functions"):
        Foo.supply((print,))
    with pytest.raises(TypeError):
        Foo.supply((print, 1))


def test_a_designator() -> None:
    Foo.supply(xdr.Array(xdr.Int, 2))
    data = xdr.encode(Holder, Holder(1, [2, 3]))
    assert xdr.decode(Holder, data) == Holder(1, [2, 3])
    assert xdr.json.to_json(Holder, Holder(1, [2])) == {"before": 1, "foo": [2]}
    assert xdr.json.from_json(Holder, {"before": 1, "foo": [2]}) == Holder(1, [2])
    with pytest.raises(xdr.XdrError, match="foo: 3 elements exceed the limit of 2"):
        xdr.encode(Holder, Holder(1, [1, 2, 3]))


def test_functions_over_xdrlib() -> None:
    def pack(packer: Packer, value: complex) -> None:
        packer.pack_double(value.real)
        packer.pack_double(value.imag)

    def unpack(unpacker: Unpacker) -> complex:
        return complex(unpacker.unpack_double(), unpacker.unpack_double())

    Foo.supply((pack, unpack))
    data = xdr.encode(Holder, Holder(1, 2 - 3j))
    assert len(data) == 20
    assert xdr.decode(Holder, data) == Holder(1, 2 - 3j)
    with pytest.raises(xdr.XdrError, match="foo: the data ends inside of foo_t at byte 4"):
        xdr.decode(Holder, data[:12])
    with pytest.raises(xdr.XdrError, match=r"foo: foo_t: AttributeError.* at byte 4"):
        xdr.encode(Holder, Holder(1, "text"))
