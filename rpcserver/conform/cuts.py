"""Probes of calls that end too early, or whose arguments do (RFC 5531 section 9, RFC 4506)."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.conform.answers import (
    AUTH_TOOWEAK,
    CLOSED,
    GARBAGE_ARGS,
    PROC_UNAVAIL,
    PROG_MISMATCH,
    PROG_UNAVAIL,
    SILENCE,
    SUCCESS,
    SYSTEM_ERR,
    UNREADABLE,
)
from rpcserver.conform.credentials import AUTH_SYS, auth, sys_body
from rpcserver.conform.probe import Case, Subject, Table, case, opaque, words

TABLE = Table()

RPCBIND = 100_000
_COUNTS = (0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF, 20_000_000)
"""Of elements or bytes, none of which is there"""


@TABLE.probe("RFC 5531 9")
def call_cut(subject: Subject) -> Iterator[Case]:
    """A call with AUTH_NONE that ends at each byte before its end."""
    whole = subject.call()
    for size in range(len(whole)):
        yield case(subject.call()[:size], *UNREADABLE, label=size)


@TABLE.probe("RFC 5531 9")
def call_with_auth_sys_cut(subject: Subject) -> Iterator[Case]:
    """A call with AUTH_SYS that ends at each byte before its end."""
    credential = auth(AUTH_SYS, sys_body())
    whole = subject.call(credential=credential)
    for size in range(len(whole)):
        yield case(subject.call(credential=credential)[:size], *UNREADABLE, label=size)


@TABLE.probe("RFC 5531 9", arguments=True)
def arguments(subject: Subject) -> Iterator[Case]:
    """Good arguments, with AUTH_NONE."""
    yield case(subject.call(subject.arguments, proc=subject.proc), SUCCESS, results=True)


@TABLE.probe("RFC 5531 9", arguments=True)
def arguments_cut(subject: Subject) -> Iterator[Case]:
    """Good arguments that end at each byte before their end."""
    for size in range(len(subject.arguments)):
        message = subject.call(subject.arguments[:size], proc=subject.proc)
        yield case(message, GARBAGE_ARGS, label=size, results=True)


@TABLE.probe("RFC 5531 9", arguments=True)
def bytes_behind_arguments(subject: Subject) -> Iterator[Case]:
    """Good arguments with bytes behind them, which the RFC does not speak of."""
    for size in (1, 3, 4, 400):
        message = subject.call(subject.arguments + bytes(size), proc=subject.proc)
        yield case(message, GARBAGE_ARGS, SUCCESS, label=size, results=True)


@TABLE.probe("RFC 4506 4.13", arguments=True)
def arguments_counts(subject: Subject) -> Iterator[Case]:
    """Each word of good arguments as large as can be: as a length or count it is a lie, as a
    number it may be right."""
    for at in range(0, len(subject.arguments) - 3, 4):
        for count in _COUNTS:
            data = subject.arguments[:at] + words(count) + subject.arguments[at + 4 :]
            message = subject.call(data, proc=subject.proc)
            wanted = SUCCESS, GARBAGE_ARGS, SYSTEM_ERR
            yield case(message, *wanted, label=f"{count:#x} at {at}", results=True)


@TABLE.probe("RFC 1833 2.2.1")
def rpcbomb(subject: Subject) -> Iterator[Case]:
    """CVE-2017-8779: strings for rpcbind whose length is not there (a server that is none has no
    such program; an rpcbind must refuse, or drop them)."""
    none = opaque(b"")
    refused = (
        PROG_UNAVAIL,
        PROG_MISMATCH,
        PROC_UNAVAIL,
        GARBAGE_ARGS,
        AUTH_TOOWEAK,
        SILENCE,
        CLOSED,
    )
    for size in _COUNTS:
        bombs = {
            "CALLIT": subject.call(
                words(subject.prog, subject.vers, 0, size), prog=RPCBIND, vers=2, proc=5
            ),
            "GETADDR": subject.call(
                words(subject.prog, subject.vers, size), prog=RPCBIND, vers=3, proc=3
            ),
            "SET": subject.call(
                words(subject.prog, subject.vers) + none + words(size),
                prog=RPCBIND,
                vers=4,
                proc=1,
            ),
            "UADDR2TADDR": subject.call(words(size), prog=RPCBIND, vers=4, proc=7),
        }
        for name, message in bombs.items():
            yield case(message, *refused, label=f"{name} {size:#x}")
