"""A mix-in that turns callers away who are not on a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpcserver.rpc.access import Access
from rpcserver.servers.base import RpcServer


class AccessMixIn(RpcServer):
    """Put first, as ``ThreadingMixIn`` is.

    Class variables: ``access``, who may talk to the server, is asked before a byte is read;
    ``program_access``, program -> who may call it, is asked before its arguments are: a caller
    who may not gets AUTH_TOOWEAK.
    """

    access = Access()
    program_access: Mapping[int, Access] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.engine.access = {**self.engine.access, **self.program_access}

    def verify_request(self, request: Any, client_address: Any) -> bool:
        peer = self.peer_of(request, client_address)
        if not self.access.admits(peer):
            self.turned_away("access", peer, "turned away")
            return False
        return super().verify_request(request, client_address)
