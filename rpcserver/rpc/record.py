"""Record marking: messages on a byte stream (RFC 5531 section 11).

A record is one or more fragments, each behind a four-byte mark: the top bit says "last", the
other 31 bits are the fragment's length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rpcserver.errors import RecordError
from rpcserver.xdr.codec import NATIVE

if NATIVE:
    from rpcserver.xdr._native import Block

MAX_RECORD = 4 << 20
"""Bytes of one record. NFS moves 1 MiB in one call; what is kept for a connection that has not
yet delivered a whole record is never more than this."""

MAX_FRAGMENTS = 4096
"""Fragments of one record, empty ones included. Peers with small buffers send about 1 KiB in
each; a record of far smaller ones is an attack on our time."""

SCRATCH = 128 << 10
"""Bytes of a buffer that is read into, again and again."""

LARGE = 16 << 10
"""Bytes of a fragment that gets a buffer of its own when it does not come at once: the rest is
read to its place."""

MAX_FRAGMENT = 0x7FFF_FFFF
"""Bytes of one fragment: what a mark has room for."""

_LAST = 0x8000_0000
_MARK = struct.Struct(">I")
_STEP = 256 << 10
_OBJECT = 48  # bytes that a fragment takes beside its own


class RecordReader:
    """Bytes as they come in, whole records as they come out.

    Read into ``room``, say with ``filled`` how much it was, and take records with ``next`` until
    there is none; then ``keep`` what is left. Or ``feed`` it with what was read elsewhere.

    ``spare``, if given, is where blocks of large records come from, and ``next`` gives such a
    record as it is there; who has it puts it back. Without, all records are ``bytes``.

    Between ``filled`` and ``keep``, ``buffer`` has from ``start`` to ``end`` what is not yet
    taken; who takes records from there, when ``whole`` is true, moves ``start``.
    """

    __slots__ = (
        "_fragments",
        "_large",
        "_record",
        "_rest",
        "_size",
        "buffer",
        "end",
        "max_fragments",
        "max_record",
        "spare",
        "start",
    )

    def __init__(
        self,
        max_record: int = MAX_RECORD,
        max_fragments: int = MAX_FRAGMENTS,
        spare: list[Block] | None = None,
    ) -> None:
        self.spare = spare
        self.max_record = max_record
        self.max_fragments = max_fragments
        self.buffer: bytes | memoryview = b""
        self.start = 0
        self.end = 0
        self._rest = b""  # what was left of the last buffer
        self._large: _Large | None = None  # a fragment that has a buffer of its own
        self._record: bytes | Block | None = None  # that it completed
        self._fragments: list[bytes] = []  # of the record that is not complete
        self._size = 0  # their bytes

    @property
    def whole(self) -> bool:
        """Whether a record starts at ``start``: there are no fragments of it before."""
        return not self._fragments and self._record is None

    @property
    def between_records(self) -> bool:
        """Whether nothing of an unfinished record is waiting."""
        return not (self._rest or self._fragments or self._large or self.end != self.start)

    @property
    def held(self) -> int:
        """Bytes of memory that what has come of an unfinished record takes, more or less."""
        parts = self._size + _OBJECT * len(self._fragments) + len(self._rest)
        return parts + (self._large.held if self._large else self.end - self.start)

    @property
    def unmarked(self) -> bytes | None:
        """The fragments of a record whose last one has not been seen, if nothing else is there:
        some peers never mark the last."""
        if self._rest or self._large or not self._fragments:
            return None
        return b"".join(self._fragments)

    def end_record(self) -> None:
        """Take the record as whole that ``unmarked`` gave."""
        self._fragments.clear()
        self._size = 0

    def large_room(self) -> memoryview | None:
        """Where the next bytes of a large fragment go, if there is one on its way."""
        return None if self._large is None else self._large.room()

    def room(self, scratch: memoryview) -> memoryview:
        """Where the next bytes go: the buffer of a large fragment, else ``scratch`` (of
        ``SCRATCH`` bytes, which are in use until ``keep``)."""
        if self.end > self.start:
            self.keep()  # room was asked for before, and what came then has not been taken
        if self._large is not None:
            return self._large.room()
        size = len(self._rest)
        if size:
            scratch[:size] = self._rest
            self._rest = b""
        self.buffer, self.start, self.end = scratch, 0, size
        return scratch[size:] if size else scratch

    def again(self) -> None:
        """Go on with what was kept, though nothing more was read."""
        if self._rest:
            self.buffer, self.start, self.end = self._rest, 0, len(self._rest)
            self._rest = b""

    def filled(self, count: int) -> None:
        """``count`` bytes were read to ``room``."""
        large = self._large
        if large is None:
            self.end += count
        elif large.filled(count):
            self._large = None
            spare = NATIVE and self.spare is not None and large.last and not self._fragments
            self._record = self._add(large.block if spare else large.fragment(), large.last)

    def next(self) -> bytes | Block | None:
        """The next whole record, if there is one. Raises ``RecordError`` for a record over a
        limit; the stream is of no use after that."""
        if self._record is not None:
            whole, self._record = self._record, None
            return whole
        while self.end - self.start >= 4:
            (mark,) = _MARK.unpack_from(self.buffer, self.start)
            size = mark & ~_LAST
            self._check(size)
            at, stop = self.start + 4, self.start + 4 + size
            if stop > self.end:
                break
            self.start = stop
            record: bytes | None = self._add(bytes(self.buffer[at:stop]), bool(mark & _LAST))
            if record is not None:
                return record
        return None

    def keep(self) -> None:
        """Put aside what is left: the buffer is used for something else from now on."""
        left = self.end - self.start
        if left:
            mark = _MARK.unpack_from(self.buffer, self.start)[0] if left >= 4 else 0
            size = mark & ~_LAST
            rest = self.buffer[self.start : self.end]
            if LARGE <= size <= self.max_record and left < 4 + size:
                self._large = _Large(size, bool(mark & _LAST), rest[4:], self.spare)
            else:
                self._rest = bytes(rest)
        self.buffer, self.start, self.end = b"", 0, 0

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take the next bytes of the stream; the records that are now complete, to the last one.

        Raises ``RecordError`` as ``next`` does.
        """
        while self._large is not None and data:
            room = self._large.room()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            data = data[count:]
            room.release()
            self.filled(count)
        if data or self._rest:
            self.buffer = self._rest + data if self._rest else data
            self._rest = b""
            self.start, self.end = 0, len(self.buffer)
        yield from self.all()

    def all(self) -> Iterator[Any]:
        """The records that are complete, to the last one; what is left is kept."""
        while (record := self.next()) is not None:
            yield record
        self.keep()

    def _add(self, fragment: Any, last: bool) -> Any:
        """One more fragment: the record, if it is complete."""
        if last and not self._fragments:
            return fragment
        self._fragments.append(fragment)
        self._size += len(fragment)
        if not last:
            return None
        record = b"".join(self._fragments)
        self.end_record()
        return record

    def _check(self, size: int) -> None:
        if self._size + size > self.max_record:
            total = self._size + size
            raise RecordError(
                f"a record of {total} bytes or more exceeds max_record ({self.max_record})"
            )
        if len(self._fragments) >= self.max_fragments:
            text = f"a record has more than max_fragments ({self.max_fragments})"
            raise RecordError(text, "max_fragments")


