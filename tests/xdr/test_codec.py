"""The codec against bytes worked out by hand from RFC 4506."""

import array
from typing import Any

import pytest
from hypothesis import given, settings

from rpcserver import xdr
from rpcserver.testing import values
from rpcserver.xdr.codec import codec_of
from rpcserver.xdr.types import MAX_DEPTH, MAX_EMPTY
from tests.xdr.zoo import (
    Color,
    Empty,
    Entries,
    Entry,
    Everything,
    Num,
    Num1,
    NumMinus1,
    Point,
    Res,
    ResDefault,
    ResRed,
    Tree,
)

GOOD: list[tuple[Any, Any, str]] = [
    (xdr.Void, None, ""),
    (xdr.Int, -2, "fffffffe"),
    (xdr.Int, 2**31 - 1, "7fffffff"),
    (xdr.UnsignedInt, 2**32 - 1, "ffffffff"),
    (xdr.Hyper, -2, "fffffffffffffffe"),
    (xdr.UnsignedHyper, 2**64 - 1, "ffffffffffffffff"),
    (xdr.Float, 1.5, "3fc00000"),
    (xdr.Double, -0.0, "8000000000000000"),
    (xdr.Quadruple, xdr.Quad.from_float(1.0), "3fff0000000000000000000000000000"),
    (xdr.Bool, True, "00000001"),
    (Color, Color.DARK, "ffffffff"),
    (xdr.FixedOpaque(0), b"", ""),
    (xdr.FixedOpaque(5), b"abcde", "6162636465000000"),
    (xdr.Opaque(5), b"", "00000000"),
    (xdr.Opaque(), b"abcd", "0000000461626364"),
    (xdr.String(3), "äb", "00000003c3a46200"),
    (xdr.String(1), "\udcff", "00000001ff000000"),
    (xdr.String(1, "latin-1"), "ä", "00000001e4000000"),
    (xdr.FixedArray(xdr.Int, 2), [1, -1], "00000001ffffffff"),
    (xdr.Array(xdr.Hyper), [7], "000000010000000000000007"),
    (xdr.Array(xdr.String()), ["a", ""], "00000002000000016100000000000000"),
    (xdr.Int | None, None, "00000000"),
    (xdr.Int | None, 5, "0000000100000005"),
    (Point, Point(1, 2), "0000000100000002"),
    (Entries, [], "00000000"),
    (Entries, [Entry("k", b"")], "00000001000000016b0000000000000000000000"),
    (xdr.LinkedList(Entry, nonempty=True), [Entry("", b"")], "000000000000000000000000"),
    (
        Tree,
        Tree(1, None, Tree(2, None, None)),
        "0000000100000000000000010000000200000000" + "0" * 8,
    ),
    (Res, ResRed(Point(3, 4)), "000000000000000300000004"),
    (Res, ResDefault(Color.GREEN), "00000002"),
    (Num, NumMinus1(), "ffffffff"),
    (Num, Num1(None, n=2), "0000000200000000"),
    (Num, Num1(NumMinus1(), n=1), "0000000100000001ffffffff"),
    (xdr.Array(Empty), [Empty()] * 3, "00000003"),
]


@pytest.mark.parametrize(("kind", "value", "encoding"), GOOD, ids=lambda part: str(part)[:40])
def test_vectors(kind: Any, value: Any, encoding: str) -> None:
    assert xdr.encode(kind, value).hex() == encoding
    back = xdr.decode(kind, bytes.fromhex(encoding))
    assert back == value
    assert type(back) is type(value)


