"""Options and arguments that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

rpcbind_option = click.option(
    "--rpcbind",
    metavar="URL",
    help="The rpcbind to ask, tcp://HOST:111. Default: RPCSERVER_RPCBIND, else the host's own.",
)

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=25.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer.",
)

PROGRAMS = Path("/etc/rpc")
"""The system's list of program numbers: name, number, other names (rpc(5))"""


def program_names() -> dict[int, list[str]]:
    """The names that the system knows for program numbers, for each the usual one first."""
    try:
        lines = PROGRAMS.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[int, list[str]] = {}
    for line in lines:
        match line.partition("#")[0].split():
            case [name, number, *others] if number.isdecimal():
                found[int(number)] = [name, *others]
    return found


def program(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """A program's number from the number, in any base, or from a name that the system knows."""
    for number, names in program_names().items():
        if value in names:
            return number
    try:
        number = int(value, 0)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no number, and not in {PROGRAMS}") from None
    if not 0 <= number < 1 << 32:
        raise click.BadParameter(f"{value} is no program number: it must fit into 32 bits")
    return number
