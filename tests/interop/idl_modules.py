"""The modules that come of idl/*.x, and their types by the names in the .x."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import rpcserver
from rpcserver import rpc, xdr
from rpcserver.rpcgen.names import Names

IDL = Path(__file__).parents[2] / "idl"
NAMES = (
    "mount",
    "nfs3_prot",
    "nfs_prot",
    "nlm4_prot",
    "rquota",
    "rstat",
    "rusers",
    "rwall",
    "sm_inter",
    "vxi11",
    "yp",
    "yppasswd",
)

# A node by value is a list of at least one.
_NODES = (
    "entry",
    "entry3",
    "entryplus3",
    "exportnode",
    "groupnode",
    "mountbody",
    "ypall_entry",
    "ypmaplist",
)
_PYTHON = Names()


def path(name: str) -> Path:
    return IDL / f"{name}.x"


@cache
def module(name: str) -> ModuleType:
    """idl/NAME.x, compiled."""
    return rpcserver.load(path(name))


def designator(name: str, type_name: str) -> Any:
    """What stands in the module for a type of idl/NAME.x; None if it has no such type."""
    found = getattr(module(name), _PYTHON.type(type_name), None)
    return xdr.LinkedList(found, True) if type_name in _NODES else found


def versions(name: str) -> list[type[rpc.Version]]:
    """The versions of all programs of idl/NAME.x."""
    members = vars(module(name)).values()
    return [each for each in members if isinstance(each, type) and issubclass(each, rpc.Version)]
