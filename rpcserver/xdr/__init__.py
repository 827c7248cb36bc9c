"""XDR, the External Data Representation standard (RFC 4506): types, codec, JSON."""

from rpcserver.errors import XdrError
from rpcserver.xdr import json
from rpcserver.xdr.codec import codec_name, decode, encode
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
