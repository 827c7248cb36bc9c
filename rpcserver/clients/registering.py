"""Registering with rpcbind, staying registered, and undoing it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from functools import partial

from rpcserver.clients.connect import ping
from rpcserver.clients.finding import open_rpcbind
from rpcserver.errors import CallError, UsageError
from rpcserver.rpc.version import Version
from rpcserver.rpcbind.netid import Endpoint
from rpcserver.rpcbind.registration import Registrations

logger = logging.getLogger("rpcserver")

RPCBIND_TIMEOUT = 5.0
"""Seconds for an rpcbind on this host to answer."""


class Registered:
    """Versions at endpoints, as they are to be registered; ``register()`` does it.

    ``renew()``, called now and then, does it again after an rpcbind was restarted. ``undo()`` is
    also called when the interpreter exits. All of them are safe from any thread.
    """

    def __init__(
        self,
        versions: Iterable[type[Version]],
        endpoints: Iterable[Endpoint],
        *,
        rpcbind: str | None = None,
        replace: bool = False,
    ) -> None:
        self._versions = [(each._prog, each._vers) for each in versions]
        self._endpoints = list(endpoints)
        self._ours = Registrations(ping, replace)
        self._open = partial(open_rpcbind, rpcbind, for_registration=True, timeout=RPCBIND_TIMEOUT)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._over = False
        self._there = True  # whether rpcbind was, when it was asked last

    def register(self) -> None:
        """Register all or nothing.

        Raises ``NotReached`` if there is no rpcbind, ``UsageError`` if a living server is
        registered already (unless ``replace``), and any other ``CallError``.
        """
        with self._lock:
            atexit.register(self.undo)
            self._there = False
            with self._open() as asked:
                self._ours.register(asked, self._versions, self._endpoints)
            self._there = True

    def renew(self) -> None:
        """Register again what rpcbind has forgotten, or could not be told yet. Never raises."""
        with self._lock:
            if self._over:
                return
            try:
                with self._open() as asked:
                    if self._ours.empty:
                        self._ours.register(asked, self._versions, self._endpoints)
                        logger.info("registered with %s", asked.endpoint)
                    else:
                        self._ours.renew(asked)
                self._there = True
            except (CallError, UsageError) as error:
                # Said once, not with every attempt.
                level = logging.WARNING if self._there else logging.DEBUG
                self._there = False
                logger.log(level, "not registered: %s", error)

    def undo(self) -> None:
        """Remove what is registered and still ours. Never raises, and does it once."""
        atexit.unregister(self.undo)
        if os.getpid() != self._pid:
            return  # a child that somebody forked: what is registered is its parent's
        with self._lock:
            self._over = True
            if self._ours.empty:
                return
            try:
                with self._open() as asked:
                    self._ours.unregister(asked)
            except CallError as error:
                logger.warning("cannot unregister: %s", error)
