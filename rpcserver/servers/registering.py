"""A server and rpcbind: registered when it starts, renewed while it serves, undone at its end."""

from __future__ import annotations

import logging
import os

from rpcserver.clients.finding import RPCBIND_VARIABLE, open_rpcbind
from rpcserver.clients.registering import Registered
from rpcserver.errors import CallError, NotReached, UsageError
from rpcserver.rpcbind.netid import parse_url
from rpcserver.servers.server import Server

logger = logging.getLogger("rpcserver")


def register_server(
    server: Server,
    rpcbind: str | None,
    replace: bool,
    portmap: bool,
    failure: str | None,
    heartbeat: float,
) -> None:
    """Register what ``server`` serves, until it closes; the arguments are ``serve``'s.

    Raises ``UsageError`` if that cannot be done and is ``fatal``.
    """
    places = [parse_url(url) for url in server.endpoints]
    rpcbind = rpcbind or os.environ.get(RPCBIND_VARIABLE)
    if portmap and not _is_there(rpcbind):
        from rpcserver.servers.portmap import Portmapper  # few servers bring their own

        embedded = Portmapper([rpcbind] if rpcbind else None).start()
        server.on_close(embedded.close)
        rpcbind = embedded.endpoints[0]
        logger.info("an embedded rpcbind listens on %s", ", ".join(embedded.endpoints))
    ours = Registered(server.engine.versions, places, rpcbind=rpcbind, replace=replace)
    try:
        ours.register()
    except (CallError, UsageError) as error:
        if failure == "fatal" or (failure is None and not isinstance(error, NotReached)):
            raise UsageError(f"cannot register: {error}") from error
        level = logging.DEBUG if failure == "silent" else logging.WARNING
        logger.log(level, "not registered: %s", error)
    server.on_close(ours.undo)
    server.every(heartbeat, ours.renew)


def _is_there(rpcbind: str | None) -> bool:
    try:
        with open_rpcbind(rpcbind, for_registration=True):
            return True
    except NotReached:
        return False
