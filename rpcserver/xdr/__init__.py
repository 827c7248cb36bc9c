"""XDR, the External Data Representation standard (RFC 4506): types, codec, JSON."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rpcserver.errors import XdrError
from rpcserver.xdr.quad import Quad
from rpcserver.xdr.types import (
    DEFAULT,
    Arm,
    Array,
    Bool,
    Custom,
    Double,
    FixedArray,
    FixedOpaque,
    Float,
    Hyper,
    Int,
    LinkedList,
    Opaque,
    Quadruple,
    String,
    Struct,
    UnknownArm,
    UnsignedHyper,
    UnsignedInt,
    Void,
)

if TYPE_CHECKING:
    from rpcserver.xdr import json
    from rpcserver.xdr.codec import codec_name, decode, encode

__all__ = [
    "DEFAULT",
    "Arm",
    "Array",
    "Bool",
    "Custom",
    "Double",
    "FixedArray",
    "FixedOpaque",
    "Float",
    "Hyper",
    "Int",
    "LinkedList",
    "Opaque",
    "Quad",
    "Quadruple",
    "String",
    "Struct",
    "UnknownArm",
    "UnsignedHyper",
    "UnsignedInt",
    "Void",
    "XdrError",
    "codec_name",
    "decode",
    "encode",
    "json",
]

# Imported where they are first used: a generated module needs the types alone.
_CODEC = ("codec_name", "decode", "encode")


def __getattr__(name: str) -> Any:
    if name in _CODEC:
        value = globals()[name] = getattr(import_module("rpcserver.xdr.codec"), name)
        return value
    if name == "json":
        return import_module("rpcserver.xdr.json")  # which puts it here, too
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
