"""Options and arguments that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

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

_TLS_CLIENT = (
    click.option(
        "--tls",
        type=click.Choice(["try", "require"]),
        help="Call with TLS (RFC 9289); try: in the clear if the server has none.",
    ),
    click.option(
        "--tls-ca",
        metavar="PATH",
        help="The CAs to trust, file or directory. Default: the system's.",
    ),
    click.option("--tls-cert", metavar="FILE", help="A certificate of our own."),
    click.option("--tls-key", metavar="FILE", help="Its key, if it is in another file."),
    click.option("--tls-name", metavar="NAME", help="What the server's certificate must be for."),
)


def tls_client_options(command: Command) -> Command:
    """How a verb that calls uses TLS: tls, tls_ca, tls_cert, tls_key, tls_name."""
    return _with(command, _TLS_CLIENT)


_TLS_SERVER = (
    click.option(
        "--tls",
        type=click.Choice(["require", "offer"]),
        help="Have calls come with TLS (RFC 9289), or let them. Default with --tls-cert: require.",
    ),
    click.option(
        "--tls-cert", metavar="FILE", help="The certificate chain; loaded again if changed."
    ),
    click.option("--tls-key", metavar="FILE", help="Its key, if it is in another file."),
    click.option(
        "--tls-ca",
        metavar="PATH",
        help="Ask clients for certificates of these CAs, and demand them.",
    ),
    click.option(
        "--tls-client-cert",
        type=click.Choice(["require", "optional"]),
        help="With --tls-ca: whether clients may do without. Default: require.",
    ),
)


def tls_server_options(command: Command) -> Command:
    """How a verb that serves uses TLS: settings of the server classes."""
    return _with(command, _TLS_SERVER)


_AUTH = (
    click.option(
        "--auth",
        type=click.Choice(["none", "sys", "krb5", "krb5i", "krb5p"]),
        default="none",
        show_default=True,
        help="Who to be: nobody, this process's user and groups, or who has the Kerberos ticket:"
        " calls with krb5i are signed, with krb5p encrypted.",
    ),
    click.option(
        "--gss-name",
        metavar="NAME",
        help="The service to prove it to, nfs@HOST or a principal. Default: host@HOST.",
    ),
)

_READ = (
    click.option(
        "-I", "include", multiple=True, metavar="DIR", help="Look for included files here."
    ),
    click.option("-D", "define", multiple=True, metavar="NAME[=VALUE]", help="Define a macro."),
)
_COMPILE = (
    *_READ,
    click.option(
        "--names", type=click.Choice(["py", "idl"]), default="py", help="idl keeps every spelling."
    ),
    click.option(
        "--strings",
        type=click.Choice(["utf-8", "latin-1", "bytes"]),
        default="utf-8",
        help="What strings become: str in UTF-8 (the default) or Latin-1, or bytes.",
    ),
)


def auth_options(command: Command) -> Command:
    """Who to be, for ``credentials``: auth, gss_name."""
    return _with(command, _AUTH)


def credentials(auth: str, gss_name: str | None) -> str:
    """What is meant by the two."""
    if gss_name is None:
        return auth
    if not auth.startswith("krb5"):
        raise click.UsageError(f"--gss-name is for Kerberos, not for --auth {auth}")
    return f"{auth}:{gss_name}"


def read_options(command: Command) -> Command:
    """How a verb reads a .x file: include, define."""
    return _with(command, _READ)


def compile_options(command: Command) -> Command:
    """How a verb compiles a .x file: include, define, names, strings."""
    return _with(command, _COMPILE)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


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
