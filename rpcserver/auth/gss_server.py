"""The server side of RPCSEC_GSS (RFC 2203; version 2: RFC 5403)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from rpcserver.auth.gss_accepting import Acceptor
from rpcserver.auth.gss_api import Failure, Lock
from rpcserver.auth.gss_binding import Bindings, bind, connection_bindings
from rpcserver.auth.gss_contexts import Established, Table
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
from rpcserver.errors import AuthError, XdrError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import (
    MAXSEQ,
    RPCSEC_GSS_VERS_1,
    RpcGssCredTRpcsecGssVers1,
    RpcGssCredVers1T,
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

_CRED = codec_of(RpcGssCredTRpcsecGssVers1)
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
        self.services = frozenset(_NAMES[service_number(each)] for each in services)
        self.bindings = bindings
        self._contexts = Table(max_contexts)
        self._acceptor = Acceptor(
            name, keytab, mechanisms, window, max_age, max_half_open, self._keep
        )
        self.share(nullcontext, float)

    def share(self, make_lock: Callable[[], Lock], clock: Callable[[], float]) -> None:
        """Be used by threads, and know the time; ``clock`` gives seconds."""
        self._lock = make_lock()
        self._clock = clock
        self._acceptor.share(make_lock, clock)

    def __len__(self) -> int:
        """How many contexts there are."""
        return len(self._contexts) + len(self._acceptor)

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
            return self._acceptor.begin(call, version, cred, peer, connection)
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

    def _keep(self, context: Established, now: float) -> None:
        with self._lock:
            self._contexts.add(context, now)

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
