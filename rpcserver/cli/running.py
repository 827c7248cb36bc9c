"""What the verbs that serve have in common: saying where, and ending when told."""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rpcserver.servers.server import Server

_SYSLOG = "/dev/log"


def log_to_syslog() -> None:
    """Log there, if there is one: what inetd has started has nowhere else to."""
    if os.path.exists(_SYSLOG):
        handler = logging.handlers.SysLogHandler(_SYSLOG)
        logging.basicConfig(level=logging.INFO, handlers=[handler])
    else:
        logging.basicConfig(handlers=[logging.NullHandler()])


def run(start: Callable[[], Server]) -> None:
    """Start a server and run it until SIGTERM or SIGINT.

    SIGHUP replaces the workers, if there are any; else it ends the server, too. ``listening URL``
    for each listener, then ``ready``, go to stdout; logs go to stderr.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Until there is a server to shut down, both signals interrupt what starts it, and that undoes
    # what it has done.
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        numbers.pop()  # nohup(1) means it
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        with start() as server:
            for number in before:
                signal.signal(number, lambda *_: server.shutdown())
            if reload := getattr(server, "reload", None):  # it has workers
                signal.signal(signal.SIGHUP, lambda *_: reload())
            for url in server.endpoints:
                click.echo(f"listening {url}")
            click.echo("ready")
            server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
