"""``rpcserver ping``"""

from __future__ import annotations

import click

from rpcserver.cli.options import program, rpcbind_option, timeout_option
from rpcserver.clients.connect import locate
from rpcserver.clients.connect import ping as null_call
from rpcserver.errors import ProgMismatch


@click.command()
@click.argument("target")
@click.argument("prog", callback=program)
@click.argument("vers", type=click.IntRange(min=0), required=False)
@timeout_option
@rpcbind_option
def ping(target: str, prog: int, vers: int | None, timeout: float, rpcbind: str | None) -> None:
    """Call procedure 0 of program PROG, which does nothing but answer.

    TARGET is a URL or a host, whose rpcbind is asked. Without VERS the program is asked which
    versions it has, and each of them is called.
    """

    def call(version: int) -> None:
        place = locate(target, prog, version, timeout=timeout, rpcbind=rpcbind)
        null_call(place, prog, version, timeout)
        click.echo(f"program {prog} version {version} at {place}: ready")

    if vers is not None:
        call(vers)
        return
    try:
        call(0)  # hardly ever a version, so that the answer says which there are
    except ProgMismatch as error:
        for version in range(error.low, error.high + 1):
            call(version)
