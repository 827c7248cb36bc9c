"""A mechanism for RPCSEC_GSS that a fuzzer can speak, in the place of GSS-API: no secrets.

A MIC is ``good``, what is wrapped has a ``W`` before it. A token's first byte says what comes of
it: ``C`` another leg, ``F`` a failure, ``E`` a context that has expired; else a context for
the name that is the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from rpcserver.auth import gss_accepting, gss_api, gss_client, gss_contexts
from rpcserver.auth.gss_api import S_CONTEXT_EXPIRED, Failure, Step

MIC = b"good"
HANDLE = 16


class Protection:
    """As ``gss_api.Protection``."""

    over = False

    def __init__(self, context: Any = None, lock: Any = None) -> None:
        self.expired = context == "E"

    def _live(self) -> None:
        if self.expired:
            raise Failure("expired", S_CONTEXT_EXPIRED)

    def sign(self, message: bytes) -> bytes:
        """The same for all."""
        self._live()
        return MIC

    def check(self, message: bytes, mic: bytes) -> None:
        """Raises ``Failure``."""
        self._live()
        if mic != MIC:
            raise Failure("not the MIC")

    def wrap(self, message: bytes) -> bytes:
        """Nothing is hidden."""
        self._live()
        return b"W" + message

    def unwrap(self, wrapped: bytes) -> bytes:
        """Raises ``Failure``."""
        self._live()
        if wrapped[:1] != b"W":
            raise Failure("not wrapped")
        return wrapped[1:]


def accept(token: bytes, credentials: Any, context: Any) -> Step:
    """As ``gss_api.accept``."""
    kind = token[:1]
    if kind in (b"", b"F"):
        raise Failure("no token")
    done = kind != b"C"
    seconds = {b"0": 0.0, b"5": 5.0}.get(kind)
    return Step("E" if kind == b"E" else "", b"back", done, token[1:], "fake", seconds)


def initiate(target: Any, mech: Any, credentials: Any, context: Any, token: bytes | None) -> Step:
    """As ``gss_api.initiate``; the server's token says whether there is more to do."""
    if token is not None and token[:1] == b"F":
        raise Failure("no token")
    return Step("", b"mine", token is not None and token[:1] != b"C", None, "", None)


@contextmanager
def spoken() -> Iterator[None]:
    """It is used, and handles are 1, 2, 3 ..."""
    numbers = iter(range(1, 1 << 30))

    def handle(size: int) -> bytes:
        return next(numbers).to_bytes(size)

    with (
        mock.patch.multiple(
            gss_api,
            accept=accept,
            initiate=initiate,
            acceptor=lambda *_: None,
            initiator=lambda *_: None,
            service_name=str,
            mechanism=lambda name: name,
            display=lambda name: name.decode("utf-8", "surrogateescape"),
        ),
        mock.patch.object(gss_accepting, "Protection", Protection),
        mock.patch.object(gss_client, "Protection", Protection),
        mock.patch.object(gss_contexts, "os", SimpleNamespace(urandom=handle)),
    ):
        yield
