"""``rpcserver serve``"""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from operator import attrgetter
from typing import Any

import click

import rpcserver
from rpcserver.cli.options import rpcbind_option
from rpcserver.cli.running import run
from rpcserver.errors import UsageError
from rpcserver.rpc import Service
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


def load_service(place: str) -> Service:
    """The service that ``MODULE:NAME`` means.

    Raises ``UsageError`` if there is none; what the user's own code raises is passed on.
    """
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise UsageError(f"{place!r} is not MODULE:NAME")
    found: Any = _module(module_name)
    try:
        found = attrgetter(name)(found)
    except AttributeError:
        raise UsageError(f"module {module_name!r} has no {name!r}") from None
    if isinstance(found, type) or not isinstance(found, Service):
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place} cannot be called without arguments: {error}") from None
        found = found()
    if not isinstance(found, Service):
        raise UsageError(f"{place} is no service, nor does it make one: {found!r:.80}")
    return found


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Not a module that this one imports.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"there is no module {name!r} here or on Python's path") from None
