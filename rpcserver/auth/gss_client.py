"""The client side of RPCSEC_GSS (RFC 2203; version 2: RFC 5403)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from rpcserver.auth import gss_api
from rpcserver.auth.gss_api import Failure, Protection
from rpcserver.auth.gss_calls import Binding, Context, Farewell, Leg, protect_call
from rpcserver.auth.gss_wire import (
    RPCSEC_GSS,
    credential,
    service_number,
    word,
)
from rpcserver.errors import AuthError, BadReply, UsageError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import (
    RPCSEC_GSS_VERS_1,
    RPCSEC_GSS_VERS_2,
    RpcGssInitRes,
    RpcGssProcT,
    RpcGssServiceT,
)
from rpcserver.rpc.flavor import Auth, Exchange
from rpcserver.rpc.version import Procedure
from rpcserver.xdr.types import Opaque, Void

MAX_LEGS = 16
"""Calls until there is a context; no mechanism that is known takes so many."""

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
    ``bindings``: channel bindings (RFC 5056) to bind contexts to, by default those of TLS, if the
    channel has it; ``version`` 2 (RFC 5403) is tried if there are, and then 1.

    A context that the server does not know any more, or whose time is over, is replaced by
    another: once for each call over a connection, some times over datagrams. Raises ``UsageError``
    for a service that there is not.
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
        if service == "channel" and version == RPCSEC_GSS_VERS_1:
            raise UsageError("version 1 of RPCSEC_GSS binds to no channel: leave out version")
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


class GssSession:
    """The flavor of a channel: ``GssClient.session`` makes it. One thread uses it at a time."""

    def __init__(self, client: GssClient, target: str) -> None:
        self.client = client
        self.target = target
        self._context: Context | None = None
        self._channel = client.bindings  # those of the connection that there is

    @property
    def ready(self) -> bool:
        """Whether there is a context for this connection."""
        context = self._context
        return context is not None and not context.over and not self._strays(context)

    def moved(self, bindings: bytes | None) -> None:
        """As ``SessionFlavor`` has it."""
        self._channel = self.client.bindings or bindings

    def _strays(self, context: Context) -> bool:
        """Whether it is bound to another channel, at whose end may be anybody."""
        return context.channel not in (None, self._channel)

    @property
    def window(self) -> int:
        """The server's."""
        return self._context.window if self._context is not None else 1

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call in the context that there is, with the next sequence number. Raises
        ``AuthError`` if there is none for this connection."""
        context = self._context
        if context is None or self._strays(context):
            raise AuthError(AuthStat.RPCSEC_GSS_CTXPROBLEM, "no context for this connection")
        return protect_call(context, self.client.number, header, arguments)

    def refused(self, stat: int) -> bool:
        """Whether another context may do better: the channel has tried, then."""
        return False

    def negotiate(self) -> Generator[Exchange, Any, None]:
        """As ``SessionFlavor`` has it: the legs to a new context, and the one that binds it."""
        bindings = self._channel
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
            yield Exchange(_NULL, (), Binding(context, bindings))
            if by_channel and context.channel is None:
                raise AuthError(AuthStat.AUTH_TOOWEAK, "the server does not bind to this channel")
        self._context = context

    def farewell(self) -> Exchange | None:
        """The call that has the server forget the context, if there is one."""
        context, self._context = self._context, None
        if context is None or context.over:
            return None
        return Exchange(_NULL, (), Farewell(context))

    def _initiate(self, version: int) -> Generator[Exchange, Any, Context]:
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
                leg = Leg(credential(version, proc, 0, client.number, handle))
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
                    context = Context(version, handle, protection, answer.seq_window)
                    # Who has it has proved to be the server (RFC 2203 section 5.2.3.1).
                    if leg.verifier.flavor != RPCSEC_GSS:
                        raise BadReply(f"{target}: the new context's window is not signed")
                    protection.check(word(answer.seq_window), leg.verifier.body)
                    return context
        except Failure as error:
            raise AuthError(AuthStat.AUTH_FAILED, f"{target}: {error}") from None
        raise AuthError(AuthStat.AUTH_FAILED, f"{target}: no context comes of it")
