"""``rpcserver portmap``"""

from __future__ import annotations

import click

from rpcserver.cli.running import run
from rpcserver.servers.portmap import Portmapper


@click.command()
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Where to listen; may be given several times. Default: TCP and UDP port 111 of"
    " 127.0.0.1 and, if it may be written, rpcbind's UNIX socket.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep what is registered there, over a restart.",
)
@click.option(
    "--forward-calls",
    is_flag=True,
    help="Pass calls on to other programs (CALLIT, BCAST, INDIRECT), fifty a second at most.",
)
def portmap(listen: tuple[str, ...], state: str | None, forward_calls: bool) -> None:
    """Run the embedded rpcbind, versions 2, 3 and 4, until SIGTERM or SIGINT.

    Every program of this host may register; whoever reaches it may ask. What does not answer any
    more is dropped after a minute at most.
    """
    run(lambda: Portmapper(listen or None, state=state, forward_calls=forward_calls))
