"""Probes of record marking (RFC 5531 section 11)."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.conform.answers import CLOSED, GARBAGE_ARGS, SILENCE, SUCCESS
from rpcserver.conform.probe import (
    STREAM,
    Case,
    Subject,
    Table,
    marked,
    stream_case,
    words,
)

TABLE = Table()

_OK = (SUCCESS,)
_LAST = 1 << 31


@TABLE.probe("RFC 5531 11", over=STREAM)
def two_fragments(subject: Subject) -> Iterator[Case]:
    """A call in two fragments, split at each byte, also before the first and behind the last."""
    for at in range(len(subject.call()) + 1):
        call = subject.call()
        yield stream_case([marked(call[:at], call[at:])], {call: _OK}, label=at)


@TABLE.probe("RFC 5531 11", over=STREAM)
def fragments_of_one_byte(subject: Subject) -> Iterator[Case]:
    """A call in as many fragments as it has bytes."""
    call = subject.call()
    parts = [call[at : at + 1] for at in range(len(call))]
    yield stream_case([marked(*parts)], {call: _OK})


@TABLE.probe("RFC 5531 11", over=STREAM)
def empty_fragments(subject: Subject) -> Iterator[Case]:
    """Empty fragments before a call, in it, after it, and many of them."""
    for label in ("before", "in", "after", "everywhere", "a hundred"):
        call = subject.call()
        parts = {
            "before": (b"", call),
            "in": (call[:18], b"", call[18:]),
            "after": (call, b""),
            "everywhere": (b"", b"", call[:3], b"", b"", call[3:], b"", b""),
            "a hundred": (*[b""] * 100, call),
        }[label]
        yield stream_case([marked(*parts)], {call: _OK}, label=label)


@TABLE.probe("RFC 5531 11", over=STREAM)
def fragments_apart(subject: Subject) -> Iterator[Case]:
    """A call in two fragments, each mark and each part in a segment of its own."""
    call = subject.call()
    pieces = [words(17), call[:17], words(_LAST | len(call) - 17), call[17:]]
    yield stream_case(pieces, {call: _OK})


@TABLE.probe("RFC 5531 11", over=STREAM)
def byte_by_byte(subject: Subject) -> Iterator[Case]:
    """A call whose bytes come one at a time."""
    call = subject.call()
    stream = marked(call)
    yield stream_case([stream[at : at + 1] for at in range(len(stream))], {call: _OK})


@TABLE.probe("RFC 5531 11", over=STREAM)
def many_in_one_segment(subject: Subject) -> Iterator[Case]:
    """Thirty-two calls in one segment."""
    calls = [subject.call() for _ in range(32)]
    yield stream_case([b"".join(map(marked, calls))], dict.fromkeys(calls, _OK))


@TABLE.probe("RFC 5531 11", over=STREAM)
def two_across_segments(subject: Subject) -> Iterator[Case]:
    """Two calls in two segments, whose border is at each byte."""
    for at in range(1, 2 * len(marked(subject.call()))):
        calls = [subject.call(), subject.call()]
        stream = b"".join(map(marked, calls))
        yield stream_case([stream[:at], stream[at:]], dict.fromkeys(calls, _OK), label=at)


@TABLE.probe("RFC 5531 11", over=STREAM)
def mark_in_pieces(subject: Subject) -> Iterator[Case]:
    """Two calls, the first with the beginning of the mark of the second."""
    for size in (1, 2, 3):
        calls = [subject.call(), subject.call()]
        first, second = map(marked, calls)
        pieces = [first + second[:size], second[size:]]
        yield stream_case(pieces, dict.fromkeys(calls, _OK), label=size)


@TABLE.probe("RFC 5531 11", over=STREAM)
def two_calls_in_one_record(subject: Subject) -> Iterator[Case]:
    """One record with two calls: the second is bytes behind the arguments of the first."""
    first, second = subject.call(), subject.call()
    wanted = {first: (SUCCESS, GARBAGE_ARGS), second: (SILENCE,)}
    yield stream_case([marked(first + second)], wanted)


@TABLE.probe("RFC 5531 11", over=STREAM)
def empty_record(subject: Subject) -> Iterator[Case]:
    """A record without a byte, and three of them before a call."""
    yield stream_case([marked(b"")], {b"": (SILENCE, CLOSED)}, label="alone")
    call = subject.call()
    yield stream_case([marked(b"") * 3 + marked(call)], {call: (SUCCESS, CLOSED)}, label="three")


@TABLE.probe("RFC 5531 11", over=STREAM)
def large_record(subject: Subject) -> Iterator[Case]:
    """A call with a million bytes behind it, in one fragment and in many."""
    for size in (1 << 20, 1000):
        call = subject.call(bytes(1 << 20))
        parts = [call[at : at + size] for at in range(0, len(call), size)]
        yield stream_case([marked(*parts)], {call: (SUCCESS, GARBAGE_ARGS, CLOSED)}, label=size)


@TABLE.probe("RFC 5531 11", over=STREAM)
def huge_mark(subject: Subject) -> Iterator[Case]:
    """A mark that promises up to 2 GiB, last or not, and then a call's bytes."""
    for mark in (0xFFFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFC, 0xC000_0000, 0x4000_0000):
        call = subject.call()
        wanted = {call: (SILENCE, CLOSED)}
        yield stream_case([words(mark) + call], wanted, label=f"{mark:#x}", ends=True)


@TABLE.probe("RFC 5531 11", over=STREAM)
def huge_second_fragment(subject: Subject) -> Iterator[Case]:
    """A small fragment, and one that makes the record larger than 2 GiB."""
    call = subject.call()
    stream = words(20) + call[:20] + words(0xFFFF_FFFF) + call[20:]
    yield stream_case([stream], {call: (SILENCE, CLOSED)}, ends=True)


@TABLE.probe("RFC 5531 11", over=STREAM)
def endless_empty_fragments(subject: Subject) -> Iterator[Case]:
    """Twenty thousand empty fragments, and then a call: it is answered, or there is a limit."""
    call = subject.call()
    stream = bytes(4) * 20_000 + marked(call)
    yield stream_case([stream], {call: (SUCCESS, CLOSED)})


@TABLE.probe("RFC 5531 11", over=STREAM)
def half_a_record(subject: Subject) -> Iterator[Case]:
    """A stream that stops inside of a mark, or of a call: nothing is answered before it is
    whole."""
    for size in (1, 3, 4, 5, 24, 43):
        call = subject.call()
        wanted = {call: (SILENCE, CLOSED)}
        yield stream_case([marked(call)[:size]], wanted, label=size, ends=True)


@TABLE.probe("RFC 5531 11", over=STREAM)
def other_protocols(subject: Subject) -> Iterator[Case]:
    """What others say first: HTTP, TLS, SSH, lines of text."""
    for label, stream in {
        "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "text": b"hello?\r\n" * 10,
    }.items():
        yield stream_case([stream], {b"": (SILENCE, CLOSED)}, label=label, ends=True)
