"""Record marking: messages on a byte stream (RFC 5531 section 11).

A record is one or more fragments, each behind a four-byte mark: the top bit says "last", the
other 31 bits are the fragment's length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rpcserver.errors import RecordError

MAX_RECORD = 4 << 20
"""Bytes of one record. NFS moves 1 MiB in one call; what is kept for a connection that has not
yet delivered a whole record is never more than this."""

MAX_FRAGMENTS = 4096
"""Fragments of one record, empty ones included. Peers with small buffers send about 1 KiB in
each; a record of far smaller ones is an attack on our time."""

_LARGE = 64 << 10  # bytes still to come, from which on a buffer of their own pays
_LAST = 0x8000_0000
_MARK = struct.Struct(">I")


class RecordReader:
    """Bytes as they come in, whole records as they come out.

    ``feed`` takes what was read. While a large fragment is on its way, ``room`` is where the next
    bytes may be read to, and ``filled`` says how many were: they are not copied together again.
    """

    def __init__(self, max_record: int = MAX_RECORD, max_fragments: int = MAX_FRAGMENTS) -> None:
        self.max_record = max_record
        self.max_fragments = max_fragments
        self._tail = bytearray()  # a mark or a fragment that is not complete
        self._filled = 0  # bytes of it that are there; it may be larger
        self._wanted = 4  # bytes of it that allow the next step
        self._fragments: list[bytes] = []  # of the record that is not complete
        self._size = 0  # their bytes

    @property
    def between_records(self) -> bool:
        """Whether nothing of an unfinished record is waiting."""
        return not self._filled and not self._fragments

    @property
    def unmarked(self) -> bytes | None:
        """The fragments of a record whose last one has not been seen, if nothing else is there:
        some peers never mark the last."""
        if self._filled or not self._fragments:
            return None
        return b"".join(self._fragments)

    def end_record(self) -> None:
        """Take the record as whole that ``unmarked`` gave."""
        self._fragments.clear()
        self._size = 0

    def room(self) -> memoryview | None:
        """Where the rest of a large fragment goes, if there is one to come."""
        missing = self._wanted - self._filled
        if missing < _LARGE:
            return None
        if len(self._tail) - self._filled < _LARGE:
            # What a mark promises is not believed at once: it costs the sender nothing.
            size = min(self._wanted, 2 * self._filled + 4 * _LARGE)
            self._tail += bytes(size - len(self._tail))
        return memoryview(self._tail)[self._filled : self._wanted]

    def filled(self, count: int) -> list[bytes]:
        """``count`` bytes were read to ``room``, whose view is released: the record that they
        make complete, if they do."""
        self._filled += count
        if self._filled < self._wanted:
            return []
        (mark,) = _MARK.unpack_from(self._tail)
        fragment = bytes(memoryview(self._tail)[4 : self._wanted])
        self._tail, self._filled, self._wanted = bytearray(), 0, 4
        self._fragments.append(fragment)
        self._size += len(fragment)
        if not mark & _LAST:
            return []
        record = fragment if len(self._fragments) == 1 else b"".join(self._fragments)
        self._fragments.clear()
        self._size = 0
        return [record]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the stream; the records that are now complete, to the last one.

        Raises ``RecordError`` for a record over a limit; the stream is of no use after that.
        """
        if self._filled:
            if data:
                del self._tail[self._filled :]
                self._tail += data
                self._filled += len(data)
            if self._filled < self._wanted:
                return
            data = bytes(memoryview(self._tail)[: self._filled])
            self._tail, self._filled = bytearray(), 0
        position, end = 0, len(data)
        while end - position >= 4:
            (mark,) = _MARK.unpack_from(data, position)
            size = mark & ~_LAST
            self._check(size)
            start, stop = position + 4, position + 4 + size
            if stop > end:
                self._wanted = 4 + size
                break
            position = stop
            if not mark & _LAST:
                self._fragments.append(data[start:stop])
                self._size += size
            elif self._fragments:
                record = b"".join([*self._fragments, data[start:stop]])
                self._fragments.clear()
                self._size = 0
                yield record
            else:
                yield data[start:stop]
        else:
            self._wanted = 4
        self._tail += data[position:]
        self._filled = end - position

    def _check(self, size: int) -> None:
        if self._size + size > self.max_record:
            total = self._size + size
            raise RecordError(
                f"a record of {total} bytes or more exceeds max_record ({self.max_record})"
            )
        if len(self._fragments) >= self.max_fragments:
            text = f"a record has more than max_fragments ({self.max_fragments})"
            raise RecordError(text, "max_fragments")


def frame(record: bytes, max_fragment: int = _LAST - 1) -> bytes:
    """``record`` as it goes on the stream, in fragments of at most ``max_fragment`` bytes."""
    if len(record) <= max_fragment:
        return _MARK.pack(_LAST | len(record)) + record
    parts = []
    for start in range(0, len(record), max_fragment):
        fragment = record[start : start + max_fragment]
        last = _LAST if start + max_fragment >= len(record) else 0
        parts += [_MARK.pack(last | len(fragment)), fragment]
    return b"".join(parts)