BAD_BYTES: list[tuple[Any, str, int, str, str]] = [
    (xdr.Int, "000000", 0, "", "4 bytes wanted and 3 left"),
    (xdr.Hyper, "00000000ffffff", 0, "", "8 bytes wanted and 7 left"),
    (xdr.Int, "0000000000", 4, "", "1 bytes left over"),
    (xdr.Bool, "00000002", 0, "", "a bool is 0 or 1, not 2"),
    (Color, "00000001", 0, "", "Color has no member 1"),
    (xdr.Opaque(2), "0000000361626300", 0, "", "3 bytes exceed the limit of 2"),
    (xdr.Opaque(), "00000005616263", 4, "", "8 bytes wanted and 3 left"),
    (xdr.Opaque(), "ffffffff", 4, "", "4294967296 bytes wanted and 0 left"),
    (xdr.Opaque(), "0000000161000001", 5, "", "the padding is not zero"),
    (xdr.FixedOpaque(3), "61626301", 3, "", "the padding is not zero"),
    (xdr.Array(xdr.Int, 1), "000000020000000000000000", 0, "", "2 elements exceed the limit of 1"),
    (xdr.Array(xdr.Int), "7fffffff00000000", 0, "", "2147483647 elements do not fit into the 4"),
    (xdr.Array(Empty), "01312d00", 0, "", "20000000 elements do not fit"),
    (xdr.Int | None, "00000002", 0, "", "a bool is 0 or 1"),
    (xdr.Array(Point), "0000000100000000000000", 0, "", "1 elements do not fit into the 7"),
    (xdr.Array(xdr.Bool), "000000020000000100000005", 8, "[1]", "a bool is 0 or 1, not 5"),
    (Entries, "0000000100000000000000000000000100000009", 16, "[1].key", "9 bytes exceed"),
    (Res, "00000001", 0, "kind", "Color has no member 1"),
    (Res, "000000000000000100", 8, "point.y", "4 bytes wanted and 1 left"),
    (Num, "00000007", 0, "n", "has no case 7"),
    (Tree, "00000001000000010000000200000009", 12, "left.left", "a bool is 0 or 1, not 9"),
]


@pytest.mark.parametrize(("kind", "data", "offset", "path", "reason"), BAD_BYTES)
def test_bad_bytes(kind: Any, data: str, offset: int, path: str, reason: str) -> None:
    with pytest.raises(xdr.XdrError) as caught:
        xdr.decode(kind, bytes.fromhex(data))
    assert reason in caught.value.reason
    assert (caught.value.offset, caught.value.path) == (offset, path)


