"""Probes of the verifier of a call (RFC 5531 sections 8.2 and 10)."""

from __future__ import annotations

from collections.abc import Iterator

from rpcserver.conform.answers import AUTH_BADVERF, AUTH_REJECTEDVERF, SUCCESS, UNREADABLE
from rpcserver.conform.credentials import AUTH_NONE, LIES, auth
from rpcserver.conform.probe import Case, Subject, Table, case, words

TABLE = Table()


@TABLE.probe("RFC 5531 10.1")
def verifier_flavors(subject: Subject) -> Iterator[Case]:
    """A verifier of another flavor than AUTH_NONE beside the credential AUTH_NONE."""
    for flavor in (1, 2, 3, 6, 7, 99, 0xFFFF_FFFF):
        for body in (b"", b"\1" * 8):
            message = subject.call(verifier=auth(flavor, body))
            wanted = SUCCESS, AUTH_BADVERF, AUTH_REJECTEDVERF
            yield case(message, *wanted, label=f"{flavor} with {len(body)} bytes")


@TABLE.probe("RFC 5531 10.1")
def verifier_with_body(subject: Subject) -> Iterator[Case]:
    """A verifier AUTH_NONE with a body, whose contents are undefined."""
    for size in (1, 4, 400):
        message = subject.call(verifier=auth(AUTH_NONE, bytes(size)))
        yield case(message, SUCCESS, AUTH_BADVERF, label=size)


@TABLE.probe("RFC 4506 4.10")
def verifier_padding(subject: Subject) -> Iterator[Case]:
    """A verifier of 5 bytes whose padding is not zero."""
    verifier = words(AUTH_NONE, 5) + b"12345\0\0\1"
    yield case(subject.call(verifier=verifier), SUCCESS, *UNREADABLE)


@TABLE.probe("RFC 5531 8.2")
def verifier_401(subject: Subject) -> Iterator[Case]:
    """A verifier of more than 400 bytes, all there."""
    for flavor in (AUTH_NONE, 99):
        for size in (401, 404, 4000):
            message = subject.call(verifier=auth(flavor, bytes(size)))
            yield case(message, *UNREADABLE, label=f"{flavor} {size}")


@TABLE.probe("RFC 5531 8.2")
def verifier_length_lies(subject: Subject) -> Iterator[Case]:
    """A verifier that claims to be longer than the message."""
    for size in (4, 400, *LIES):
        message = subject.call(verifier=words(AUTH_NONE, size))
        yield case(message, *UNREADABLE, label=size)
