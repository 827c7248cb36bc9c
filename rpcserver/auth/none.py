"""AUTH_NONE: no credential (RFC 5531 section 10.1)."""

from __future__ import annotations

from collections.abc import Callable

from rpcserver.rpc.call import Connection, Peer
from rpcserver.rpc.flavor import AUTH_NONE, NO_AUTH, Accepted, Auth
from rpcserver.rpc.message import CallMessage, pack_auth

_AFTER_HEADER = pack_auth(NO_AUTH) * 2


class NoneServer:
    """Lets everybody in; ``call.credential`` is ``None``."""

    flavor = AUTH_NONE

    def accept(self, call: CallMessage, peer: Peer, connection: Connection | None) -> Accepted:
        """The call as it is."""
        return Accepted(None, call.record, call.start)


class NoneClient:
    """Calls without a credential."""

    def after_header(self) -> bytes:
        """No credential and no verifier, whatever the call."""
        return _AFTER_HEADER

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
