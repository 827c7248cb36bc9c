"""Calls of RPCSEC_GSS as a client makes them: for a service, and about a context."""

from __future__ import annotations

from collections.abc import Callable

from rpcserver.auth.gss_api import Failure, Protection
from rpcserver.auth.gss_binding import asking, check_answer
from rpcserver.auth.gss_wire import RPCSEC_GSS, credential, opened, protected, word
from rpcserver.errors import AuthError, BadReply
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.protocols.rpcsec_gss import MAXSEQ, RpcGssProcT, RpcGssServiceT
from rpcserver.rpc.flavor import NO_AUTH, Auth
from rpcserver.rpc.message import pack_auth

REPAIRED = (AuthStat.RPCSEC_GSS_CREDPROBLEM, AuthStat.RPCSEC_GSS_CTXPROBLEM)
"""for which another context may do better"""

_NOT_THE_SERVERS = "the reply is not what the server sent"


class Context:
    """A context, as its client has it."""

    def __init__(self, version: int, handle: bytes, protection: Protection, window: int) -> None:
        self.version = version
        self.window = max(1, window)
        self.handle = handle
        self.protection = protection
        self.used = 0  # the latest sequence number
        self.refused = False
        self.channel: bytes | None = None  # the bindings of what it is bound to

    @property
    def over(self) -> bool:
        """Whether it can protect no more calls."""
        return self.refused or self.used >= MAXSEQ or self.protection.over


class Opener:
    """What gets the reply to a call."""

    __slots__ = ("_context", "_number", "_service")

    def __init__(self, context: Context, service: RpcGssServiceT, number: int) -> None:
        self._context = context
        self._service = service
        self._number = number

    def __call__(self, verifier: Auth, results: bytes) -> bytes:
        self.check(verifier)
        protection, service, number = self._context.protection, self._service, self._number
        try:
            data, start = opened(protection, service, number, results, 0)
        except Failure as error:
            raise BadReply(f"{_NOT_THE_SERVERS}: {error}") from None
        return data[start:]

    def check(self, verifier: Auth) -> None:
        """Raises ``BadReply`` for the verifier of a reply that the server did not send."""
        if self._service == RpcGssServiceT.RPC_GSS_SVC_CHANNEL_PROT:
            return
        if verifier.flavor != RPCSEC_GSS:
            raise BadReply(f"the reply's verifier is of flavor {verifier.flavor}")
        try:
            self._context.protection.check(word(self._number), verifier.body)
        except Failure as error:
            raise BadReply(f"{_NOT_THE_SERVERS}: {error}") from None

    def refused(self, stat: int) -> bool:
        """The server refused the call: whether another context may do better."""
        if stat not in REPAIRED:
            return False
        self._context.refused = True
        return True


def protect_call(
    context: Context, service: RpcGssServiceT, header: bytes, arguments: bytes
) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
    """The call with the next sequence number, and what opens its reply. Raises ``AuthError``."""
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
    return head + pack_auth(verifier) + body, Opener(context, service, number)


class Control:
    """The flavor of one call that is about a context."""

    def refused(self, stat: int) -> bool:
        """There is nothing else to try."""
        return False


class Leg(Control):
    """A leg; ``verifier`` is the reply's, which can be checked when there is a context."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self.verifier = NO_AUTH

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """As ``ClientFlavor`` has it."""
        return header + pack_auth(self._auth) + pack_auth(NO_AUTH) + arguments, self._open

    def _open(self, verifier: Auth, results: bytes) -> bytes:
        self.verifier = verifier
        return results


class Binding(Control):
    """Binds a context to a channel, if the server does, too."""

    def __init__(self, context: Context, bindings: bytes) -> None:
        self._context = context
        self._bindings = bindings

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """As ``ClientFlavor`` has it."""
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
            if check_answer(verifier, self._number, protection, self._bindings):
                self._context.channel = self._bindings
        except Failure as error:
            raise BadReply(f"the channel's binding is not what the server sent: {error}") from None
        return results


class Farewell(Control):
    """Has the server forget a context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """As ``ClientFlavor`` has it."""
        context = self._context
        context.used = number = context.used + 1
        proc, none = RpcGssProcT.RPCSEC_GSS_DESTROY, RpcGssServiceT.RPC_GSS_SVC_NONE
        head = header + pack_auth(credential(context.version, proc, number, none, context.handle))
        verifier = Auth(RPCSEC_GSS, context.protection.sign(head))
        return head + pack_auth(verifier) + arguments, Opener(context, none, number)
