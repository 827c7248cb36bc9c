"""``rpcserver info``"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from rpcserver.cli.options import program_names, rpcbind_option, timeout_option
from rpcserver.clients.finding import open_rpcbind
from rpcserver.rpcbind.netid import endpoint
from rpcserver.rpcbind.table import Registration


@click.command()
@click.argument("host", default="localhost")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@timeout_option
@rpcbind_option
def info(host: str, as_json: bool, timeout: float, rpcbind: str | None) -> None:
    """Show what is registered with the rpcbind of HOST, by default this one."""
    with open_rpcbind(rpcbind, host=host, timeout=timeout) as asked:
        entries = sorted(asked.dump(), key=lambda each: (each.prog, each.vers, each.netid))
    if as_json:
        click.echo(json.dumps([{**asdict(each), "url": _url(each)} for each in entries], indent=2))
    else:
        _print_table(entries)


def _print_table(entries: Sequence[Registration]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = program_names()
    table = Table(
        "program", "version", "netid", "address", "owner", "name", box=None, pad_edge=False
    )
    for each in entries:
        url = _url(each) or each.address
        cells = [str(each.prog), str(each.vers), each.netid, url, each.owner]
        # Text, since what an rpcbind tells is not markup.
        table.add_row(*(Text(_printable(cell)) for cell in [*cells, names.get(each.prog, [""])[0]]))
    console = Console()
    if not console.is_terminal:
        console.width = 1000  # for a program that reads it, a line is a line
    console.print(table)


def _url(entry: Registration) -> str | None:
    try:
        return str(endpoint(entry.netid, entry.address))
    except ValueError:
        return None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
