"""The server side of RPCSEC_GSS (RFC 2203; version 2: RFC 5403)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from rpcserver.auth import gss_api
from rpcserver.auth.gss_api import Failure, Lock, Protection
from rpcserver.auth.gss_binding import Bindings, bind, connection_bindings
from rpcserver.auth.gss_contexts import Established, HalfOpen, Table
from rpcserver.auth.gss_initiations import Initiations
from rpcserver.auth.gss_window import Window
from rpcserver.auth.gss_wire import (
    PLAIN,
    RPCSEC_GSS,
    SERVICES,
    check_header,
    header_problem,
    opened,
    protected,
    service_number,
    signed,
    word,
)
from rpcserver.errors import AuthError, GarbageArgs, XdrError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import (
    MAXSEQ,
    RPCSEC_GSS_VERS_1,
    RpcGssCredTRpcsecGssVers1,
    RpcGssCredVers1T,
    RpcGssInitArg,
    RpcGssInitRes,
    RpcGssProcT,
    RpcGssServiceT,
)
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.flavor import NO_AUTH, Accepted, Answered, Work
from rpcserver.rpc.message import CallMessage
from rpcserver.xdr.codec import codec_of

logger = logging.getLogger("rpcserver")

WINDOW = 128
"""Sequence numbers that may be outstanding: as many calls as a client has under way at once."""

MAX_CONTEXTS = 4096
"""Established contexts; each has some KiB in the mechanism's library."""

MAX_HALF_OPEN = 256
"""Contexts that take another leg. Kerberos has none, so they are others' or nobody's."""

MAX_AGE = 24 * 3600.0
"""Seconds that a context may be used, whatever its ticket says; then the client makes another."""

HALF_OPEN_AGE = 30.0
"""Seconds between two legs."""

_CRED = codec_of(RpcGssCredTRpcsecGssVers1)
_INIT_ARG = codec_of(RpcGssInitArg)
_INIT_RES = codec_of(RpcGssInitRes)
_NAMES = {number: name for name, number in SERVICES.items()}
_NAMES[RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT] = "privacy"  # which is TLS's


@dataclass(frozen=True, slots=True)
class GssCredential:
    """Who called, as GSS-API has proved: the ``principal`` (``alice@EXAMPLE.ORG``), the
    ``mechanism`` (``krb5``), and how the call was protected: ``service`` is ``none`` (only its
    header was), ``integrity`` or ``privacy``."""

    principal: str
    mechanism: str
    service: str


