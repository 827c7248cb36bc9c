"""Procedures and their arguments, as they are named and written on the command line."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any, NamedTuple

import click

from rpcserver import rpc, xdr
from rpcserver.xdr import schema as s
from rpcserver.xdr.schema import Schema, schema_of


class Choice(NamedTuple):
    """A procedure, and the version that has it."""

    version: type[rpc.Version]
    procedure: rpc.Procedure[Any]


def choose(module: ModuleType, name: str, vers: int | None) -> Choice:
    """The procedure of that name or method, in the highest version unless ``vers`` says which."""
    versions = [each for each in vars(module).values() if _is_version(each)]
    if vers is not None:
        numbers = sorted({each._vers for each in versions})
        versions = [each for each in versions if each._vers == vers]
        if not versions:
            raise click.UsageError(f"there is no version {vers}: there are {numbers}")
    everything = [
        Choice(version, procedure)
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


def values(
    procedure: rpc.Procedure[Any], arguments: tuple[str, ...], size: int | None = None
) -> tuple[Any, ...]:
    """The arguments from their JSON. With ``size``, opaques and strings that are left out, as
    arguments or as members of structs, are filled with so many bytes."""
    wanted = procedure.arguments
    filler = None if size is None else _Filler(size)
    if filler is not None:
        arguments = filler.arguments(procedure, arguments)
    if len(arguments) != len(wanted):
        raise click.UsageError(f"{procedure.name} takes {len(wanted)} values, not {len(arguments)}")
    found = []
    for number, (designator, text) in enumerate(zip(wanted, arguments, strict=True)):
        place = f"args[{number}]" if len(wanted) > 1 else "args"  # as the codec says
        try:
            data = json.loads(text)
            if filler is not None:
                filler.members(schema_of(designator), data)
            found.append(xdr.json.from_json(designator, data))
        except xdr.XdrError as error:
            raise click.UsageError(str(error.within(place))) from None
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"{place}: {text!r:.60} is no JSON: {error}") from None
    if filler is not None and not filler.used:
        raise click.UsageError("--size fills an opaque or string that is left out: there is none")
    return tuple(found)


class _Filler:
    """Fills in, as JSON, what is left out and is an opaque or a string."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = False

    def arguments(self, procedure: rpc.Procedure[Any], given: tuple[str, ...]) -> tuple[str, ...]:
        """The arguments with those that are left out: the first ones that can be."""
        missing = len(procedure.arguments) - len(given)
        rest = list(given)
        found = []
        for designator in procedure.arguments:
            schema = schema_of(designator)
            if missing > 0 and schema[0] in (s.OPAQUE, s.STRING, s.STRUCT):
                missing -= 1
                found.append("{}" if schema[0] == s.STRUCT else json.dumps(self._payload(schema)))
            elif rest:
                found.append(rest.pop(0))
        return (*found, *rest)

    def members(self, schema: Schema, data: Any) -> None:
        """Add the members that are left out to a struct's object."""
        if schema[0] != s.STRUCT or not isinstance(data, dict):
            return
        for name, field in zip(schema[2], schema[3], strict=True):
            if name in data:
                self.members(field, data[name])
            elif field[0] in (s.OPAQUE, s.STRING):
                data[name] = self._payload(field)

    def _payload(self, schema: Schema) -> str:
        self.used = True
        return ("78" if schema[0] == s.OPAQUE else "x") * self.size
