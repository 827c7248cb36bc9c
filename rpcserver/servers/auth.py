"""Mix-ins for authentication."""

from __future__ import annotations

import threading
import time
from typing import Any

from rpcserver.auth.policy import Policy
from rpcserver.auth.short import AUTH_SHORT, MAX_AGE, ShortTable
from rpcserver.auth.sys import ShortServer, SysServer
from rpcserver.servers.base import RpcServer


class SysMixIn(RpcServer):
    """Put first, as ``ThreadingMixIn`` is. What AUTH_SYS (RFC 5531 appendix A) gets.

    Class variables: ``sys_policy``, a function from credential and peer to ``call.credential``
    (``rpcserver.auth`` has some ready-made), called without ``self``; ``peer_credentials``,
    whether callers over UNIX sockets must be who the kernel says they are;
    ``short_credentials``, how many short ones (AUTH_SHORT) are known at the same time, 0 to hand
    out none, and ``short_max_age``, for how many seconds each is.
    """

    sys_policy: Policy | None = None
    peer_credentials = False
    short_credentials = 0
    """off: they save a few bytes, and who overhears one can use it as well as the whole"""
    short_max_age = MAX_AGE

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        size, short = self.short_credentials, None
        if size:
            short = ShortTable(size, time.monotonic, self.short_max_age, threading.Lock())
        policy = type(self).sys_policy  # not bound
        flavor = SysServer(policy, peer_credentials=self.peer_credentials, short=short)
        flavors = {**self.engine.flavors, flavor.flavor: flavor}
        if short is not None:
            flavors[AUTH_SHORT] = ShortServer(flavor)
        self.engine.flavors = flavors
