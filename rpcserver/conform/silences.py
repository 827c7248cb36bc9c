"""Probes of what a server must not answer, and of what it must bear (RFC 5531 section 9)."""

from __future__ import annotations

import random
from collections.abc import Iterator

from rpcserver.conform.answers import (
    AUTH_ERROR,
    CLOSED,
    GARBAGE_ARGS,
    PROC_UNAVAIL,
    PROG_MISMATCH,
    PROG_UNAVAIL,
    RPC_MISMATCH,
    SILENCE,
    STARTTLS,
    SUCCESS,
)
from rpcserver.conform.credentials import AUTH_TLS, auth
from rpcserver.conform.probe import (
    DATAGRAM,
    STREAM,
    Case,
    Subject,
    Table,
    case,
    marked,
    words,
    xid_of,
)

TABLE = Table()

CROWD = 20
"""Connections that are in the middle of something"""

_RANDOM = random.Random(5531)
_NOISE = [_RANDOM.randbytes(_RANDOM.randrange(4, 400)) for _ in range(60)]
_REFUSED = (
    *AUTH_ERROR,
    CLOSED,
    GARBAGE_ARGS,
    PROC_UNAVAIL,
    PROG_MISMATCH,
    PROG_UNAVAIL,
    RPC_MISMATCH,
    SILENCE,
)


@TABLE.probe("RFC 5531 9")
def replies(subject: Subject) -> Iterator[Case]:
    """Replies to calls that the server never made: it stays silent, and the connection open."""
    for label, rest in {
        "SUCCESS": words(0, 0, 0, 0),
        "results": words(0, 0, 0, 0) + bytes(100),
        "PROG_MISMATCH": words(0, 0, 0, 2, 1, 9),
        "RPC_MISMATCH": words(1, 0, 2, 2),
        "AUTH_ERROR": words(1, 1, 1),
        "cut": b"",
        "reply_stat 7": words(7),
    }.items():
        message = subject.call()[:4] + words(1) + rest
        yield case(message, SILENCE, label=label)


@TABLE.probe("RFC 5531 9")
def noise(subject: Subject) -> Iterator[Case]:
    """Sixty messages of random bytes."""
    for number, message in enumerate(_NOISE):
        yield case(message, *_REFUSED, label=number)


@TABLE.probe("RFC 5531 9")
def noisy_calls(subject: Subject) -> Iterator[Case]:
    """Sixty headers of calls with random bytes behind them."""
    for number, message in enumerate(_NOISE):
        call = subject.call()[:24] + message
        yield case(call, *_REFUSED, SUCCESS, label=number)


@TABLE.probe("RFC 5531 11")
def noise_beside(subject: Subject) -> Iterator[Case]:
    """Twenty others that send random bytes: a call beside them is answered."""
    yield case(subject.call(), SUCCESS, beside=tuple(_NOISE[:CROWD]))


@TABLE.probe("RFC 5531 11", over=STREAM)
def half_records_beside(subject: Subject) -> Iterator[Case]:
    """Twenty connections that stop inside of a call: a call beside them is answered."""
    streams = [marked(subject.call())[: 1 + 2 * number] for number in range(CROWD)]
    yield case(subject.call(), SUCCESS, beside=tuple(streams))


@TABLE.probe("RFC 9289 4.1", over=STREAM)
def starttls_injection(subject: Subject) -> Iterator[Case]:
    """A call in the clear, right behind the one that starts TLS: if that does start, the other
    is not answered, neither before nor inside."""
    start = subject.call(credential=auth(AUTH_TLS))
    injected = subject.call()
    wanted = {
        xid_of(start): frozenset((STARTTLS, f"{STARTTLS}, then {CLOSED}", *AUTH_ERROR)),
        xid_of(injected): frozenset((SILENCE, CLOSED, SUCCESS)),  # it is not that after STARTTLS
    }
    yield Case("", (marked(start) + marked(injected),), wanted, raw=True, tls=True)


@TABLE.probe("RFC 5531 9", over=DATAGRAM)
def empty_datagram(subject: Subject) -> Iterator[Case]:
    """A datagram without a byte."""
    yield case(b"", SILENCE)


@TABLE.probe("RFC 5531 9", over=DATAGRAM)
def two_calls_in_one_datagram(subject: Subject) -> Iterator[Case]:
    """One datagram with two calls: the second is bytes behind the arguments of the first."""
    first, second = subject.call(), subject.call()
    wanted = {
        xid_of(first): frozenset((SUCCESS, GARBAGE_ARGS)),
        xid_of(second): frozenset((SILENCE,)),
    }
    yield Case("", (first + second,), wanted)


@TABLE.probe("RFC 5531 11", over=DATAGRAM)
def marked_datagram(subject: Subject) -> Iterator[Case]:
    """A datagram with a record mark, which belongs on streams: what follows it is no call."""
    call = subject.call()
    wanted: dict[int | None, frozenset[str]] = {
        xid_of(call): frozenset((SILENCE,)),
        xid_of(marked(call)): frozenset((SILENCE,)),
    }
    yield Case("", (marked(call),), wanted)


@TABLE.probe("RFC 5531 9", over=DATAGRAM)
def large_datagram(subject: Subject) -> Iterator[Case]:
    """A call with sixty thousand bytes behind it."""
    message = subject.call(bytes(60_000))
    yield case(message, SUCCESS, GARBAGE_ARGS, SILENCE)


@TABLE.probe("RFC 5531 9", over=DATAGRAM)
def same_datagram_twice(subject: Subject) -> Iterator[Case]:
    """A call that comes twice, as networks do it: two answers, or one."""
    call = subject.call()
    wanted = {xid_of(call): frozenset((SUCCESS, f"{SUCCESS} and {SUCCESS}"))}
    yield Case("", (call, call), wanted)
