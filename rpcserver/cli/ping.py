"""``rpcserver ping``"""

from __future__ import annotations

import click

from rpcserver.auth.tls_settings import client_settings
from rpcserver.cli.options import program, rpcbind_option, timeout_option, tls_client_options
from rpcserver.clients.connect import ping as null_call
from rpcserver.clients.finding import given_endpoint, locate
from rpcserver.errors import ProgMismatch

MAX_VERSIONS = 100
"""How many versions are called at most: a server may claim to have any number."""


@click.command()
@click.argument("target")
@click.argument("prog", callback=program)
@click.argument("vers", type=click.IntRange(0, 0xFFFF_FFFF), required=False)
@timeout_option
@rpcbind_option
@tls_client_options
def ping(
    target: str,
    prog: int,
    vers: int | None,
    timeout: float,
    rpcbind: str | None,
    tls: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_name: str | None,
) -> None:
    """Call procedure 0 of program PROG, which does nothing but answer.

    TARGET is a URL or a host, whose rpcbind is asked. Without VERS the program is asked which
    versions it has, and each of them is called.
    """

    settings = client_settings(tls, tls_ca, tls_cert, tls_key, tls_name)
    named = given_endpoint(target) is not None

    def ready(version: int) -> None:
        place = locate(target, prog, version, timeout=timeout, rpcbind=rpcbind)
        null_call(place, prog, version, timeout, settings, None if named else target)
        click.echo(f"program {prog} version {version} at {place}: ready")

    def is_ready(version: int) -> bool:
        try:
            ready(version)
        except ProgMismatch:  # low and high do not tell of gaps between them
            return False
        return True

    if vers is not None:
        ready(vers)
        return
    try:
        ready(0)  # hardly ever a version, so that the answer says which there are
    except ProgMismatch as error:
        last = min(error.high, error.low + MAX_VERSIONS - 1)
        if not sum(is_ready(version) for version in range(error.low, last + 1)):
            raise
