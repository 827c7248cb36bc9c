"""The embedded rpcbind, as a server."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from rpcserver.clients.blocking import open_channel
from rpcserver.clients.connect import ping
from rpcserver.clients.finding import RPCBIND_SOCKET
from rpcserver.clients.raw import forward
from rpcserver.errors import UsageError
from rpcserver.protocols.rpcb_prot import RPCB_PORT
from rpcserver.rpcbind import state as saved
from rpcserver.rpcbind.forwarding import Forwarder
from rpcserver.rpcbind.netid import Endpoint, parse_url
from rpcserver.rpcbind.probing import Prober
from rpcserver.rpcbind.service import register_self, services
from rpcserver.rpcbind.table import Table
from rpcserver.servers import methods, sockets
from rpcserver.servers.serve import DEFAULT_KIND
from rpcserver.servers.server import Server

logger = logging.getLogger("rpcserver")

PROBE = 30.0
"""Seconds between looks whether what is registered is still there."""


class Portmapper(Server):
    """Program 100000 in the versions 2, 3 and 4 (RFC 1833).

    ``listen``: URLs, by default port 111 of 127.0.0.1 and, where this process may write it,
    rpcbind's UNIX socket. Only processes on this host may register. ``kind``: one that serves
    in this process, so not ``forks``. ``probe``: seconds between looks whether local registrations
    still answer; who twice does not is dropped; ``None``: never. ``state``: a file that keeps
    what is registered over a restart. ``forward_calls``: pass calls on to other programs (CALLIT,
    BCAST, INDIRECT), at most fifty a second. Raises ``UsageError``.
    """

    def __init__(
        self,
        listen: Sequence[str] | None = None,
        kind: str = DEFAULT_KIND,
        *,
        probe: float | None = PROBE,
        state: str | os.PathLike[str] | None = None,
        forward_calls: bool = False,
    ) -> None:
        if kind == "forks":
            raise UsageError("an rpcbind has one table, in one process: kind forks has many")
        self.table = Table()
        if state is not None:
            self._keep(Path(state))
        forwarder = (
            Forwarder(self.table, forward, sockets.is_own_address) if forward_calls else None
        )
        engine = methods.engine_for(services(self.table, forwarder))
        super().__init__(engine, listen or _default_urls(), kind)
        places = [parse_url(url) for url in self.endpoints]
        for place in places:
            if not place.internet:
                os.chmod(place.path, 0o666)  # all may ask; who may change what, the table says
        register_self(self.table, places)
        if probe is not None:
            prober = Prober(self.table, _ask, sockets.is_own_address)
            self.every(probe, prober.look)

    def _keep(self, path: Path) -> None:
        for entry in saved.load(path):
            self.table.set(entry)
        lock = threading.Lock()

        def save() -> None:
            with lock:
                try:
                    saved.save(path, self.table.dump())
                except OSError as error:
                    logger.error("the registrations cannot be saved: %s", error)

        self.table.on_change = save


def _ask(place: Endpoint, prog: int, vers: int) -> None:
    """Whether somebody is there. To a UNIX socket, which may be anybody's, nothing is sent."""
    if place.internet:
        ping(place, prog, vers)
    else:
        open_channel(place).close()


def _default_urls() -> list[str]:
    urls = [f"{transport}://127.0.0.1:{RPCB_PORT}" for transport in ("tcp", "udp")]
    writable = os.access(os.path.dirname(RPCBIND_SOCKET), os.W_OK)
    return [*urls, f"unix://{RPCBIND_SOCKET}"] if writable else urls
