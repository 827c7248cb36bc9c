"""``rpcserver call``"""

from __future__ import annotations

import json
from typing import Any

import click

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.cli.options import (
    auth_options,
    compile_options,
    credentials,
    rpcbind_option,
    timeout_option,
    tls_client_options,
)
from rpcserver.cli.procedures import choose, values


@click.command(context_settings={"ignore_unknown_options": True})  # -1 is an argument
@click.argument("file", metavar="FILE.x")
@click.argument("target")
@click.argument("procedure")
@click.argument("arguments", nargs=-1, metavar="[JSON]...")
@click.option("--vers", type=int, help="The version. Default: the highest with that procedure.")
@timeout_option
@auth_options
@rpcbind_option
@tls_client_options
@compile_options
def call(
    file: str,
    target: str,
    procedure: str,
    arguments: tuple[str, ...],
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
    **how: Any,
) -> None:
    """Call PROCEDURE of the program in FILE.x, and print its result as JSON.

    TARGET is a URL (tcp://HOST:PORT, udp://HOST:PORT, unix:///PATH), or a host, whose rpcbind is
    asked. PROCEDURE is the name in FILE.x or that of its method. Each argument is one JSON value:
    a struct is an object, an enum its member's name, opaque a hex string, a linked list an array,
    a union an object with the discriminant and the arm's member.
    """
    chosen = choose(rpcserver.load(file, **how), procedure, vers)
    given = values(chosen.procedure, arguments)

    class Caller(rpc.Client, version=chosen.version):
        pass

    with rpcserver.connect(
        Caller,
        target,
        timeout=timeout,
        credentials=credentials(auth, gss_name),
        rpcbind=rpcbind,
        tls=tls,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_name=tls_name,
    ) as client:
        try:
            result = client.channel.call(chosen.version, chosen.procedure, given)
        except xdr.XdrError as error:  # over a limit, which only the encoder looks at
            raise click.UsageError(str(error)) from None
    click.echo(json.dumps(xdr.json.to_json(chosen.procedure.result, result)))
