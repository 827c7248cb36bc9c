"""``rpcserver`` on the command line: one file per verb, no logic that a library user could want.

Exit status: 0; 1 a wrong ``.x`` or a local mistake; 2 a wrong command line; 3 not reached or timed
out; 4 an answer not understood; and when the server refused, 64 for RPC_MISMATCH, 64 + accept_stat
or 80 + auth_stat.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from rpcserver import __version__, errors

VERBS = {
    "gen": "Compile .x files to Python.",
    "lint": "Say what is legal in .x files and still unwise.",
    "serve": "Run services.",
    "call": "Call a procedure; its result is printed as JSON.",
    "bench": "Call a procedure over and over; how fast the answers are.",
    "portmap": "Run the embedded rpcbind.",
    "info": "Show what is registered with an rpcbind.",
    "ping": "Call procedure 0 of a program.",
    "conform": "Hold a server's answers against the RFCs.",
    "dump": "Take an encoded value apart.",
}

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Verbs(click.Group):
    """The verbs, each imported when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"rpcserver.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except errors.RpcServerError as error:
            shown = str(error) if isinstance(error, errors.IdlError) else f"Error: {error}"
            click.echo(shown, err=True)
            ctx.exit(exit_status(error))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left
            click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
            ctx.exit(1)


def exit_status(error: errors.RpcServerError) -> int:
    """The exit status for what a verb ended with."""
    match error:
        case errors.NotReached() | errors.TlsError() | errors.TimedOut():
            return 3
        case errors.BadReply():
            return 4
        case errors.AuthError(stat=stat):
            return 80 + stat
        case errors.Refused(status=status):  # RPC_MISMATCH has status 0
            return 64 + status
    return 1


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from rpcserver.xdr import codec_name

        click.echo(f"rpcserver {__version__} (codec: {codec_name()})")
        ctx.exit()


@click.command(cls=Verbs)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version, and which codec runs.",
)
def main() -> None:
    """Sun RPC / ONC RPC services and clients from .x files."""
