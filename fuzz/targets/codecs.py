"""Encodings of the types that there are: the reference decoder, the native one, and both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.codec import outcome, same
from fuzz.xdr_types import World
from fuzz.xdr_values import TooDeep, Values
from generated import nfs3_prot, yp
from rpcserver.errors import XdrError
from rpcserver.protocols import pmap_prot, rpc_msg, rpcb_prot, rpcsec_gss
from rpcserver.xdr import reference
from rpcserver.xdr.codec import native
from rpcserver.xdr.schema import Schema, schema_of
from tests.xdr import zoo

TYPES: tuple[Any, ...] = (
    zoo.Everything, zoo.Tree, zoo.Entries, zoo.Res, zoo.Num, zoo.Empty,
    rpc_msg.RpcMsg, pmap_prot.PmaplistPtr, pmap_prot.CallArgs, rpcb_prot.RpcblistPtr,
    rpcb_prot.RpcbEntryListPtr, rpcb_prot.RpcbStatByvers, rpcsec_gss.RpcGssInitRes,
    rpcsec_gss.RpcGssCredTRpcsecGssVers1, nfs3_prot.READDIRPLUS3res, nfs3_prot.SETATTR3args,
    nfs3_prot.LOOKUP3res, yp.YprespAll,
)  # fmt: skip
"""what people send: lists, trees, unions, enums, limits of all sorts"""

WORLDS = 8
"""sets of random types, for the two codecs to agree about: everything that a type can be"""

sys.setrecursionlimit(5000)  # that Python's own stack ends is nobody's fault

_Native: Any = native("Codec")
_SCHEMAS = [schema_of(each) for each in TYPES]
_REFERENCES = [reference.Codec(each) for each in _SCHEMAS]
_NATIVES = [_Native(each) for each in _SCHEMAS] if _Native is not None else []


def _head(data: bytes) -> tuple[int, dict[str, bool], bytes]:
    """The type, the options and the encoding that an input stands for."""
    kind, how = data[0], data[1]
    return kind, {"lenient": bool(how & 1), "buffers": bool(how & 2)}, data[2:]


def _decoded(codecs: list[Any], data: bytes) -> None:
    if len(data) < 2:
        return
    kind, options, encoding = _head(data)
    codec = codecs[kind % len(codecs)]
    try:
        value, end = codec.unpack(encoding, **options)
    except XdrError as error:
        str(error)
        return
    assert 0 <= end <= len(encoding)
    if not any(options.values()):
        assert codec.pack(value) == encoding[:end], "there is one encoding of a value (RFC 4506)"


def _seeds(schemas: list[Schema]) -> Iterator[bytes]:
    for kind, schema in enumerate(schemas):
        for seed in range(8):
            try:
                value = Values(Random(seed), 0.0, 60).of(schema)
                encoding = reference.Codec(schema).pack(value)
            except (TooDeep, XdrError):
                continue
            yield bytes([kind, seed % 4]) + encoding


def reference_decodes(data: bytes) -> None:
    """The reference decoder raises nothing but ``XdrError``."""
    _decoded(_REFERENCES, data)


def reference_decodes_seeds() -> Iterator[bytes]:
    """Good encodings of each type."""
    return _seeds(_SCHEMAS)


def native_decodes(data: bytes) -> None:
    """So does the native one."""
    if _NATIVES:
        _decoded(_NATIVES, data)


native_decodes_seeds = reference_decodes_seeds


class _Both:
    """Codecs of all types, random ones too; made when they are first asked for."""

    def __init__(self) -> None:
        self.worlds = [World(Random(seed), f"fuzz_target_{seed}") for seed in range(WORLDS)]
        for world in self.worlds:
            world.make()
        schemas = [schema for world in self.worlds for _, schema in world.schemas]
        self.schemas: list[Schema] = []
        self.pairs: list[tuple[Any, Any]] = []
        for schema in [*_SCHEMAS, *schemas]:
            made = outcome(reference.Codec, schema), outcome(_Native, schema)
            if made[0][0] is None and made[1][0] is None:
                self.schemas.append(schema)
                self.pairs.append((made[0][1], made[1][1]))


_both: _Both | None = None


def _all() -> _Both:
    global _both
    if _both is None:
        _both = _Both()
    return _both


def both_decode(data: bytes) -> None:
    """Both make the same of it, and the same bytes of that."""
    if len(data) < 3 or _Native is None:
        return
    # One byte more says which type: there are more than 256.
    number, (_, options, encoding) = data[0], _head(data[1:])
    pairs = _all().pairs
    ours, theirs = pairs[(number << 8 | data[1]) % len(pairs)]
    found = [outcome(each.unpack, encoding, **options) for each in (ours, theirs)]
    assert same(*found), f"reference: {found[0]!r:.1000}\nnative: {found[1]!r:.1000}"
    if found[0][0] is None:
        packed = [
            outcome(codec.pack, each[1][0])
            for codec, each in zip((ours, theirs), found, strict=True)
        ]
        assert same(*packed), f"reference: {packed[0]!r:.1000}\nnative: {packed[1]!r:.1000}"


def both_decode_seeds() -> Iterator[bytes]:
    """Good encodings of each type, random types too."""
    for number, schema in enumerate(_all().schemas):
        for seed in range(3):
            value = outcome(Values(Random(seed), 0.0, 40).of, schema)
            packed = outcome(reference.Codec(schema).pack, value[-1])
            if value[0] is None and packed[0] is None:
                yield number.to_bytes(2) + bytes([seed]) + packed[1]
