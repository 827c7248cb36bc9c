"""``rpcserver portmap``"""

from __future__ import annotations

import click

from rpcserver.cli.running import run
from rpcserver.servers.serve import serve_portmap


@click.command()
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where to listen; may be given several times. Default: TCP and UDP port 111 of"
    " 127.0.0.1 and, if it may be written, rpcbind's UNIX socket.",
)
def portmap(listen: tuple[str, ...]) -> None:
    """Run the embedded rpcbind, versions 2, 3 and 4, until SIGTERM or SIGINT.

    Every program of this host may register; whoever reaches it may ask.
    """
    run(lambda: serve_portmap(listen or None))
