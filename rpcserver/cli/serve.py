"""``rpcserver serve``"""

from __future__ import annotations

import os
import sys

import click

import rpcserver
from rpcserver.cli.options import rpcbind_option
from rpcserver.cli.running import run
from rpcserver.servers.origin import load_service
from rpcserver.servers.serve import DEFAULT_KIND, KINDS, LISTEN


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="MODULE:NAME...")
@click.option(
    "--listen",
    multiple=True,
    default=LISTEN,
    show_default=True,
    metavar="URL",
    help="Where to listen: tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH; port 0 is any free one."
    " May be given several times.",
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
@rpcbind_option
@click.option("--replace", is_flag=True, help="Take the place of what is registered already.")
def serve(
    names: tuple[str, ...],
    listen: tuple[str, ...],
    no_register: bool,
    portmap: bool,
    kind: str,
    rpcbind: str | None,
    replace: bool,
) -> None:
    """Run services until SIGTERM or SIGINT.

    NAME is a service class, an instance of one, or a function that makes one, in MODULE, which is
    looked for in the current directory first.
    """
    if no_register and (portmap or replace):
        raise click.UsageError("--no-register leaves nothing to do for --portmap and --replace")
    sys.path.insert(0, os.getcwd())
    run(
        lambda: rpcserver.serve(
            *map(load_service, names),
            listen=listen,
            register=not no_register,
            portmap=portmap,
            kind=kind,
            rpcbind=rpcbind,
            replace=replace,
        )
    )
