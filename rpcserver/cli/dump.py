"""``rpcserver dump``"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import rpcserver
from rpcserver.cli.options import compile_options
from rpcserver.errors import BadReply, UsageError
from rpcserver.rpcgen.names import Names


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--hex", "as_hex", is_flag=True, help="FILE holds hexadecimal digits, not bytes.")
@click.option("--idl", required=True, metavar="FILE.x", help="The file that defines the type.")
@click.option("--type", "kind", required=True, metavar="NAME", help="The type, as in FILE.x.")
@compile_options
def dump(file: str, as_hex: bool, idl: str, kind: str, **how: Any) -> None:
    """Take an encoded value apart: offsets, bytes, names and values.

    Exit status 4 if the bytes are not of the type; what could be read is shown before.
    """
    from rpcserver.xdr import label

    module = rpcserver.load(idl, **how)
    designator = getattr(module, Names().type(kind), None) or getattr(module, kind, None)
    if designator is None:
        raise UsageError(f"{idl} has no type {kind!r}")
    data = _read(file, as_hex)
    rows, _, error = label.take_apart(designator, data)
    for line in label.dump(rows, data):
        click.echo(line)
    if error is not None:
        raise BadReply(str(error))


def _read(file: str, as_hex: bool) -> bytes:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return bytes.fromhex(data.decode("ascii")) if as_hex else data
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file} does not hold hexadecimal digits: {error}") from None
