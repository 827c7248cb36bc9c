"""Replies already given: a call that comes again is answered from here, and does not run again.

``ReplyCache.claim`` says of a call whether it is new. Whoever runs it ends the ``Claim`` that it
gets then, with ``finish`` and the outcome, or with ``abandon`` if it will not run after all. What
is kept are outcomes before any protection: a call that comes again may have other credentials and
another verifier (RFC 2203 section 5.3.3.1), and gets a reply of its own.

It is one block of memory, which several processes may share: a table of calls, in buckets of a few
places each, and behind it a ring of bytes for the outcomes, where the newest take the place of the
oldest.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from functools import cached_property
from typing import Any, TypeAlias

from rpcserver.errors import UsageError

SIZE = 8 << 20
"""Bytes by default: 47,000 calls, and 6 MiB of their outcomes."""

MAX_AGE = 120.0
"""Seconds for which an outcome is known by default: clients have long given up by then."""

MIN_SIZE = 64 << 10

_WAYS = 8  # places of a bucket
_KEY = 16  # bytes
_KEYS = _WAYS * _KEY
_PLACE = struct.Struct("<dQIII")  # since when, position, length, owner, state
_BUCKET = _KEYS + _WAYS * _PLACE.size
_COUNTS = ("answered", "dropped", "lost", "full")
_HEADER = struct.Struct(f"<{1 + len(_COUNTS)}Q")  # where the ring goes on, how often what happened
_NUMBER = struct.Struct("<Q")
_NOBODY = bytes(_KEY)
_FREE, _RUNNING, _DONE, _TOO_LARGE = range(4)  # what a place may be


class Known(Enum):
    """What there may be to say of a call, if it is neither new nor its outcome is there."""

    RUNNING = "it runs"
    LOST = "it was run, and the outcome is not there (any more)"
    FULL = "it is new, and there is no place for it"


Found: TypeAlias = "bytes | Known | None"
"""The outcome, or why it is not there; ``None``: the call is not known."""


class Claim:
    """The right to run a call, and its place in the table."""

    __slots__ = ("_cache", "_key", "_owner", "_place", "_runs")

    def __init__(self, cache: ReplyCache, key: bytes, place: int) -> None:
        self._cache: ReplyCache | None = cache
        self._key = key
        self._place = place
        self._owner = os.getpid()
        self._runs = False

    def take_over(self) -> None:
        """Be told that this process, which may be a child, runs the call from now on."""
        self._runs = True
        if self._cache is not None and self._owner != os.getpid():
            self._owner = os.getpid()
            self._cache._own(self._key, self._place)

    def finish(self, outcome: bytes, now: float) -> None:
        """Keep ``outcome``, which is not empty."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache._finish(self._key, self._place, outcome, now)

    def abandon(self) -> None:
        """The call will not run, so it is new if it comes again; nothing happens if it runs."""
        cache, self._cache = self._cache, None
        if cache is not None and not self._runs:
            cache._abandon(self._key, self._place)


