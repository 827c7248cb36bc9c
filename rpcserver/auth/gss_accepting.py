"""How callers come to contexts on a server: the legs of the acceptor (RFC 2203 section 5.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from rpcserver.auth import gss_api
from rpcserver.auth.gss_api import Failure, Lock, Protection
from rpcserver.auth.gss_contexts import Established, HalfOpen, Table
from rpcserver.auth.gss_initiations import Initiations
from rpcserver.auth.gss_window import Window
from rpcserver.auth.gss_wire import signed, word
from rpcserver.errors import AuthError, GarbageArgs, XdrError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import (
    RpcGssCredVers1T,
    RpcGssInitArg,
    RpcGssInitRes,
    RpcGssProcT,
)
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.flavor import Answered, Work
from rpcserver.rpc.message import CallMessage
from rpcserver.xdr.codec import codec_of

logger = logging.getLogger("rpcserver")

HALF_OPEN_AGE = 30.0
"""Seconds between two legs."""

_INIT_ARG = codec_of(RpcGssInitArg)
_INIT_RES = codec_of(RpcGssInitRes)


class Acceptor:
    """Makes contexts, with ``window`` and for ``max_age`` seconds at most, and gives them to
    ``keep`` with the time. ``max_half_open`` of those that take another leg are kept here.

    ``name``, ``keytab`` and ``mechanisms``: what ``gss_api.acceptor`` wants.
    """

    def __init__(
        self,
        name: str | None,
        keytab: str | None,
        mechanisms: Sequence[str],
        window: int,
        max_age: float,
        max_half_open: int,
        keep: Callable[[Established, float], None],
    ) -> None:
        self.name = name
        self.keytab = keytab
        self.mechanisms = tuple(mechanisms)
        self.window = window
        self.max_age = max_age
        self._keep = keep
        self._half_open = Table(max_half_open)
        self._initiations = Initiations()
        self._credentials: Any = None

    def share(self, make_lock: Callable[[], Lock], clock: Callable[[], float]) -> None:
        """Be used by threads, and know the time."""
        self._make_lock = make_lock
        self._lock = make_lock()
        self._clock = clock

    def __len__(self) -> int:
        """How many contexts take another leg."""
        return len(self._half_open)

    def begin(
        self,
        call: CallMessage,
        version: int,
        cred: RpcGssCredVers1T,
        peer: Peer,
        connection: Connection | None,
    ) -> Answered | Work | None:
        """What a leg is answered, or the work that it takes; silence for a datagram that is being
        answered. Raises ``AuthError``, and ``GarbageArgs`` for what is no token."""
        try:
            token: bytes = _INIT_ARG.unpack_whole(call.record, call.start).gss_token
        except XdrError as error:
            raise GarbageArgs(f"token: {error}") from None
        if cred.gss_proc == RpcGssProcT.RPCSEC_GSS_INIT and cred.handle:
            raise AuthError(AuthStat.AUTH_BADCRED, "a new context has no handle")
        other_end = (peer.transport, peer.address) if connection is None else connection
        if connection is None:
            with self._lock:
                known, answer = self._initiations.look(peer, call.record, self._clock())
            if known:
                return answer
        half: HalfOpen | None = None
        if cred.gss_proc == RpcGssProcT.RPCSEC_GSS_CONTINUE_INIT:
            with self._lock:
                half = self._half_open.get(cred.handle)
                if half is None or half.owner != other_end or half.version != version:
                    raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "no such context begun")
                self._half_open.drop(cred.handle)
                if half.expires <= self._clock():
                    raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "begun too long ago")

        def run() -> Answered:
            answer = self._establish(version, half, token, peer, other_end)
            if connection is None:
                with self._lock:
                    self._initiations.answered(peer, call.record, answer)
            return answer

        return Work(run)

    def _establish(
        self, version: int, half: HalfOpen | None, token: bytes, peer: Peer, other_end: Any
    ) -> Answered:
        """The next leg of a context. It may take its time."""
        try:
            step = gss_api.accept(token, self._acceptor(), half.context if half else None)
            now = self._clock()
            if not step.done:
                half = HalfOpen(other_end, version, step.context)
                half.expires = now + HALF_OPEN_AGE
                with self._lock:
                    self._half_open.add(half, now)
                result = RpcGssInitRes(
                    half.handle, gss_api.S_CONTINUE_NEEDED, 0, self.window, step.token
                )
                return Answered(_INIT_RES.pack(result))
            protection = Protection(step.context, self._make_lock())
            verifier = signed(protection, word(self.window))
            principal = gss_api.display(step.name)
        except Failure as error:
            logger.info("%s: no context: %s", peer, error)
            return Answered(_INIT_RES.pack(RpcGssInitRes(b"", error.major, 0, 0, b"")))
        seconds = self.max_age if step.seconds is None else min(self.max_age, step.seconds)
        window = Window(self.window)
        context = Established(principal, version, step.mechanism, protection, window, now + seconds)
        self._keep(context, now)
        logger.debug("%s: a context for %s", peer, principal)
        result = RpcGssInitRes(context.handle, gss_api.S_COMPLETE, 0, self.window, step.token)
        return Answered(_INIT_RES.pack(result), verifier)

    def _acceptor(self) -> Any:
        with self._lock:
            if self._credentials is None:
                try:
                    self._credentials = gss_api.acceptor(self.name, self.keytab, self.mechanisms)
                except Failure as error:
                    logger.error("no key to accept callers with: %s", error)
                    raise
            return self._credentials
