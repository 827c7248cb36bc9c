"""``rpcserver conform``"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import click

from rpcserver.cli.options import program, rpcbind_option
from rpcserver.conform import TIMEOUT, Result, run


def _bytes(ctx: click.Context, param: click.Parameter, value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


@click.command()
@click.argument("target")
@click.argument("prog", callback=program)
@click.argument("vers", type=click.IntRange(0, 0xFFFF_FFFF))
@click.option(
    "--procedure",
    type=click.IntRange(0, 0xFFFF_FFFF),
    metavar="N",
    help="A procedure to be called as well, often.",
)
@click.option(
    "--arguments",
    default="",
    callback=_bytes,
    metavar="HEX",
    help="Its arguments, encoded, which are known to be good.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer.",
)
@rpcbind_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_context
def conform(
    ctx: click.Context,
    target: str,
    prog: int,
    vers: int,
    procedure: int | None,
    arguments: bytes,
    timeout: float,
    rpcbind: str | None,
    as_json: bool,
) -> None:
    """Send good and bad bytes to a server, and hold its answers against the RFCs.

    TARGET is a URL or a host, whose rpcbind is asked; PROG and VERS are what is served there.
    Nothing but its procedure 0 is called, unless a procedure is given. Exit status 1 if any probe
    failed. Probe only what is yours to probe.
    """
    results = run(
        target,
        prog,
        vers,
        procedure=procedure,
        arguments=arguments,
        timeout=timeout,
        rpcbind=rpcbind,
    )
    found = list(_shown(results))
    if as_json:
        click.echo(json.dumps([each.as_json() for each in found], indent=2))
    else:
        _print_table(found)
    if not all(each.passed for each in found):
        ctx.exit(1)


def _shown(results: Iterable[Result]) -> Iterator[Result]:
    """The same, and on a terminal how far it is."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from results
        return
    with console.status("probing") as status:
        for each in results:
            status.update(f"probed: {each.probe.name}")
            yield each


def _print_table(results: Sequence[Result]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "probe", "section", "what came", "what may come", box=None, pad_edge=False)
    passed = sum(each.passed for each in results)
    for each in results:
        verdict = Text("passed", "green") if each.passed else Text("FAILED", "bold red")
        came, wanted = each.came, ""
        if not each.passed:
            came, wanted = each.wrong, each.wanted
        # Text, since what a server sends is not markup.
        table.add_row(verdict, each.probe.name, each.probe.section, Text(str(came)), wanted)
    console = Console()
    if not console.is_terminal:
        console.width = 1000  # for a program that reads it, a line is a line
    console.print(table)
    console.print(f"{passed} of {len(results)} probes passed")
