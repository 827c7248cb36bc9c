"""Record marking, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.errors import RecordError
from rpcserver.rpc.record import SCRATCH, RecordReader
from tests.peers.wire import frame, words

MAX_RECORD, MAX_FRAGMENTS = 40_000, 8
_SCRATCH = memoryview(bytearray(SCRATCH))


def by_hand(stream: bytes) -> tuple[list[bytes], bool]:
    """The records of a stream, and whether a limit was broken: the rules of RFC 5531 section 11."""
    records: list[bytes] = []
    parts: list[bytes] = []
    at = 0
    while at + 4 <= len(stream):
        mark = int.from_bytes(stream[at : at + 4])
        size = mark & 0x7FFFFFFF
        if sum(map(len, parts)) + size > MAX_RECORD or len(parts) >= MAX_FRAGMENTS:
            return records, True
        if at + 4 + size > len(stream):
            break
        parts.append(stream[at + 4 : at + 4 + size])
        at += 4 + size
        if mark & 0x80000000:
            records.append(b"".join(parts))
            parts = []
    return records, False


def pieces(stream: bytes, how: bytes) -> Iterator[bytes]:
    """``stream`` in pieces whose sizes ``how`` says, again and again; not too many."""
    least = len(stream) // 500 + 1
    sizes = [max(each * each, least) for each in how] or [SCRATCH]
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[at : at + size]
        at, turn = at + size, turn + 1


def _fed(reader: RecordReader, piece: bytes) -> Iterator[bytes]:
    yield from reader.feed(piece)


def _filled(reader: RecordReader, piece: bytes) -> Iterator[bytes]:
    while piece:
        room = reader.room(_SCRATCH)
        count = min(len(room), len(piece))
        room[:count] = piece[:count]
        room.release() if room.obj is not _SCRATCH.obj else None
        piece = piece[count:]
        reader.filled(count)
        yield from reader.all()


def read(data: bytes) -> None:
    """Both ways to feed a reader give the records that are there, however they are cut."""
    if not data:
        return
    count = data[0] % 8
    how, stream = data[1 : 1 + count], data[1 + count :]
    wanted, broken = by_hand(stream)
    for way in (_fed, _filled):
        reader = RecordReader(MAX_RECORD, MAX_FRAGMENTS)
        seen: list[bytes] = []
        failed = False
        try:
            for piece in pieces(stream, how):
                seen += way(reader, piece)
        except RecordError as error:
            failed = error.limit in ("max_record", "max_fragments")
        assert (seen, failed) == (wanted, broken), f"{way.__name__}: {seen!r:.500} {failed}"


def read_seeds() -> Iterator[bytes]:
    """Records whole, in fragments, empty, large, too large, cut."""
    large = bytes(range(256)) * 100
    streams = (
        frame(b"one") + frame(b"two") + frame(b""),
        frame(b"in fragments of four bytes", 4),
        frame(large) + frame(b"behind it"),
        frame(large, 20_000),
        words(0) * 20,
        words(0x7FFFFFFF) + bytes(50),
        words(0x80000000 | MAX_RECORD + 1),
        words(0x80000000 | 500) + bytes(100),
    )
    for stream in streams:
        for how in (b"", b"\0", b"\1\5", b"\x50\3"):
            yield bytes([len(how)]) + how + stream
