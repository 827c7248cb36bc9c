"""The client side of RPCSEC_GSS (RFC 2203; version 2: RFC 5403)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from rpcserver.auth import gss_api
from rpcserver.auth.gss_api import Failure, Protection
from rpcserver.auth.gss_binding import asking, check_answer
from rpcserver.auth.gss_wire import (
    RPCSEC_GSS,
    credential,
    opened,
    protected,
    service_number,
    word,
)
from rpcserver.errors import AuthError, BadReply, UsageError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import (
    MAXSEQ,
    RPCSEC_GSS_VERS_1,
    RPCSEC_GSS_VERS_2,
    RpcGssInitRes,
    RpcGssProcT,
    RpcGssServiceT,
)
from rpcserver.rpc.flavor import NO_AUTH, Auth, Exchange
from rpcserver.rpc.message import pack_auth
from rpcserver.rpc.version import Procedure
from rpcserver.xdr.types import Opaque, Void

MAX_LEGS = 16
"""Calls until there is a context; no mechanism that is known takes so many."""

_REPAIRED = (AuthStat.RPCSEC_GSS_CREDPROBLEM, AuthStat.RPCSEC_GSS_CTXPROBLEM)
_ANOTHER_VERSION = (AuthStat.AUTH_BADCRED, AuthStat.AUTH_REJECTEDCRED)

_INIT: Procedure[RpcGssInitRes] = Procedure(0, "null", [Opaque()], RpcGssInitRes)
_NULL: Procedure[None] = Procedure(0, "null", [], Void)


class GssClient:
    """Proves with GSS-API who calls, for ``connect(credentials=...)``.

    ``target``: whom to call, ``nfs@host.example.org`` or a principal; by default ``host@`` the
    host of the channel. ``service``: how calls are protected, ``none`` (only their headers are),
    ``integrity`` or ``privacy``; ``channel``: by TLS, which the context is bound to.
    ``mechanism``: ``krb5`` or a dotted object identifier. ``principal`` and ``ccache``:
    whose ticket to use, and where it is (``FILE:/path``); by default what ``kinit`` has left.
    ``bindings``: channel bindings (RFC 5056) to bind contexts to, by default the channel's own if
    it has any; ``version`` 2 (RFC 5403) is tried if there are, and then 1.

    A context that the server does not know any more, or whose time is over, is replaced by
    another, once for each call. Raises ``UsageError`` for a service that there is not.
    """

    def __init__(
        self,
        target: str | None = None,
        service: str = "privacy",
        *,
        mechanism: str | None = None,
        principal: str | None = None,
        ccache: str | None = None,
        bindings: bytes | None = None,
        version: int | None = None,
    ) -> None:
        if version not in (None, RPCSEC_GSS_VERS_1, RPCSEC_GSS_VERS_2):
            raise UsageError(f"RPCSEC_GSS has versions 1 and 2, and no {version}")
        if bindings is not None and b":" not in bindings:
            raise UsageError("channel bindings begin with their prefix and a colon (RFC 5056)")
        self.target = target
        self.service = service
        self.number = service_number(service)
        self.mechanism = mechanism
        self.principal = principal
        self.ccache = ccache
        self.bindings = bindings
        self.version = version

    def session(self, host: str) -> GssSession:
        """What protects the calls of one channel, to a service on ``host``."""
        gss_api.api()
        return GssSession(self, self.target or f"host@{host or 'localhost'}")


class _Context:
    """A context, as its client has it."""

    def __init__(self, version: int, handle: bytes, protection: Protection, window: int) -> None:
        self.version = version
        self.window = max(1, window)
        self.handle = handle
        self.protection = protection
        self.used = 0  # the latest sequence number
        self.refused = False

    @property
    def over(self) -> bool:
        """Whether it can protect no more calls."""
        return self.refused or self.used >= MAXSEQ or self.protection.over


class GssSession:
    """The flavor of a channel: ``GssClient.session`` makes it. One thread uses it at a time."""

    def __init__(self, client: GssClient, target: str) -> None:
        self.client = client
        self.target = target
        self._context: _Context | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a context."""
        return self._context is not None and not self._context.over

    @property
    def window(self) -> int:
        """The server's."""
        return self._context.window if self._context is not None else 1

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call in the context that there is, with the next sequence number. Raises
        ``AuthError`` if there is none."""
        context = self._context
        if context is None:
            raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "there is no context yet")
        return _protected(context, self.client.number, header, arguments)

    def refused(self, stat: int) -> bool:
        """Whether another context may do better: the channel has tried, then."""
        return False

    def negotiate(self, bindings: bytes | None) -> Generator[Exchange, Any, None]:
        """As ``SessionFlavor`` has it: the legs to a new context, and the one that binds it."""
        bindings = self.client.bindings or bindings
        by_channel = self.client.number == RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT
        if by_channel and bindings is None:
            raise UsageError("this channel protects nothing: it has no channel bindings")
        version = self.client.version
        if version is None:
            version = RPCSEC_GSS_VERS_1 if bindings is None else RPCSEC_GSS_VERS_2
        try:
            context = yield from self._initiate(version)
        except AuthError as error:
            if version == RPCSEC_GSS_VERS_1 or by_channel or error.stat not in _ANOTHER_VERSION:
                raise
            context = yield from self._initiate(RPCSEC_GSS_VERS_1)
        if bindings is not None and context.version != RPCSEC_GSS_VERS_1:
            binding = _Binding(context, bindings)
            yield Exchange(_NULL, (), binding)
            if by_channel and not binding.bound:
                raise AuthError(AuthStat.AUTH_TOOWEAK, "the server does not bind to this channel")
        self._context = context

    def farewell(self) -> Exchange | None:
        """The call that has the server forget the context, if there is one."""
        context, self._context = self._context, None
        if context is None or context.over:
            return None
        return Exchange(_NULL, (), _Farewell(context))

    def _initiate(self, version: int) -> Generator[Exchange, Any, _Context]:
        client, target = self.client, self.target
        proc, handle, token, state = RpcGssProcT.RPCSEC_GSS_INIT, b"", None, None
        try:
            name = gss_api.service_name(target)
            mechanism = gss_api.mechanism(client.mechanism)
            credentials = gss_api.initiator(client.principal, client.ccache)
            for _ in range(MAX_LEGS):
                step = gss_api.initiate(name, mechanism, credentials, state, token)
                state = step.context
                # libtirpc's server takes the service of all calls from here.
                leg = _Leg(credential(version, proc, 0, client.number, handle))
                answer: RpcGssInitRes = yield Exchange(_INIT, (step.token,), leg)
                if answer.gss_major not in (gss_api.S_COMPLETE, gss_api.S_CONTINUE_NEEDED):
                    raise AuthError(
                        AuthStat.AUTH_FAILED,
                        f"{target}: the server makes no context: GSS-API status"
                        f" {answer.gss_major:#x}",
                    )
                proc, handle, token = (
                    RpcGssProcT.RPCSEC_GSS_CONTINUE_INIT,
                    answer.handle,
                    answer.gss_token,
                )
                if answer.gss_major == gss_api.S_COMPLETE:
                    if not step.done:
                        step = gss_api.initiate(name, mechanism, credentials, state, token)
                    if not step.done:
                        break
                    protection = Protection(step.context)
                    context = _Context(version, handle, protection, answer.seq_window)
                    # Who has it has proved to be the server (RFC 2203 section 5.2.3.1).
                    if leg.verifier.flavor != RPCSEC_GSS:
                        raise BadReply(f"{target}: the new context's window is not signed")
                    protection.check(word(answer.seq_window), leg.verifier.body)
                    return context
        except Failure as error:
            raise AuthError(AuthStat.AUTH_FAILED, f"{target}: {error}") from None
        raise AuthError(AuthStat.AUTH_FAILED, f"{target}: no context comes of it")


class _Opener:
    """What gets the reply to a call."""

    __slots__ = ("_context", "_number", "_service")

    def __init__(self, context: _Context, service: RpcGssServiceT, number: int) -> None:
        self._context = context
        self._service = service
        self._number = number

    def __call__(self, verifier: Auth, results: bytes) -> bytes:
        protection, service, number = self._context.protection, self._service, self._number
        try:
            if service != RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT:
                if verifier.flavor != RPCSEC_GSS:
                    raise BadReply(f"the reply's verifier is of flavor {verifier.flavor}")
                protection.check(word(number), verifier.body)
            data, start = opened(protection, service, number, results, 0)
        except Failure as error:
            raise BadReply(f"the reply is not what the server sent: {error}") from None
        return data[start:]

    def refused(self, stat: int) -> bool:
        """The server refused the call: whether another context may do better."""
        if stat not in _REPAIRED:
            return False
        self._context.refused = True
        return True


def _protected(
    context: _Context, service: RpcGssServiceT, header: bytes, arguments: bytes
) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
    protection = context.protection
    context.used = number = context.used + 1
    proc = RpcGssProcT.RPCSEC_GSS_DATA
    head = header + pack_auth(credential(context.version, proc, number, service, context.handle))
    try:
        if service == RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT:
            verifier = NO_AUTH
        else:
            verifier = Auth(RPCSEC_GSS, protection.sign(head))
        body = protected(protection, service, number, arguments)
    except Failure as error:
        context.refused = True
        raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, str(error)) from None
    return head + pack_auth(verifier) + body, _Opener(context, service, number)


class _Control:
    """The flavor of one call that is about a context."""

    def refused(self, stat: int) -> bool:
        """There is nothing else to try."""
        return False


class _Leg(_Control):
    """A leg; ``verifier`` is the reply's, which can be checked when there is a context."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self.verifier = NO_AUTH

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        return header + pack_auth(self._auth) + pack_auth(NO_AUTH) + arguments, self._open

    def _open(self, verifier: Auth, results: bytes) -> bytes:
        self.verifier = verifier
        return results