BAD_VALUES: list[tuple[Any, Any, int, str, str]] = [
    (xdr.Int, 2**31, 0, "", "2147483648 is not between"),
    (xdr.Int, "1", 0, "", "expected an int, got str"),
    (xdr.UnsignedInt, -1, 0, "", "-1 is not between"),
    (xdr.UnsignedHyper, 2**64 + 5, 0, "", "is not between"),
    (xdr.Float, 1e300, 0, "", "too large"),
    (xdr.Double, "1.0", 0, "", "expected a float, got str"),
    (xdr.Bool, 1, 0, "", "expected a bool, got int"),
    (xdr.Void, 1, 0, "", "expected None, got int"),
    (Color, 7, 0, "", "7 is no member of Color"),
    (xdr.Quadruple, 1.0, 0, "", "expected an xdr.Quad"),
    (xdr.FixedOpaque(2), b"abc", 0, "", "3 bytes where exactly 2"),
    (xdr.FixedOpaque(2), b"a", 0, "", "1 bytes where exactly 2"),
    (xdr.Opaque(2), b"abc", 0, "", "3 bytes exceed the limit of 2"),
    (xdr.Opaque(), "text", 0, "", "expected bytes or another buffer, got str"),
    (xdr.String(2), "äb", 0, "", "3 bytes exceed the limit of 2"),
    (xdr.String(), b"x", 0, "", "expected a str, got bytes"),
    (xdr.String(), "\ud800", 0, "", "cannot be encoded"),
    (xdr.String(9, "latin-1"), "€", 0, "", "cannot be encoded as latin-1"),
    (xdr.FixedArray(xdr.Int, 2), [1], 0, "", "1 elements where exactly 2"),
    (xdr.Array(xdr.Int, 2), [1, 2, 3], 0, "", "3 elements exceed the limit of 2"),
    (xdr.Array(xdr.Int), 5, 0, "", "expected a list or another sequence, got int"),
    (xdr.Array(xdr.String()), "ab", 0, "", "expected a list"),
    (xdr.Array(Empty), [Empty()] * (MAX_EMPTY + 1), 0, "", "exceed the limit of 1024"),
    (xdr.Array(Point), [Point(0, 0), Point(0, 2**31)], 16, "[1].y", "is not between"),
    (xdr.LinkedList(Entry, nonempty=True), [], 0, "", "at least one node"),
    (Point, (1, 2), 0, "", "expected Point, got tuple"),
    (Res, Point(1, 2), 0, "", "expected an arm of union res"),
    (Res, ResDefault(Color.RED), 0, "kind", "is no case of ResDefault"),
    (Num, Num1(None, n=3), 0, "n", "3 is no case of Num1"),  # type: ignore[arg-type]
    (Tree, Tree(1, Tree("x", None, None), None), 8, "left.value", "expected an int"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("kind", "value", "offset", "path", "reason"), BAD_VALUES)
def test_bad_values(kind: Any, value: Any, offset: int, path: str, reason: str) -> None:
    with pytest.raises(xdr.XdrError) as caught:
        xdr.encode(kind, value)
    assert reason in caught.value.reason
    assert (caught.value.offset, caught.value.path) == (offset, path)


def test_buffers_and_sequences_are_taken() -> None:
    assert xdr.encode(xdr.Opaque(), bytearray(b"ab")) == xdr.encode(xdr.Opaque(), b"ab")
    assert xdr.encode(xdr.FixedOpaque(2), memoryview(b"xaby")[1:3]) == b"ab\0\0"
    ints = xdr.encode(xdr.Array(xdr.Int), [1, 2])
    assert xdr.encode(xdr.Array(xdr.Int), (1, 2)) == ints
    assert xdr.encode(xdr.Array(xdr.Int), array.array("i", [1, 2])) == ints


def test_an_enum_takes_its_numbers() -> None:
    assert xdr.encode(Color, 2) == xdr.encode(Color, Color.GREEN)


def test_lists_are_loops() -> None:
    entries = [Entry(str(n % 100), b"") for n in range(100_000)]
    assert xdr.decode(Entries, xdr.encode(Entries, entries)) == entries


def test_depth_is_limited_both_ways() -> None:
    tree = Tree(0, None, None)
    for _ in range(MAX_DEPTH):
        tree = Tree(0, tree, None)
    data = xdr.encode(Tree, tree)
    assert xdr.decode(Tree, data) == tree
    with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
        xdr.encode(Tree, Tree(0, tree, None))
    with pytest.raises(xdr.XdrError, match="nested more than 200 deep"):
        xdr.decode(Tree, bytes.fromhex("0000000000000001") + data + bytes(4))


def test_a_deep_stack_is_no_crash() -> None:
    tree = Tree(0, None, None)
    for _ in range(MAX_DEPTH):
        tree = Tree(0, tree, None)
    data = xdr.encode(Tree, tree)

    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            xdr.decode(Tree, data)

    if xdr.codec_name() == "native":  # it does not use Python's stack
        deeper(700)
        return
    with pytest.raises(xdr.XdrError, match="too deep for the stack"):
        deeper(700)


@given(values(Everything))
def test_round_trip(value: Everything) -> None:
    data = xdr.encode(Everything, value)
    assert len(data) % 4 == 0
    assert xdr.decode(Everything, data) == value


@given(values(Everything))
@settings(max_examples=20)
def test_every_truncation_is_an_error_at_its_place(value: Everything) -> None:
    data = xdr.encode(Everything, value)
    for size in range(len(data)):
        with pytest.raises(xdr.XdrError) as caught:
            xdr.decode(Everything, data[:size])
        assert caught.value.offset is not None
        assert caught.value.offset <= size


@given(values(Everything), values(xdr.Array(xdr.UnsignedInt, 4)))
def test_damage_is_a_value_or_an_xdr_error(value: Everything, noise: list[int]) -> None:
    data = bytearray(xdr.encode(Everything, value))
    for word in noise:
        data[word % len(data)] ^= word >> 24
    try:
        back = xdr.decode(Everything, bytes(data))
    except xdr.XdrError:
        return
    again = xdr.encode(Everything, back)
    # A NaN's payload may change on the way through Python's floats; nothing else may.
    assert len(again) == len(data)


@given(values(Everything), values(xdr.Array(xdr.UnsignedInt, 4)))
def test_leniently_too(value: Everything, noise: list[int]) -> None:
    codec = codec_of(Everything)
    data = bytearray(xdr.encode(Everything, value))
    back, end = codec.unpack(bytes(data), lenient=True)
    assert (xdr.encode(Everything, back), end) == (bytes(data), len(data))
    for word in noise:
        data[word % len(data)] ^= word >> 24
    try:
        strict = xdr.decode(Everything, bytes(data))
    except xdr.XdrError:
        strict = None
    try:
        codec.unpack(bytes(data), lenient=True)
    except xdr.XdrError:
        assert strict is None  # what is right is right leniently, too


def test_what_is_no_type_is_named() -> None:
    from dataclasses import dataclass

    @dataclass(slots=True)
    class Wrong(xdr.Struct):
        count: int

    with pytest.raises(TypeError, match=r"Wrong\.count: .*is no XDR type .*xdr\.Int"):
        xdr.encode(Wrong, Wrong(1))
    with pytest.raises(TypeError, match="is no XDR type"):
        xdr.decode(str, b"")
