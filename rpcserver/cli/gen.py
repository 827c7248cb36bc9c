"""``rpcserver gen``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpcserver import rpcgen
from rpcserver.cli.options import compile_options
from rpcserver.errors import UsageError
from rpcserver.rpcgen import project
from rpcserver.rpcgen.compiler import Options

_DEFAULTS: dict[str, Any] = {"include": (), "define": (), "names": "py", "strings": "utf-8"}


@click.command()
@click.argument("file", required=False, metavar="[FILE.x]")
@click.option(
    "-o",
    "--output",
    metavar="OUT.py",
    help="Where to write, - for stdout. Default: NAME.py in the current directory.",
)
@compile_options
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if anything is out of date.")
@click.option("--sample", is_flag=True, help="A service with every method to fill in.")
def gen(file: str | None, output: str | None, check: bool, sample: bool, **how: Any) -> None:
    """Compile FILE.x to Python, or without it all files of the project.

    These are in the table [tool.rpcserver.gen] of the nearest pyproject.toml, which has lines like
    "idl/*.x" = "generated/{name}.py". A sample is printed, or with -o written to a new file.
    """
    if sample and check:
        raise click.UsageError("--sample and --check exclude each other")
    if file is None:
        if output or sample or how != _DEFAULTS:
            raise click.UsageError("only --check goes without FILE.x")
        jobs = project_jobs()
    else:
        path = Path(file)
        jobs = [project.Job(path, Path(output or f"{project.module_name(path)}.py"), file)]
    options = Options(**how)
    if file and sample:
        _print_or_create(rpcgen.sample(file, **how), output)
    elif check:
        _check(jobs, options)
    elif file and output == "-":
        click.echo(rpcgen.compile_file(file, **how), nl=False)
    else:
        for job in jobs:
            if project.generate(job, options):
                click.echo(f"wrote {_shown(job.output)}")


def project_jobs() -> list[project.Job]:
    """The files of the project, for a verb that is given none."""
    pyproject = project.nearest_pyproject()
    if pyproject is None:
        raise UsageError("there is no pyproject.toml here or above: name a FILE.x")
    return project.project_jobs(pyproject)


def _check(jobs: list[project.Job], options: Options) -> None:
    reasons = [
        f"{_shown(job.output)} {reason}"
        for job in jobs
        if (reason := project.outdated(job, options))
    ]
    if reasons:
        raise UsageError("\n".join(["out of date, run `rpcserver gen`:", *reasons]))


def _shown(path: Path) -> Path:
    """A path as seen from here, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_or_create(text: str, output: str | None) -> None:
    """A sample is filled in by its user, so what is there already stays."""
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    path = Path(output)
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()  # a part of it would be in the way of the next try
                raise
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    click.echo(f"wrote {output}")
