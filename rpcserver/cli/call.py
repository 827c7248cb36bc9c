"""``rpcserver call``"""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any, NamedTuple

import click

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.cli.options import compile_options, rpcbind_option, timeout_option


@click.command(context_settings={"ignore_unknown_options": True})  # -1 is an argument
@click.argument("file", metavar="FILE.x")
@click.argument("target")
@click.argument("procedure")
@click.argument("arguments", nargs=-1, metavar="[JSON]...")
@click.option("--vers", type=int, help="The version. Default: the highest with that procedure.")
@timeout_option
@click.option(
    "--auth",
    type=click.Choice(["none", "sys"]),
    default="none",
    show_default=True,
    help="Who to be: nobody, or this process's user and groups.",
)
@rpcbind_option
@compile_options
def call(
    file: str,
    target: str,
    procedure: str,
    arguments: tuple[str, ...],
    vers: int | None,
    timeout: float,
    auth: str,
    rpcbind: str | None,
    **how: Any,
) -> None:
    """Call PROCEDURE of the program in FILE.x, and print its result as JSON.

    TARGET is a URL (tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH), or a host, whose rpcbind is
    asked. PROCEDURE is the name in FILE.x or that of its method. Each argument is one JSON value:
    a struct is an object, an enum its member's name, opaque a hex string, a linked list an array,
    a union an object with the discriminant and the arm's member.
    """
    chosen = _choose(rpcserver.load(file, **how), procedure, vers)
    values = _values(chosen.procedure, arguments)

    class Caller(rpc.Client, version=chosen.version):
        pass

    with rpcserver.connect(
        Caller, target, timeout=timeout, credentials=auth, rpcbind=rpcbind
    ) as client:
        try:
            result = client.channel.call(chosen.version, chosen.procedure, values)
        except xdr.XdrError as error:  # over a limit, which only the encoder looks at
            raise click.UsageError(str(error)) from None
    click.echo(json.dumps(xdr.json.to_json(chosen.procedure.result, result)))


class _Choice(NamedTuple):
    version: type[rpc.Version]
    procedure: rpc.Procedure[Any]


def _choose(module: ModuleType, name: str, vers: int | None) -> _Choice:
    """The procedure of that name or method, in the highest version unless ``vers`` says which."""
    versions = [each for each in vars(module).values() if _is_version(each)]
    if vers is not None:
        numbers = sorted({each._vers for each in versions})
        versions = [each for each in versions if each._vers == vers]
        if not versions:
            raise click.UsageError(f"there is no version {vers}: there are {numbers}")
    everything = [
        _Choice(version, procedure)
        for version in versions
        for procedure in version._procedures.values()
    ]
    found = [each for each in everything if each.procedure.name == name]
    found = found or [each for each in everything if each.procedure.method == name]
    if not found:
        names = ", ".join(each.procedure.name for each in everything)
        raise click.UsageError(f"there is no procedure {name!r}: there are {names or 'none'}")
    programs = {each.version._prog for each in found}
    if len(programs) > 1:
        places = ", ".join(f"{each.procedure.name} of {each.version.__name__}" for each in found)
        raise click.UsageError(f"{name!r} could be {places}: give the name in the file")
    return max(found, key=lambda each: each.version._vers)


def _is_version(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, rpc.Version)


def _values(procedure: rpc.Procedure[Any], arguments: tuple[str, ...]) -> tuple[Any, ...]:
    wanted = procedure.arguments
    if len(arguments) != len(wanted):
        raise click.UsageError(f"{procedure.name} takes {len(wanted)} values, not {len(arguments)}")
    values = []
    for number, (designator, text) in enumerate(zip(wanted, arguments, strict=True)):
        place = f"args[{number}]" if len(wanted) > 1 else "args"  # as the codec says
        try:
            values.append(xdr.json.from_json(designator, json.loads(text)))
        except xdr.XdrError as error:
            raise click.UsageError(str(error.within(place))) from None
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"{place}: {text!r:.60} is no JSON: {error}") from None
    return tuple(values)
