"""Record marking, whole and in any pieces (RFC 5531 section 11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.errors import RecordError
from rpcserver.rpc.record import RecordReader, frame
from tests.peers import wire


def read(reader: RecordReader, data: bytes, step: int) -> list[bytes]:
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return [record for piece in pieces for record in reader.feed(piece)]


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.integers(1, 12)), max_size=5),
    st.integers(1, 60),
)
def test_any_split_and_any_fragments(records: list[tuple[bytes, int]], step: int) -> None:
    stream = b"".join(wire.frame(record, fragment) for record, fragment in records)
    reader = RecordReader()
    assert read(reader, stream, step) == [record for record, _ in records]
    assert reader.between_records


def test_empty_fragments_and_records() -> None:
    stream = wire.words(0, 3) + b"abc" + wire.words(0, 0x80000000) + wire.words(0x80000000)
    for step in range(1, len(stream) + 1):
        assert read(RecordReader(), stream, step) == [b"abc", b""]


def test_records_up_to_the_limit() -> None:
    assert list(RecordReader(max_record=8).feed(wire.frame(bytes(8), 3))) == [bytes(8)]


@pytest.mark.parametrize(
    "stream",
    [wire.words(0x80000009), wire.words(5) + bytes(5) + wire.words(4), wire.words(0xFFFFFFFF)],
)
def test_a_record_over_the_limit_is_refused_at_its_mark(stream: bytes) -> None:
    with pytest.raises(RecordError, match="exceeds max_record \\(8\\)"):
        read(RecordReader(max_record=8), stream, 1)


def test_what_came_before_a_bad_record_is_not_lost() -> None:
    records = RecordReader(max_record=8).feed(wire.frame(b"good") + wire.words(0xFFFFFFFF))
    assert next(records) == b"good"
    with pytest.raises(RecordError):
        next(records)


def test_the_number_of_fragments_is_limited() -> None:
    reader = RecordReader(max_fragments=4)
    assert list(reader.feed(wire.words(0) * 3 + wire.words(0x80000000))) == [b""]
    with pytest.raises(RecordError, match="more than max_fragments \\(4\\)"):
        list(reader.feed(wire.words(0) * 5))


@given(st.binary(max_size=50), st.integers(1, 20))
def test_frames_are_what_others_read(record: bytes, fragment: int) -> None:
    assert wire.unframe(frame(record)) == [record]
    assert wire.unframe(frame(record, fragment)) == [record]
