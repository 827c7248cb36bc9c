"""RPC-with-TLS: the AUTH_TLS call that starts it, for both sides (RFC 9289 section 4.1).

A client calls procedure 0 with a credential of flavor AUTH_TLS; a server with TLS answers with
the verifier ``STARTTLS``, and what comes next on the connection is TLS. The protocol inside of it
is the usual one. ``auth.tls_session`` does the TLS, ``auth.tls_settings`` knows the certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpcserver.auth.tls_peer import TlsInfo
from rpcserver.errors import AuthError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.dispatch import ServerEngine
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, Answered, Auth, ServerFlavor, Work
from rpcserver.rpc.message import CALL_HEADER, CallMessage, pack_auth
from rpcserver.rpc.plain import About, PlainCalls

AUTH_TLS = 7

STARTTLS = Auth(AUTH_NONE, b"STARTTLS")

_AGREED = bytes((0, 0, 0, 1, 0, 0, 0, 0)) + pack_auth(STARTTLS)  # REPLY, MSG_ACCEPTED, verifier


class StartingConnection(Connection):
    """A connection that TLS may start on; ``agreed``: it does, once the reply is out."""

    __slots__ = ("agreed",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.agreed = False


class StartTls:
    """The server side of the AUTH_TLS call."""

    flavor = AUTH_TLS

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Answered:
        """The answer that starts TLS.

        Inside of TLS it is the same, and starts nothing: what the Linux kernel's server says.
        Raises ``AuthError`` AUTH_BADCRED for another procedure than 0 or a credential with a
        body, AUTH_BADVERF for a verifier, AUTH_REJECTEDCRED where there is no connection.
        """
        if not isinstance(connection, StartingConnection):
            raise AuthError(AuthStat.AUTH_REJECTEDCRED, "no TLS over this transport")
        if call.proc != 0 or call.credential.body:
            raise AuthError(AuthStat.AUTH_BADCRED, "AUTH_TLS is for calls of procedure 0 alone")
        if call.verifier != NO_AUTH:
            raise AuthError(AuthStat.AUTH_BADVERF, "AUTH_TLS has no verifier")
        connection.agreed = True
        return Answered(b"", STARTTLS)


class TlsEngine(ServerEngine):
    """The engine of a listener with TLS; it shares everything else with ``engine``.

    ``required``: calls in the clear get AUTH_TOOWEAK. A call without a credential, over a
    connection whose other end has shown a certificate, has that as its credential.
    """

    def __init__(self, engine: ServerEngine, required: bool) -> None:
        vars(self).update(vars(engine))
        for made in ("plain", "plain_once"):
            vars(self).pop(made, None)
        self.flavors = {**engine.flavors, AUTH_TLS: StartTls()}
        self.required = required

    def _accept(
        self, call: CallMessage, peer: Peer, connection: Connection | None
    ) -> Accepted | Answered | Work | None:
        tls: TlsInfo | None = None if connection is None else connection.tls
        if tls is None and self.required and call.credential.flavor != AUTH_TLS:
            raise AuthError(AuthStat.AUTH_TOOWEAK, "a call in the clear")
        accepted = super()._accept(call, peer, connection)
        if (
            tls is not None
            and tls.credential is not None
            and call.credential.flavor == AUTH_NONE
            and isinstance(accepted, Accepted)
        ):
            accepted.credential, accepted.lasting = tls.credential, True
        return accepted

    def _plain(self, once: bool) -> Any:
        """As ``ServerEngine`` has it, for connections that it is allowed on."""
        clear, named = (self._plain_with(each, once) for each in (self.flavors, {}))
        return TlsPlainCalls(clear, named, self.required)

    def _plain_with(self, flavors: Mapping[int, ServerFlavor], once: bool) -> PlainCalls:
        other = ServerEngine.__new__(ServerEngine)
        vars(other).update(vars(self))
        other.flavors = flavors
        plain: PlainCalls = other._plain(once)
        return plain


class TlsPlainCalls:
    """Plain calls where TLS may start.

    ``clear`` answers those without a credential. ``named`` does not: over a connection with a
    certificate these have one, which is known after the first.
    """

    def __init__(self, clear: PlainCalls, named: PlainCalls, required: bool) -> None:
        self.clear = clear
        self._named = named
        self._required = required

    def answer(self, data: Any, start: int, end: int, about: About, until: float) -> Any:
        """As ``PlainCalls`` has it; so is the other."""
        calls = self._for(about)
        return (start, b"", None) if calls is None else calls.answer(data, start, end, about, until)

    def answer_one(self, record: Any, about: About, marked: bool) -> Any:
        calls = self._for(about)
        return None if calls is None else calls.answer_one(record, about, marked)

    def _for(self, about: About) -> PlainCalls | None:
        tls = None if about.connection is None else about.connection.tls
        if tls is None:
            return None if self._required else self.clear
        return self.clear if tls.credential is None else self._named


# --- the client's side ----------------------------------------------------------------------------


def start_call(xid: int, prog: int, vers: int) -> bytes:
    """The call that asks a server to start TLS."""
    header = CALL_HEADER.pack(xid, 0, 2, prog, vers, 0)
    return header + pack_auth(Auth(AUTH_TLS, b"")) + pack_auth(NO_AUTH)


def agrees(record: bytes, xid: int) -> bool:
    """Whether a reply to that call says that TLS starts. What else it says, if the program is not
    there for one, is for calls inside to find out."""
    return record[:4] == xid.to_bytes(4) and record[4 : 4 + len(_AGREED)] == _AGREED