class ReplyCache:
    """``memory``, all 0 at first, is what it may take, and ``max_age`` for how many seconds an
    outcome is known. Until ``share``, one thread has it.

    A call that runs keeps its place for as long as it takes; ``is_alive`` tells whether a process
    is there, for places whose process was killed. Raises ``UsageError`` for fewer than
    ``MIN_SIZE`` bytes.
    """

    def __init__(
        self,
        memory: memoryview,
        max_age: float = MAX_AGE,
        is_alive: Callable[[int], bool] = lambda pid: True,
    ) -> None:
        size = len(memory)
        if size < MIN_SIZE:
            raise UsageError(f"a reply cache has {MIN_SIZE} bytes or more, not {size}")
        self.max_age = max_age
        self._is_alive = is_alive
        self._secret = os.urandom(32)
        self._buckets = size // 4 // _BUCKET
        self._ring = _HEADER.size + self._buckets * _BUCKET
        self._room = size - self._ring
        self._memory = memory
        self._lock: AbstractContextManager[Any] = nullcontext()

    @property
    def max_outcome(self) -> int:
        """Bytes of the largest outcome that is kept: it takes the place of others."""
        return self._room // 4

    def share(self, lock: AbstractContextManager[Any], processes: bool = False) -> None:
        """Be used under ``lock`` from now on, by threads or, if they all have the memory, by
        ``processes``."""
        self._lock = lock
        if processes:
            self._hash.copy()  # made once, and not by each

    @cached_property
    def _hash(self) -> Any:
        from hashlib import blake2b  # when it is needed: to load it takes time

        # Nobody outside knows which calls meet in a bucket.
        return blake2b(key=self._secret, digest_size=_KEY)

    def key(self, *parts: bytes | memoryview) -> bytes:
        """What stands for a call that has these ``parts``, the first with its length."""
        made = self._hash.copy()
        made.update(_NUMBER.pack(len(parts[0])))
        for part in parts:
            made.update(part)
        digest: bytes = made.digest()
        return digest

    def claim(self, key: bytes, now: float) -> Claim | bytes | Known:
        """The right to run a new call; else its outcome, or why there is none."""
        with self._lock:
            found, place = self._look(key, now)
            if found is not None:
                return found
            if place is None and (place := self._best(key, now)) is None:
                self._count("full")
                return Known.FULL
            self._set(place, _NOBODY, 0.0, 0, 0, _FREE)
            self._set(place, key, now, 0, 0, _RUNNING)
            return Claim(self, key, place)

    def look(self, key: bytes, now: float) -> Found:
        """What is known of a call."""
        with self._lock:
            return self._look(key, now)[0]

    def count(self, what: str) -> None:
        """One more call that came again: it was ``answered``, or ``dropped``, or its outcome was
        ``lost``."""
        with self._lock:
            self._count(what)

    def counts(self) -> dict[str, int]:
        """How many there were; ``full``: new ones that had no place."""
        with self._lock:
            _, *numbers = _HEADER.unpack_from(self._memory)
        return dict(zip(_COUNTS, numbers, strict=True))

    # --- the table ----------------------------------------------------------------------------

    def _look(self, key: bytes, now: float) -> tuple[Found, int | None]:
        """What is known of a call, and its place if it has one, which may be too old."""
        bucket = int.from_bytes(key[:8]) % self._buckets
        start = _HEADER.size + bucket * _BUCKET
        way, rest = divmod(bytes(self._memory[start : start + _KEYS]).find(key), _KEY)
        if rest:  # nowhere, or across two keys
            return None, None
        place = bucket * _WAYS + way
        since, position, length, owner, state = self._details(place)
        if state == _RUNNING:
            return (Known.LOST if self._has_ended(owner) else Known.RUNNING), place
        if now - since > self.max_age:
            return None, place
        if state == _TOO_LARGE or self._head - position > self._room:
            return Known.LOST, place
        return self._read(position, length), place

    def _best(self, key: bytes, now: float) -> int | None:
        """A place for a new call: a free one, that of the oldest outcome, or one whose process
        is not there any more."""
        first = int.from_bytes(key[:8]) % self._buckets * _WAYS
        oldest: tuple[float, int] | None = None
        abandoned: int | None = None
        details = _PLACE.iter_unpack(self._memory[_details_at(first) :][: _WAYS * _PLACE.size])
        for place, (since, _, _, owner, state) in enumerate(details, first):
            if state == _FREE:
                return place
            if state != _RUNNING:
                if oldest is None or since < oldest[0]:
                    oldest = since, place
            elif now - since > self.max_age and self._has_ended(owner):
                abandoned = place
        return oldest[1] if oldest is not None else abandoned

    def _has_ended(self, owner: int) -> bool:
        return owner != os.getpid() and not self._is_alive(owner)

    def _finish(self, key: bytes, place: int, outcome: bytes, now: float) -> None:
        with self._lock:
            if self._key_of(place) != key:
                return
            if len(outcome) > self.max_outcome:
                self._set(place, key, now, 0, 0, _TOO_LARGE)
            else:
                self._set(place, key, now, self._write(outcome), len(outcome), _DONE)

    def _abandon(self, key: bytes, place: int) -> None:
        with self._lock:
            if self._key_of(place) == key:
                self._set(place, _NOBODY, 0.0, 0, 0, _FREE)

    def _own(self, key: bytes, place: int) -> None:
        with self._lock:
            since, _, _, _, state = self._details(place)
            if self._key_of(place) == key and state == _RUNNING:
                self._set(place, key, since, 0, 0, _RUNNING)

    def _key_of(self, place: int) -> bytes:
        at = _key_at(place)
        return bytes(self._memory[at : at + _KEY])

    def _details(self, place: int) -> tuple[float, int, int, int, int]:
        found: tuple[float, int, int, int, int]
        found = _PLACE.unpack_from(self._memory, _details_at(place))
        return found

    def _set(
        self, place: int, key: bytes, since: float, position: int, length: int, state: int
    ) -> None:
        _PLACE.pack_into(
            self._memory, _details_at(place), since, position, length, os.getpid(), state
        )
        at = _key_at(place)
        self._memory[at : at + _KEY] = key

    # --- the ring -----------------------------------------------------------------------------

    @property
    def _head(self) -> int:
        head: int = _NUMBER.unpack_from(self._memory)[0]
        return head

    def _write(self, outcome: bytes) -> int:
        """Put it behind the last: its position, which counts on from the first byte ever."""
        position, size = self._head, len(outcome)
        # First: what it takes the place of is gone, also if this process is killed now.
        _NUMBER.pack_into(self._memory, 0, position + size)
        offset = position % self._room
        first = min(size, self._room - offset)
        start = self._ring + offset
        self._memory[start : start + first] = outcome[:first]
        self._memory[self._ring : self._ring + size - first] = outcome[first:]
        return position

    def _read(self, position: int, length: int) -> bytes:
        offset = position % self._room
        first = min(length, self._room - offset)
        start = self._ring + offset
        parts = self._memory[start : start + first], self._memory[self._ring :][: length - first]
        return b"".join(parts)

    def _count(self, what: str) -> None:
        at = (1 + _COUNTS.index(what)) * _NUMBER.size
        (before,) = _NUMBER.unpack_from(self._memory, at)
        _NUMBER.pack_into(self._memory, at, before + 1)


def _key_at(place: int) -> int:
    bucket, way = divmod(place, _WAYS)
    return _HEADER.size + bucket * _BUCKET + way * _KEY


def _details_at(place: int) -> int:
    bucket, way = divmod(place, _WAYS)
    return _HEADER.size + bucket * _BUCKET + _KEYS + way * _PLACE.size
