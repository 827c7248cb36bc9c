"""Probes of credentials: flavors, lengths, and what is in them (RFC 5531 sections 8.2 and 10)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rpcserver.conform.answers import (
    AUTH_BADCRED,
    AUTH_ERROR,
    AUTH_REJECTEDCRED,
    AUTH_TOOWEAK,
    CLOSED,
    STARTTLS,
    SUCCESS,
    UNREADABLE,
)
from rpcserver.conform.headers import NOBODYS
from rpcserver.conform.probe import Case, Subject, Table, case, opaque, words

TABLE = Table()

AUTH_NONE, AUTH_SYS, AUTH_SHORT, AUTH_DH, RPCSEC_GSS, AUTH_TLS = 0, 1, 2, 3, 6, 7
LIES = (401, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFF9, 0xFFFF_FFFC, 0xFFFF_FFFF)
"""Lengths of a body that nothing can have; some are small when 3 or 8 is added to them"""

_TAKEN = (SUCCESS, AUTH_TOOWEAK, AUTH_REJECTEDCRED)
"""A server may want better credentials than good ones"""


def auth(flavor: int, body: bytes = b"") -> bytes:
    """A credential or verifier."""
    return words(flavor) + opaque(body)


def sys_body(
    machine: bytes = b"probe",
    gids: Sequence[int] = (5, 6),
    *,
    size: int | None = None,
    count: int | None = None,
) -> bytes:
    """The body of an AUTH_SYS credential (RFC 5531 appendix A); ``size`` and ``count`` are the
    lengths that it claims for name and groups."""
    name = opaque(machine)
    if size is not None:
        name = words(size) + name[4:]
    return words(7) + name + words(1000, 1000, len(gids) if count is None else count, *gids)


@TABLE.probe("RFC 5531 10.1")
def auth_none_with_body(subject: Subject) -> Iterator[Case]:
    """AUTH_NONE with a body, whose contents are undefined."""
    for size in (1, 4, 400):
        message = subject.call(credential=auth(AUTH_NONE, bytes(size)))
        yield case(message, SUCCESS, AUTH_BADCRED, label=size)


@TABLE.probe("RFC 5531 A")
def auth_sys(subject: Subject) -> Iterator[Case]:
    """Good AUTH_SYS credentials, from the smallest to the largest."""
    for name, gids in ((0, 0), (5, 2), (255, 16)):
        body = sys_body(b"x" * name, range(gids))
        message = subject.call(credential=auth(AUTH_SYS, body))
        yield case(message, *_TAKEN, label=f"{gids} groups")


@TABLE.probe("RFC 5531 A")
def auth_sys_cut(subject: Subject) -> Iterator[Case]:
    """AUTH_SYS whose body ends at each byte before its end, and says so."""
    body = sys_body()
    for size in range(len(body)):
        message = subject.call(credential=auth(AUTH_SYS, body[:size]))
        yield case(message, AUTH_BADCRED, label=size)


@TABLE.probe("RFC 5531 A")
def auth_sys_machine_name(subject: Subject) -> Iterator[Case]:
    """A machine name of more than 255 bytes."""
    for size in (256, 300):
        message = subject.call(credential=auth(AUTH_SYS, sys_body(b"x" * size)))
        yield case(message, AUTH_BADCRED, label=size)


@TABLE.probe("RFC 5531 A")
def auth_sys_machine_name_lies(subject: Subject) -> Iterator[Case]:
    """A machine name that claims more bytes than the body has."""
    for size in (200, *LIES[1:]):
        message = subject.call(credential=auth(AUTH_SYS, sys_body(size=size)))
        yield case(message, AUTH_BADCRED, label=size)


@TABLE.probe("RFC 5531 A")
def auth_sys_17_groups(subject: Subject) -> Iterator[Case]:
    """More than 16 groups, and all of them are there: who copies them overflows its array."""
    for count in (17, 18, 64):
        message = subject.call(credential=auth(AUTH_SYS, sys_body(gids=range(count))))
        yield case(message, AUTH_BADCRED, label=count)


@TABLE.probe("RFC 5531 A")
def auth_sys_group_count_lies(subject: Subject) -> Iterator[Case]:
    """A count of groups that the body has not; four times some of them is small again."""
    for count in (3, 16, 0x4000_0000, 0x4000_0002, 0x8000_0000, 0xFFFF_FFFF):
        message = subject.call(credential=auth(AUTH_SYS, sys_body(count=count)))
        yield case(message, AUTH_BADCRED, label=count)


@TABLE.probe("RFC 5531 A")
def auth_sys_bytes_behind(subject: Subject) -> Iterator[Case]:
    """AUTH_SYS with bytes behind its groups, which the RFC does not speak of."""
    for size in (1, 4, 300):
        message = subject.call(credential=auth(AUTH_SYS, sys_body() + bytes(size)))
        yield case(message, *_TAKEN, AUTH_BADCRED, label=size)


@TABLE.probe("RFC 4506 4.11")
def auth_sys_padding(subject: Subject) -> Iterator[Case]:
    """A machine name whose padding is not zero: who reads it may overlook that."""
    body = bytearray(sys_body(b"probe"))
    body[15] = 1
    yield case(subject.call(credential=auth(AUTH_SYS, bytes(body))), *_TAKEN, AUTH_BADCRED)


@TABLE.probe("RFC 4506 4.10")
def credential_padding(subject: Subject) -> Iterator[Case]:
    """A body of 5 bytes whose padding is not zero."""
    credential = words(AUTH_NONE, 5) + b"12345\0\0\1"
    yield case(subject.call(credential=credential), SUCCESS, *UNREADABLE)


@TABLE.probe("RFC 5531 8.2")
def credential_401(subject: Subject) -> Iterator[Case]:
    """A body of more than 400 bytes, all there."""
    for flavor, name in ((AUTH_NONE, "AUTH_NONE"), (AUTH_SYS, "AUTH_SYS"), (99, "99")):
        for size in (401, 404, 4000):
            body = (sys_body() if flavor == AUTH_SYS else b"").ljust(size, b"\0")
            message = subject.call(credential=auth(flavor, body))
            wanted = (*UNREADABLE, AUTH_REJECTEDCRED)
            yield case(message, *wanted, label=f"{name} {size}")


@TABLE.probe("RFC 5531 8.2")
def credential_length_lies(subject: Subject) -> Iterator[Case]:
    """A body that claims to be longer than the message."""
    for flavor in (AUTH_NONE, AUTH_SYS):
        for size in (12, 400, *LIES):
            credential = words(flavor, size)
            yield case(subject.call(credential=credential), *UNREADABLE, label=f"{flavor} {size}")


@TABLE.probe("RFC 5531 A")
def auth_short(subject: Subject) -> Iterator[Case]:
    """A short credential that the server never handed out."""
    for body in (b"", b"\1" * 8, bytes(400)):
        message = subject.call(credential=auth(AUTH_SHORT, body))
        yield case(message, AUTH_REJECTEDCRED, AUTH_BADCRED, label=len(body))


@TABLE.probe("RFC 2695 2")
def auth_dh(subject: Subject) -> Iterator[Case]:
    """AUTH_DH with nothing in it that could be right."""
    for body in (b"", words(0, 0xFFFF_FFFF), words(1, 7), bytes(64)):
        message = subject.call(credential=auth(AUTH_DH, body))
        yield case(message, *AUTH_ERROR, label=len(body))


@TABLE.probe("RFC 2203 5.3.3.3")
def rpcsec_gss(subject: Subject) -> Iterator[Case]:
    """RPCSEC_GSS with nothing in it that could be right: empty, versions 0 and 99, a handle that
    nobody has, a length that lies."""
    bodies = {
        "empty": b"",
        "version 0": words(0, 1, 0, 1, 0),
        "version 99": words(99, 1, 0, 1, 0),
        "handle": words(1, 0, 1, 1) + opaque(b"nobody's"),
        "length": words(1, 0, 1, 1, 0xFFFF_FFFF),
        "random": random.Random(2203).randbytes(40),
    }
    for label, body in bodies.items():
        message = subject.call(credential=auth(RPCSEC_GSS, body))
        yield case(message, *AUTH_ERROR, label=label)


@TABLE.probe("RFC 5531 8.2")
def unknown_flavor(subject: Subject) -> Iterator[Case]:
    """A flavor that nobody has, with a body and without."""
    for flavor in (4, 5, 99, 390_003, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF):
        for body in (b"", b"body"):
            message = subject.call(credential=auth(flavor, body))
            yield case(message, *AUTH_ERROR, label=flavor)


@TABLE.probe("RFC 9289 4.1")
def auth_tls(subject: Subject) -> Iterator[Case]:
    """The call that starts TLS: a server without it refuses the credential."""
    message = subject.call(credential=auth(AUTH_TLS))
    ends = (f"{STARTTLS}, then {CLOSED}",)  # it wants a certificate
    yield case(message, STARTTLS, *ends, *AUTH_ERROR, tls=True)


@TABLE.probe("RFC 9289 4.1")
def auth_tls_misused(subject: Subject) -> Iterator[Case]:
    """AUTH_TLS with another procedure, or with a body."""
    message = subject.call(proc=1, credential=auth(AUTH_TLS))
    yield case(message, *AUTH_ERROR, label="procedure 1")
    message = subject.call(credential=auth(AUTH_TLS, b"body"))
    yield case(message, *AUTH_ERROR, label="a body")


@TABLE.probe("RFC 5531 9")
def bad_credential_elsewhere(subject: Subject) -> Iterator[Case]:
    """A bad credential for a program that is not there: either may be looked at first."""
    message = subject.call(prog=NOBODYS, credential=auth(AUTH_SYS, b"bad!"))
    yield case(message, "PROG_UNAVAIL", *AUTH_ERROR)
