"""``rpcserver serve``"""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import Any

import click

import rpcserver
from rpcserver.auth.policy import all_squash, root_squash
from rpcserver.cli.options import rpcbind_option, tls_server_options
from rpcserver.cli.running import log_to_syslog, run
from rpcserver.rpc import Access
from rpcserver.servers.inherited import from_inetd, from_systemd
from rpcserver.servers.origin import load_service
from rpcserver.servers.serve import DEFAULT_KIND, LISTEN, REGISTRATION_FAILURES
from rpcserver.servers.server import KINDS

INETD_IDLE_EXIT = 120.0
"""Seconds: what rpcgen -K has by default."""

SQUASHES = {"root": root_squash(), "all": all_squash()}


_LIMIT = re.compile(r"(max_\w+|\w+_timeout|time_limit)=(\d+)(\.\d+)?")


def _limits(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for text in given:
        match = _LIMIT.fullmatch(text)
        if match is None:
            raise click.BadParameter(f"{text!r} is not like max_connections=100 or idle_timeout=60")
        name, whole, part = match.groups()
        found[name] = float(whole + part) if part else int(whole)
    return found


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="MODULE:NAME...")
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where to listen: tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH, unixgram:///PATH; port 0"
    " is any free one. May be given several times. By default: the sockets that systemd passes"
    f" (LISTEN_FDS), else {' and '.join(LISTEN)}.",
)
@click.option(
    "--registration",
    type=click.Choice(REGISTRATION_FAILURES),
    help="What it is if rpcbind cannot be told. By default: a warning where none runs, else fatal.",
)
@click.option("--no-register", is_flag=True, help="Tell no rpcbind.")
@click.option("--portmap", is_flag=True, help="Run the embedded rpcbind, too, if there is none.")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default=DEFAULT_KIND,
    show_default=True,
    help="How calls share the process.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Serve in N processes; SIGHUP replaces them one by one.",
)
@click.option(
    "--reuse-port", is_flag=True, help="Give each worker a TCP socket of its own (SO_REUSEPORT)."
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NETWORK",
    help="Serve only callers of 192.0.2.0/24, ::1, ... May be given several times.",
)
@click.option(
    "--privileged-port", is_flag=True, help="Serve only callers whose port is below 1024."
)
@click.option(
    "--squash",
    type=click.Choice(list(SQUASHES)),
    help="Serve user and group 0 of AUTH_SYS as nobody, or all users.",
)
@click.option(
    "--peer-credentials",
    is_flag=True,
    help="Over UNIX sockets, have AUTH_SYS callers be who the kernel says they are.",
)
@click.option(
    "--short-credentials",
    type=click.IntRange(1),
    metavar="N",
    help="Hand out short credentials (AUTH_SHORT), and know N of them.",
)
@click.option(
    "--gss",
    metavar="NAME",
    help="Take callers who prove with Kerberos who they are, as the service NAME (nfs@HOST), or as"
    " any whose key the keytab has: any.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    callback=_limits,
    metavar="NAME=NUMBER",
    help="Another value for a limit of the server classes, max_connections=100, idle_timeout=60."
    " May be given several times.",
)
@click.option(
    "--reply-cache/--no-reply-cache",
    default=None,
    help="Answer a call that comes again with the reply it had, and do not run it again. By"
    " default: for datagrams.",
)
@click.option(
    "--inetd",
    is_flag=True,
    help="Serve the socket that inetd passes as standard input, and register nothing.",
)
@click.option(
    "--idle-exit",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End after that time without a request. With --inetd, by default 120.",
)
@tls_server_options
@rpcbind_option
@click.option("--replace", is_flag=True, help="Take the place of what is registered already.")
def serve(
    names: tuple[str, ...],
    listen: tuple[str, ...],
    registration: str | None,
    no_register: bool,
    portmap: bool,
    kind: str,
    workers: int | None,
    reuse_port: bool,
    allow: tuple[str, ...],
    privileged_port: bool,
    squash: str | None,
    peer_credentials: bool,
    short_credentials: int | None,
    gss: str | None,
    limits: dict[str, int | float],
    reply_cache: bool | None,
    inetd: bool,
    idle_exit: float | None,
    rpcbind: str | None,
    replace: bool,
    **tls: str | None,
) -> None:
    """Run services until SIGTERM or SIGINT.

    NAME is a service class, an instance of one, or a function that makes one, in MODULE, which is
    looked for in the current directory first.
    """
    if no_register and (portmap or replace or registration):
        raise click.UsageError(
            "--no-register leaves nothing to do for --portmap, --replace and --registration"
        )
    settings: dict[str, Any] = {"allow_reuse_port": True} if reuse_port else {}
    settings |= limits
    if allow or privileged_port:
        settings["access"] = Access(allow or None, privileged_port=privileged_port)
    if squash:
        settings["sys_policy"] = SQUASHES[squash]
    if peer_credentials:
        settings["peer_credentials"] = True
    if short_credentials:
        settings["short_credentials"] = short_credentials
    if reply_cache is not None:
        settings["reply_cache"] = reply_cache
    settings |= {name: value for name, value in tls.items() if value is not None}
    if gss is not None:
        settings["gss"] = True if gss == "any" else gss
    if inetd and (portmap or replace or workers or listen):
        raise click.UsageError("with --inetd there is one socket, and nothing to register")
    sys.path.insert(0, os.getcwd())
    places: list[str | socket.socket] = list(listen)
    if inetd:
        places = [from_inetd()]
        log_to_syslog()
        idle_exit = idle_exit or INETD_IDLE_EXIT
    run(
        lambda: rpcserver.serve(
            *map(load_service, names),
            listen=places or from_systemd() or LISTEN,
            register=registration or not (no_register or inetd),
            portmap=portmap,
            kind=kind,
            workers=workers,
            idle_exit=idle_exit,
            **settings,
            rpcbind=rpcbind,
            replace=replace,
        )
    )
