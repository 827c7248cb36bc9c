"""AUTH_SHORT: a few bytes that stand for an AUTH_SYS credential (RFC 5531 appendix A).

The server hands them out in the verifier of a reply. RFC 1057 section 9.2 calls what is in there
"an opaque structure", and SunRPC and libtirpc take it for a whole ``opaque_auth``, flavor and
body, to be sent as the next credential; others send the verifier's body as it is. So the verifier
holds an ``opaque_auth`` of AUTH_SHORT, and both ways to send it are understood.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from rpcserver.rpc.call import Peer
from rpcserver.rpc.flavor import Auth
from rpcserver.rpc.message import pack_auth

AUTH_SHORT = 2

MAX_AGE = 3600.0
"""Seconds for which a short credential is known: what was overheard is of use no longer."""

_HANDLE = 16  # bytes that nobody can guess
_HEAD = AUTH_SHORT.to_bytes(4) + _HANDLE.to_bytes(4)


class _Entry(NamedTuple):
    handle: bytes
    body: bytes
    place: Any
    born: float


class ShortTable:
    """The short credentials that were handed out: ``size`` at most, of which the one that was
    used longest ago leaves first, each known for ``max_age`` seconds of ``clock``.

    Each stands for one credential of one host (for UNIX sockets: of one user), from which alone it
    is taken. ``lock`` is held for each look, where several threads have the table.
    """

    def __init__(
        self,
        size: int,
        clock: Callable[[], float],
        max_age: float = MAX_AGE,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.size = size
        self.max_age = max_age
        self._clock = clock
        self._lock = lock or nullcontext()
        self._by_handle: OrderedDict[bytes, _Entry] = OrderedDict()
        self._by_body: dict[tuple[Any, bytes], _Entry] = {}

    def __len__(self) -> int:
        return len(self._by_handle)

    def verifier(self, body: bytes, peer: Peer) -> Auth:
        """The verifier that hands out the short credential for an AUTH_SYS body of ``peer``."""
        place = peer.place
        with self._lock:
            entry = self._live(self._by_body.get((place, body)))
            if entry is None:
                entry = _Entry(os.urandom(_HANDLE), body, place, self._clock())
                self._by_handle[entry.handle] = self._by_body[place, body] = entry
                while len(self._by_handle) > self.size:
                    self._drop(next(iter(self._by_handle.values())))
        return Auth(AUTH_SHORT, _HEAD + entry.handle)

    def whole(self, body: bytes, peer: Peer) -> bytes | None:
        """The AUTH_SYS body that a short credential of ``peer`` stands for, if it is known."""
        with self._lock:
            entry = self._live(self._by_handle.get(body.removeprefix(_HEAD)))
            return entry.body if entry is not None and entry.place == peer.place else None

    def _live(self, entry: _Entry | None) -> _Entry | None:
        if entry is None:
            return None
        if self._clock() - entry.born > self.max_age:
            self._drop(entry)
            return None
        self._by_handle.move_to_end(entry.handle)
        return entry

    def _drop(self, entry: _Entry) -> None:
        del self._by_handle[entry.handle]
        del self._by_body[entry.place, entry.body]


def credential_in(verifier: Auth) -> Auth:
    """The credential to send, from a verifier that hands one out."""
    body = verifier.body
    inner = Auth(AUTH_SHORT, body[8 : 8 + int.from_bytes(body[4:8])])
    return inner if pack_auth(inner) == body else Auth(AUTH_SHORT, body)
