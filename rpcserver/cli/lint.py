"""``rpcserver lint``"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from rpcserver import rpcgen
from rpcserver.cli.gen import project_jobs
from rpcserver.cli.options import read_options
from rpcserver.errors import IdlError
from rpcserver.rpcgen import project
from rpcserver.rpcgen.lint import RULES


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE.x]...")
@read_options
@click.option(
    "--ignore",
    multiple=True,
    type=click.Choice(list(RULES)),
    help="Do without this rule, and those of ignore in [tool.rpcserver.lint].",
)
@click.pass_context
def lint(
    ctx: click.Context,
    files: tuple[str, ...],
    include: tuple[str, ...],
    define: tuple[str, ...],
    ignore: tuple[str, ...],
) -> None:
    """Say what is legal in .x files and still unwise.

    Without FILE.x it reads all files of the project, as gen does. Exit status 1 if it finds
    anything.
    """
    pyproject = project.nearest_pyproject()
    ignored = {*ignore, *(project.lint_ignored(pyproject) if pyproject else [])}
    sources = [(Path(file), file) for file in files]
    found: set[str] = set()  # what several files include is found several times
    for path, shown in sources or [(job.source, job.shown) for job in project_jobs()]:
        findings: Sequence[IdlError]
        try:
            findings = rpcgen.findings(
                path, include=include, define=define, ignore=ignored, shown_path=shown
            )
        except IdlError as error:
            findings = [error]
        for line in map(str, findings):
            if line not in found:
                click.echo(line)
            found.add(line)
    ctx.exit(1 if found else 0)
