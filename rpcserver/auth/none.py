"""AUTH_NONE: no credential (RFC 5531 section 10.1)."""

from __future__ import annotations

from collections.abc import Callable

from rpcserver.errors import AuthError
from rpcserver.protocols.rpc_msg import AuthStat
from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, AfterHeader, Auth
from rpcserver.rpc.message import CallMessage, pack_auth

_AFTER_HEADER = pack_auth(NO_AUTH) * 2


class NoneServer:
    """Lets everybody in; ``call.credential`` is ``None``."""

    flavor = AUTH_NONE

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Accepted:
        """The call as it is. Raises ``AuthError`` AUTH_BADVERF for a verifier of another
        flavor."""
        if call.verifier.flavor != AUTH_NONE:
            raise AuthError(AuthStat.AUTH_BADVERF, f"a verifier of flavor {call.verifier.flavor}")
        return Accepted(None, call.record, call.start)


class NoneClient:
    """Calls without a credential."""

    def after_header(self, oneway: bool) -> AfterHeader:
        """No credential and no verifier, whatever the call."""
        return _AFTER_HEADER, None

    def protect(
        self, header: bytes, arguments: bytes
    ) -> tuple[bytes, Callable[[Auth, bytes], bytes]]:
        """The call as it is."""
        return header + _AFTER_HEADER + arguments, plain

    def refused(self, stat: int) -> bool:
        """There is nothing else to try."""
        return False


def plain(verifier: Auth, results: bytes) -> bytes:
    """Results that nothing protects; the verifier says nothing."""
    return results
