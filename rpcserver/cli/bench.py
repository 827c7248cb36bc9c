"""``rpcserver bench``"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

import rpcserver
from rpcserver import xdr
from rpcserver.auth.tls_settings import client_settings
from rpcserver.cli.options import (
    auth_options,
    compile_options,
    credentials,
    rpcbind_option,
    tls_client_options,
)
from rpcserver.cli.procedures import choose, values
from rpcserver.errors import TimedOut
from rpcserver.testing import load
from rpcserver.testing.load import Report

if TYPE_CHECKING:
    from rich.progress import Progress

BAR = 40
"""Characters of the longest bar"""


@click.command(context_settings={"ignore_unknown_options": True})  # -1 is an argument
@click.argument("target")
@click.argument("file", metavar="FILE.x")
@click.argument("procedure")
@click.argument("arguments", nargs=-1, metavar="[JSON]...")
@click.option(
    "-c",
    "--connections",
    type=click.IntRange(1, load.MAX_CONNECTIONS),
    default=1,
    show_default=True,
    help="How many.",
)
@click.option(
    "-d",
    "--depth",
    type=click.IntRange(1, load.MAX_DEPTH),
    default=1,
    show_default=True,
    help="Calls outstanding on each connection.",
)
@click.option(
    "-t",
    "--duration",
    type=click.FloatRange(0, load.MAX_SECONDS, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long.",
)
@click.option(
    "-s",
    "--size",
    type=click.IntRange(0, 64 << 20),
    metavar="BYTES",
    help="Fill opaques and strings that are left out with as many bytes.",
)
@click.option("--vers", type=int, help="The version. Default: the highest with that procedure.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=load.TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="When a call is given up.",
)
@auth_options
@rpcbind_option
@tls_client_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@compile_options
def bench(
    target: str,
    file: str,
    procedure: str,
    arguments: tuple[str, ...],
    connections: int,
    depth: int,
    duration: float,
    size: int | None,
    vers: int | None,
    timeout: float,
    auth: str,
    gss_name: str | None,
    rpcbind: str | None,
    tls: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_name: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Call PROCEDURE of the program in FILE.x over and over, and print how fast the answers are.

    TARGET, PROCEDURE and the JSON arguments are as for call; TARGET and FILE.x may change places.
    Each connection keeps --depth calls outstanding. Ctrl-C ends it; what was measured so far is
    printed. Load only what is yours to load.
    """
    if target.endswith(".x") and not file.endswith(".x"):
        target, file = file, target
    chosen = choose(rpcserver.load(file, **how), procedure, vers)
    given = values(chosen.procedure, arguments, size)
    who = credentials(auth, gss_name)
    with _bar(duration) as progress:
        try:
            report = load.bench(
                chosen.version,
                chosen.procedure,
                given,
                target,
                connections=connections,
                depth=depth,
                seconds=duration,
                timeout=timeout,
                credentials=who,
                rpcbind=rpcbind,
                tls=client_settings(tls, tls_ca, tls_cert, tls_key, tls_name),
                progress=_shown(progress, duration),
            )
        except xdr.XdrError as error:  # over a limit, which only the encoder looks at
            raise click.UsageError(str(error)) from None
    click.echo(json.dumps(report.as_json()) if as_json else "\n".join(_lines(report)))
    if not report.calls and not report.interrupted:
        raise report.first_error or TimedOut(f"{report.target}: no answer in {duration:g} seconds")


def _bar(duration: float) -> Progress:
    from rich.console import Console  # not for --help
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.fields[rate]:>12}"),
        BarColumn(BAR),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}", style="red"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _shown(progress: Progress, duration: float) -> Callable[[Report], None]:
    task = progress.add_task("", total=duration, rate="", errors="")

    def show(report: Report) -> None:
        failed = sum(report.errors.values())
        progress.update(
            task,
            completed=report.seconds,
            rate=f"{report.rate:,.0f} calls/s",
            errors=f"{failed:,} errors" if failed else "",
        )

    return show


def _lines(report: Report) -> Iterator[str]:
    shape = f"{report.connections} x {report.depth} (connections x calls outstanding)"
    yield f"{report.target}, {shape}{', interrupted' if report.interrupted else ''}"
    yield f"calls     {report.calls:,} in {report.seconds:.2f} s: {report.rate:,.0f} calls/s"
    for name, count in report.errors.most_common():
        first = f": {report.first_error}" if name == type(report.first_error).__name__ else ""
        yield f"errors    {count:,} {name}{first}"
    if report.unfinished:
        yield f"open      {report.unfinished:,} at the end"
    if not report.calls:
        return
    summary = report.latencies.summary()
    yield "latency   " + ", ".join(f"{name} {time(each)}" for name, each in summary.items())
    bins = report.latencies.histogram()
    most = max(count for _, _, count in bins)
    yield ""
    for low, high, count in bins:
        bar = "█" * round(BAR * count / most) or ("▏" if count else "")
        yield f"{time(low):>8} - {time(high):>8}  {count:>10,}  {bar}".rstrip()


def time(seconds: float) -> str:
    """Two or three digits that count, and the unit."""
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"