class _Large:
    """A fragment of ``size`` bytes that is on its way, and has a buffer of its own."""

    def __init__(
        self, size: int, last: bool, begun: bytes | memoryview, spare: list[Block] | None
    ) -> None:
        self.last = last
        self._size = size
        self._filled = len(begun)
        self.block: Any = bytearray(begun)
        # What a mark promises costs its sender nothing, so it must not cost us: memory that
        # nobody has written to is none, for the native block; Python's must grow with it.
        if NATIVE:
            self.block = _block(size, spare)
            memoryview(self.block)[: len(begun)] = begun

    @property
    def held(self) -> int:
        """How many bytes have come."""
        return self._filled

    def room(self) -> memoryview:
        """Where its next bytes go."""
        block = self.block
        if not NATIVE and len(block) == self._filled:
            block += bytes(min(self._size - self._filled, self._filled + _STEP))
        return memoryview(block)[self._filled :]

    def filled(self, count: int) -> bool:
        """So many have come: whether it is complete."""
        self._filled += count
        return self._filled == self._size

    def fragment(self) -> bytes:
        """All of it."""
        if NATIVE:
            with suppress(BufferError):  # whoever filled it has a view of it, still
                taken: bytes = self.block.take()
                return taken
        return bytes(self.block)


def _block(size: int, spare: list[Block] | None) -> Block:
    if not spare:
        return Block(size)
    block = spare.pop()
    block.reuse(size)
    return block


def mark_of(record: bytes) -> bytes:
    """What goes on the stream before ``record``, which is one fragment (of ``MAX_FRAGMENT`` bytes
    at most)."""
    return _MARK.pack(_LAST | len(record) & MAX_FRAGMENT)


def frame(record: bytes, max_fragment: int = MAX_FRAGMENT) -> bytes:
    """``record`` as it goes on the stream, in fragments of at most ``max_fragment`` bytes."""
    if len(record) <= max_fragment:
        return mark_of(record) + record
    parts = []
    for start in range(0, len(record), max_fragment):
        fragment = record[start : start + max_fragment]
        last = _LAST if start + max_fragment >= len(record) else 0
        parts += [_MARK.pack(last | len(fragment)), fragment]
    return b"".join(parts)
