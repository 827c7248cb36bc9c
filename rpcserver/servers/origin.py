"""Where services come from: ``MODULE:NAME``."""

from __future__ import annotations

import inspect
from importlib import import_module
from operator import attrgetter
from typing import Any

from rpcserver.errors import UsageError
from rpcserver.rpc.version import Service


def load_service(place: str) -> Service:
    """The service that ``MODULE:NAME`` means: an instance, or what a class or a function makes.

    Other processes make it again from the same place. Raises ``UsageError`` if there is none;
    what the user's own code raises is passed on.
    """
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise UsageError(f"{place!r} is not MODULE:NAME")
    found: Any = _module(module_name)
    try:
        found = attrgetter(name)(found)
    except AttributeError:
        raise UsageError(f"module {module_name!r} has no {name!r}") from None
    if isinstance(found, type) or not isinstance(found, Service):
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place} cannot be called without arguments: {error}") from None
        found = found()
    if not isinstance(found, Service):
        raise UsageError(f"{place} is no service, nor does it make one: {found!r:.80}")
    found._origin = place
    return found


def origin_of(service: Service) -> str:
    """The ``MODULE:NAME`` that another process makes this service from.

    Raises ``UsageError`` for a service that ``load_service`` did not make.
    """
    if service._origin is None:
        raise UsageError(
            f"{type(service).__qualname__}: what runs in other processes is made there once more:"
            ' serve rpcserver.load_service("MODULE:NAME"), not an instance'
        )
    return service._origin


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Not a module that this one imports.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"there is no module {name!r} here or on Python's path") from None
