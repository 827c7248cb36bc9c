"""The reference codec where it takes many fields at once: no error may be told another way."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from xdrlib3 import Packer

from rpcserver import xdr
from rpcserver.testing import values
from rpcserver.xdr.reference import Codec
from rpcserver.xdr.schema import arguments_schema, schema_of
from tests.xdr.zoo import Color


@dataclass(slots=True)
class Mixed(xdr.Struct):
    number: xdr.Int
    large: xdr.UnsignedHyper
    flag: xdr.Bool
    color: Color
    real: xdr.Double
    mark: Annotated[bytes, xdr.FixedOpaque(4)]
    size: xdr.UnsignedInt
    name: Annotated[str, xdr.String(5)]
    end: xdr.Hyper


GOOD = (-1, 2**64 - 1, True, Color.DARK, 1.5, b"mark", 7, "nam", 2**40)
NAMES = ("number", "large", "flag", "color", "real", "mark", "size", "name", "end")
STARTS = (0, 4, 12, 16, 20, 28, 32, 36, 44, 52)
CODEC = Codec(schema_of(Mixed))
DATA = CODEC.pack(Mixed(*GOOD))


def error_of(function: Any, *arguments: Any) -> tuple[str, int | None, str]:
    with pytest.raises(xdr.XdrError) as caught:
        function(*arguments)
    return caught.value.path, caught.value.offset, caught.value.reason


@given(values(Mixed))
def test_the_bytes_are_those_of_xdrlib(value: Mixed) -> None:
    packer = Packer()
    packer.pack_int(value.number)
    packer.pack_uhyper(value.large)
    packer.pack_bool(value.flag)
    packer.pack_enum(value.color)
    packer.pack_double(value.real)
    packer.pack_fopaque(4, value.mark)
    packer.pack_uint(value.size)
    packer.pack_string(value.name.encode("utf-8", "surrogateescape"))
    packer.pack_hyper(value.end)
    assert CODEC.pack(value) == packer.get_buffer()
    assert CODEC.unpack_whole(packer.get_buffer()) == value
    assert CODEC.unpack(packer.get_buffer(), buffers=True)[0] == value


@pytest.mark.parametrize("size", range(len(DATA)))
def test_what_is_cut_off_has_its_name_and_place(size: int) -> None:
    at = next(at for at in range(9) if size < STARTS[at + 1])
    path, offset, reason = error_of(CODEC.unpack_whole, DATA[:size])
    start = 40 if size >= 40 and NAMES[at] == "name" else STARTS[at]
    assert (path, offset) == (NAMES[at], start)
    assert reason == f"{min(STARTS[at + 1] - start, 4 if start == 36 else 8)} bytes wanted and " + (
        f"{size - start} left"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_member_is_told_as_if_alone(name: str) -> None:
    value = Mixed(*GOOD)
    setattr(value, name, None)
    at = NAMES.index(name)
    alone = Codec(CODEC.schema[3][at])
    _, _, reason = error_of(alone.pack, None)
    assert error_of(CODEC.pack, value) == (name, STARTS[at], reason)
    arguments = Codec(arguments_schema([xdr.Int, xdr.Int, Mixed]))
    assert error_of(arguments.pack, (1, 2, value)) == (f"[2].{name}", 8 + STARTS[at], reason)


def test_the_first_of_two_mistakes_is_told() -> None:
    value = Mixed(*GOOD)
    value.number, value.name = 2**31, "too long"
    assert error_of(CODEC.pack, value)[:2] == ("number", 0)
    value.number = 1
    del value.end  # what is not there at all comes after the name
    assert error_of(CODEC.pack, value)[:2] == ("name", 36)
    arguments = Codec(arguments_schema([xdr.Int, xdr.Int]))
    assert error_of(arguments.pack, (None,))[:2] == ("[0]", 0)


def test_what_struct_would_take_and_we_do_not() -> None:
    class Index:
        def __index__(self) -> int:
            return 1

    for name, wrong in [("real", Index()), ("flag", 1), ("color", 1), ("mark", b"abc")]:
        value = Mixed(*GOOD)
        setattr(value, name, wrong)
        assert error_of(CODEC.pack, value)[0] == name
    value = Mixed(*GOOD)
    value.number, value.color, value.real = Index(), 2, 3  # type: ignore[assignment]
    back = CODEC.unpack_whole(CODEC.pack(value))
    assert (back.number, back.color, back.real) == (1, Color.GREEN, 3.0)
    assert error_of(Codec(schema_of(xdr.Array(xdr.Bool))).pack, [True, 1])[:2] == ("[1]", 8)
    assert error_of(Codec(schema_of(xdr.Array(xdr.Float))).pack, [1.0, Index()])[0] == "[1]"


def test_leniently_a_run_has_numbers_that_its_enum_does_not_have() -> None:
    data = DATA[:16] + bytes([0, 0, 0, 9]) + DATA[20:]
    value, end = CODEC.unpack(data, lenient=True)
    assert (value.color, value.real, end) == (9, 1.5, len(data))
    assert error_of(CODEC.unpack_whole, data) == ("color", 16, "Color has no member 9")


def test_a_sequence_that_has_another_length_than_it_says_is_refused() -> None:
    class Short(list[int]):
        def __len__(self) -> int:
            return 3

    codec = Codec(schema_of(xdr.Array(xdr.Int)))
    reason = "2 elements in a sequence whose length is 3"
    assert error_of(codec.pack, Short([1, 2])) == ("", 12, reason)


def test_where_data_start() -> None:
    assert CODEC.unpack_whole(b"xyz" + DATA, 3) == Mixed(*GOOD)
    assert CODEC.unpack_whole(bytearray(DATA)) == Mixed(*GOOD)  # type: ignore[arg-type]
    for outside in (-4, 99):
        with pytest.raises(ValueError, match="starts at 0"):
            CODEC.unpack_whole(DATA, outside)


def test_a_number_too_long_to_print() -> None:
    reason = "a number of 33220 bits is not between -2147483648 and 2147483647"
    assert error_of(Codec(schema_of(xdr.Int)).pack, 10**10_000) == ("", 0, reason)
