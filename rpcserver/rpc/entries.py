"""What answers the calls for a service's procedures: a table, made once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from rpcserver.errors import UsageError
from rpcserver.rpc.counters import UNKNOWN, Row
from rpcserver.rpc.demands import Demand, demands_of
from rpcserver.rpc.version import Procedure, Service, Version
from rpcserver.xdr.types import Void

NULL = Procedure[None](0, "null", [], Void)
"""procedure 0 of every program: no arguments, no result, no work (RFC 5531 section 12)"""


class Entry(NamedTuple):
    """What answers the calls of one procedure."""

    service: Service
    version: type[Version]
    procedure: Procedure[Any]
    method: Callable[..., Any]
    row: Row
    blocking: bool = False
    oneway: bool = False
    asynchronous: bool = False
    buffers: bool = False
    demands: tuple[Demand, ...] = ()
    idempotent: bool = False

    @property
    def special(self) -> bool:
        """Whether its calls are never plain."""
        return self.blocking or self.asynchronous or self.buffers or bool(self.demands)


FLAVORS = Entry(Service(), Version, NULL, lambda call: None, UNKNOWN, blocking=True)
"""what stands for the flavors' own calls"""

Table = dict[int, Entry]


def version_of(service: Service) -> type[Version]:
    """The version that a service answers. Raises ``UsageError`` for what is no service."""
    version = getattr(service, "_version", None)
    if isinstance(service, type) or version is None:
        raise UsageError(f"{service!r} is no instance of a generated service class")
    return version  # type: ignore[no-any-return]


def table_of(service: Service, version: type[Version]) -> Table:
    """Number -> what answers it. Procedure 0 is there in any case."""
    prog, vers = version._prog, version._vers
    table: Table = {
        0: Entry(service, version, NULL, lambda call: None, (prog, vers, 0), idempotent=True)
    }
    blocking = getattr(service, "_blocking", False)
    buffers = getattr(service, "_buffers", False)
    idempotent = getattr(service, "_idempotent", False)
    for procedure in version._procedures.values():
        method = getattr(service, procedure.method)
        try:
            inspect.signature(method).bind(None, *procedure.arguments)
        except TypeError as error:
            where = f"{type(service).__qualname__}.{procedure.method}"
            wanted = ", ".join(["call", *(f"arg{n + 1}" for n in range(len(procedure.arguments)))])
            raise UsageError(f"{where} must take ({wanted}): {error}") from None
        table[procedure.number] = Entry(
            service,
            version,
            procedure,
            method,
            (prog, vers, procedure.number),
            blocking or getattr(method, "_blocking", False),
            getattr(method, "_oneway", False),
            inspect.iscoroutinefunction(method),
            buffers or getattr(method, "_buffers", False),
            demands_of(service, procedure.method, procedure.number),
            idempotent or getattr(method, "_idempotent", False) or procedure.number == 0,
        )
    return table