class _Binding(_Control):
    """Binds a context to a channel; ``bound`` says whether the server has."""

    def __init__(self, context: _Context, bindings: bytes) -> None:
        self._context = context
        self._bindings = bindings
        self.bound = False

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        context = self._context
        context.used = self._number = context.used + 1
        proc = RpcGssProcT.RPCSEC_GSS_BIND_CHANNEL
        auth = credential(context.version, proc, self._number, handle=context.handle)
        head = header + pack_auth(auth)
        verifier = asking(head, context.protection, self._bindings)
        return head + pack_auth(verifier) + arguments, self._open

    def _open(self, verifier: Auth, results: bytes) -> bytes:
        try:
            protection = self._context.protection
            self.bound = check_answer(verifier, self._number, protection, self._bindings)
        except Failure as error:
            raise BadReply(f"the channel's binding is not what the server sent: {error}") from None
        return results


class _Farewell(_Control):
    """Has the server forget a context."""

    def __init__(self, context: _Context) -> None:
        self._context = context

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        context = self._context
        context.used = number = context.used + 1
        proc, none = RpcGssProcT.RPCSEC_GSS_DESTROY, RpcGssServiceT.RPC_GSS_SVC_NONE
        head = header + pack_auth(credential(context.version, proc, number, none, context.handle))
        verifier = Auth(RPCSEC_GSS, context.protection.sign(head))
        return head + pack_auth(verifier) + arguments, _Opener(context, none, number)
