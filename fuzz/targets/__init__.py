"""What bytes from outside may reach, each as a function of bytes: the fuzzers' targets.

A target returns, or raises ``AssertionError`` for a wrong outcome, or whatever else the code under
test should not have raised: the documented exceptions are caught inside.

``fuzz.guided`` runs them under atheris, ``fuzz.blind`` without, ``fuzz.corpus`` writes their seeds
to files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import NamedTuple


class Target(NamedTuple):
    """``run`` takes the bytes; ``seeds()`` are those to start with, of which all are taken well."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]


_PLACES = {
    "compiler": "fuzz.targets.compiler:compiled",
    "reference": "fuzz.targets.codecs:reference_decodes",
    "native": "fuzz.targets.codecs:native_decodes",
    "differential": "fuzz.targets.codecs:both_decode",
    "record": "fuzz.targets.records:read",
    "begin": "fuzz.targets.calls:begun",
    "plain": "fuzz.targets.calls:plain",
    "rpcbind": "fuzz.targets.rpcbind:asked",
    "gss": "fuzz.targets.gss:accepted",
    "replies": "fuzz.targets.replies:received",
    "gss-replies": "fuzz.targets.replies:opened",
}
NAMES = tuple(_PLACES)


def load(name: str) -> Target:
    """The target with that name; what it tests is imported only now."""
    module, _, function = _PLACES[name].partition(":")
    found = import_module(module)
    return Target(getattr(found, function), getattr(found, f"{function}_seeds"))