class GssServer:
    """Takes callers who prove who they are; ``call.credential`` is a ``GssCredential``.

    ``name``: the service's, ``nfs@host.example.org`` or a principal; by default any that the
    keytab has. ``keytab``: its file, by default the system's, or that of KRB5_KTNAME.
    ``services``: those that are enough, of ``none``, ``integrity``, ``privacy``; others get
    AUTH_TOOWEAK (``@requires`` says so for one service or procedure). ``mechanisms``: ``krb5`` or
    dotted object identifiers.

    ``window``: sequence numbers that may come out of order. ``max_contexts``, ``max_half_open``:
    contexts that are kept, and among them none for who has not proved anything; when there are
    more, the principal (or the peer) with the most loses the one it has used least recently.
    ``max_age``: seconds after which a context is made anew. ``bindings``: what makes the channel
    bindings (RFC 5056) of a connection, ``None`` for those that have none.

    Raises ``UsageError`` for a service that there is not.
    """

    flavor = RPCSEC_GSS

    def __init__(
        self,
        name: str | None = None,
        *,
        keytab: str | None = None,
        services: Sequence[str] = ("none", "integrity", "privacy"),
        mechanisms: Sequence[str] = ("krb5",),
        window: int = WINDOW,
        max_contexts: int = MAX_CONTEXTS,
        max_half_open: int = MAX_HALF_OPEN,
        max_age: float = MAX_AGE,
        bindings: Bindings = connection_bindings,
    ) -> None:
        self.name = name
        self.keytab = keytab
        self.services = frozenset(_NAMES[service_number(each)] for each in services)
        self.mechanisms = tuple(mechanisms)
        self.window = window
        self.max_age = max_age
        self.bindings = bindings
        self._contexts = Table(max_contexts)
        self._half_open = Table(max_half_open)
        self._initiations = Initiations()
        self._credentials: Any = None
        self.share(nullcontext, float)

    def share(self, make_lock: Callable[[], Lock], clock: Callable[[], float]) -> None:
        """Be used by threads, and know the time; ``clock`` gives seconds."""
        self._make_lock = make_lock
        self._lock = make_lock()
        self._clock = clock

    def __len__(self) -> int:
        """How many contexts there are."""
        return len(self._contexts) + len(self._half_open)

    def accept(
        self, call: CallMessage, peer: Peer, connection: Connection | None
    ) -> Accepted | Answered | Work | None:
        """The call with its credential, its arguments unwrapped; or the next leg to a context,
        silence for a replay, an answer to what is not a call for a service.

        Raises ``AuthError``: AUTH_BADCRED for a credential that is none, AUTH_BADVERF for a
        verifier that is none, RPCSEC_GSS_CREDPROBLEM for one that is wrong, RPCSEC_GSS_CTXPROBLEM
        for a context that is not there (any more), AUTH_TOOWEAK.
        """
        try:
            whole = _CRED.unpack_whole(call.credential.body)
        except XdrError as error:
            raise AuthError(AuthStat.AUTH_BADCRED, f"credential: {error}") from None
        version, cred = int(whole.rgc_version), whole.rgc_cred_v1
        control = cred.gss_proc != RpcGssProcT.RPCSEC_GSS_DATA
        if control and call.proc != 0:
            raise AuthError(
                AuthStat.AUTH_BADCRED, f"{cred.gss_proc.name} with procedure {call.proc}"
            )
        if cred.gss_proc in (RpcGssProcT.RPCSEC_GSS_INIT, RpcGssProcT.RPCSEC_GSS_CONTINUE_INIT):
            return self._begin(call, version, cred, peer, connection)
        if version == RPCSEC_GSS_VERS_1 and (
            cred.gss_proc == RpcGssProcT.RPCSEC_GSS_BIND_CHANNEL
            or cred.service == RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT
        ):
            raise AuthError(AuthStat.AUTH_BADCRED, "version 1 binds no channels")
        with self._lock:
            context = self._contexts.get(cred.handle)
        if context is None or context.version != version:
            raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "no such context")
        if cred.gss_proc == RpcGssProcT.RPCSEC_GSS_BIND_CHANNEL:
            return self._bind(call, cred, context, peer, connection)
        return self._call(call, cred, context, peer, connection)

    # --- calls --------------------------------------------------------------------------------

    def _call(
        self,
        call: CallMessage,
        cred: RpcGssCredVers1T,
        context: Established,
        peer: Peer,
        connection: Connection | None,
    ) -> Accepted | Answered | None:
        number, service, protection = cred.seq_num, cred.service, context.protection
        by_channel = service == RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT
        if by_channel:
            if connection is None or context.channel is not connection:
                raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "not bound to this connection")
        else:
            check_header(call, protection)
        if not self._is_new(cred, context, peer):
            return None
        verifier = NO_AUTH if by_channel else signed(protection, word(number))
        if cred.gss_proc == RpcGssProcT.RPCSEC_GSS_DESTROY:
            with self._lock:
                self._contexts.drop(cred.handle)
            return Answered(b"", verifier)
        name = _NAMES[service]
        if name not in self.services:
            raise AuthError(AuthStat.AUTH_TOOWEAK, f"service {name} is not enough")
        who = GssCredential(context.owner, context.mechanism, name)
        identity = f"gss:{who.mechanism}:{who.principal}".encode("utf-8", "surrogateescape")
        accepted = Accepted(who, call.record, call.start, verifier, service=name, identity=identity)
        if service in PLAIN:
            return accepted
        accepted.data, accepted.start = b"", 0
        try:
            accepted.data, accepted.start = opened(
                protection, service, number, call.record, call.start
            )
        except Failure as error:
            accepted.garbage = f"not unwrapped: {error}"
        accepted.wrap = partial(protected, protection, service, number)
        return accepted

    def _is_new(self, cred: RpcGssCredVers1T, context: Established, peer: Peer) -> bool:
        """Whether a call, whose header is genuine, is no replay. Raises ``AuthError`` for a context
        that is at its end."""
        if cred.seq_num > MAXSEQ:
            raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "its sequence numbers are used up")
        with self._lock:
            if self._clock() >= context.expires:
                self._contexts.drop(cred.handle)
                raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "the context has expired")
            new = context.window.take(cred.seq_num)
        if not new:
            logger.info("%s: sequence number %d again, or too late", peer, cred.seq_num)
        return new

    def _bind(
        self,
        call: CallMessage,
        cred: RpcGssCredVers1T,
        context: Established,
        peer: Peer,
        connection: Connection | None,
    ) -> Answered | None:
        mine = None if connection is None else self.bindings(connection)
        try:
            bound, verifier = bind(call, cred, context.protection, mine)
        except XdrError as error:
            raise AuthError(AuthStat.AUTH_BADVERF, f"verifier: {error}") from None
        except Failure as error:
            raise header_problem(error) from None
        if not self._is_new(cred, context, peer):
            return None
        if bound:
            context.channel = connection
        return Answered(b"", verifier)

    # --- contexts -----------------------------------------------------------------------------

    def _begin(
        self,
        call: CallMessage,
        version: int,
        cred: RpcGssCredVers1T,
        peer: Peer,
        connection: Connection | None,
    ) -> Answered | Work | None:
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
        with self._lock:
            self._contexts.add(context, now)
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
