"""Probes of a call's header, field by field (RFC 5531 section 9)."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.conform.answers import (
    CLOSED,
    GARBAGE_ARGS,
    PROC_UNAVAIL,
    PROG_MISMATCH,
    PROG_UNAVAIL,
    RPC_MISMATCH,
    SILENCE,
    SUCCESS,
)
from rpcserver.conform.probe import Case, Subject, Table, case, words

TABLE = Table()

NOBODYS = 0x5FFF_9A5E
"""A number from the transient range, which nobody has registered"""

_LARGEST = 0xFFFF_FFFF


@TABLE.probe("RFC 5531 12.1")
def null(subject: Subject) -> Iterator[Case]:
    """Procedure 0, which every program has."""
    yield case(subject.call(), SUCCESS)


@TABLE.probe("RFC 5531 9")
def xid_echo(subject: Subject) -> Iterator[Case]:
    """Any xid comes back as it is."""
    for xid in (0, 1, 0x7FFF_FFFF, 0x8000_0000, _LARGEST):
        yield case(subject.call(xid=xid), SUCCESS, label=hex(xid))


@TABLE.probe("RFC 5531 9")
def rpcvers(subject: Subject) -> Iterator[Case]:
    """Another version of RPC than 2; the answer says 2 to 2."""
    for number in (0, 1, 3, _LARGEST):
        yield case(subject.call(rpcvers=number), RPC_MISMATCH, label=number)


@TABLE.probe("RFC 5531 9")
def rpcvers_first(subject: Subject) -> Iterator[Case]:
    """RPC version 3, and nothing else is right either."""
    message = subject.call(rpcvers=3, prog=NOBODYS, credential=words(99, 0))
    yield case(message, RPC_MISMATCH)


@TABLE.probe("RFC 5531 9")
def rpcvers_alone(subject: Subject) -> Iterator[Case]:
    """RPC version 3 in a message that ends there: what follows is that version's business."""
    message = subject.call(rpcvers=3)[:12]
    yield case(message, RPC_MISMATCH, SILENCE, CLOSED)


@TABLE.probe("RFC 5531 9")
def msg_type(subject: Subject) -> Iterator[Case]:
    """A message that is neither call nor reply: there is nothing to answer."""
    for number in (2, 0x8000_0000, _LARGEST):
        yield case(subject.call(mtype=number), SILENCE, CLOSED, label=number)


@TABLE.probe("RFC 5531 9")
def unknown_program(subject: Subject) -> Iterator[Case]:
    """A program that is not there."""
    for number in (0, NOBODYS, _LARGEST):
        yield case(subject.call(prog=number), PROG_UNAVAIL, label=number)


@TABLE.probe("RFC 5531 9")
def unknown_version(subject: Subject) -> Iterator[Case]:
    """A version below and above all there are; the answer says which there are."""
    for number in (0, _LARGEST):
        yield case(subject.call(vers=number), PROG_MISMATCH, label=number)


@TABLE.probe("RFC 5531 9")
def unknown_procedure(subject: Subject) -> Iterator[Case]:
    """A procedure that is not there."""
    for number in (0x7FFF_FFFF, 0x8000_0000, _LARGEST):
        yield case(subject.call(proc=number), PROC_UNAVAIL, label=number)


@TABLE.probe("RFC 5531 9")
def version_before_procedure(subject: Subject) -> Iterator[Case]:
    """Version and procedure are not there."""
    yield case(subject.call(vers=_LARGEST, proc=_LARGEST), PROG_MISMATCH)


@TABLE.probe("RFC 5531 9")
def program_before_version(subject: Subject) -> Iterator[Case]:
    """Nothing of it is there."""
    message = subject.call(prog=NOBODYS, vers=_LARGEST, proc=_LARGEST)
    yield case(message, PROG_UNAVAIL)


@TABLE.probe("RFC 5531 9")
def version_before_arguments(subject: Subject) -> Iterator[Case]:
    """A version that is not there, with arguments that nobody can decode."""
    yield case(subject.call(words(_LARGEST), vers=_LARGEST), PROG_MISMATCH)


@TABLE.probe("RFC 5531 9")
def bytes_behind_void(subject: Subject) -> Iterator[Case]:
    """Bytes behind the arguments of procedure 0, which are none."""
    for size in (1, 2, 3, 4, 400, 4000):
        yield case(subject.call(bytes(size)), GARBAGE_ARGS, SUCCESS, label=size)
