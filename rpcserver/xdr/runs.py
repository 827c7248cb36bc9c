"""Runs of neighbouring fields of a fixed size, which one call of ``struct`` reads or writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

from rpcserver.xdr import schema as s
from rpcserver.xdr.buffers import TYPECODES
from rpcserver.xdr.schema import Schema

CODES = {**TYPECODES, s.BOOL: "I", s.ENUM: "i"}
"""by opcode: what ``struct`` calls a type of a fixed size"""

COUNTED = (s.OPAQUE, s.STRING)
"""what is a count and that many bytes; the count belongs to the run before them"""

PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
"""what follows ``n`` bytes: ``PADDING[-n & 3]``"""


class Run(NamedTuple):
    """The fields from ``first`` up to ``stop``, in one format; a single field has none."""

    first: int
    stop: int
    form: Struct | None
    counted: bool
    """the last one is of ``COUNTED``"""


def runs_of(fields: Sequence[Schema], *, opaques: bool) -> Iterator[Run]:
    """All of ``fields``, in runs as long as can be; ``opaques``: of a fixed size belong to them."""
    first = 0
    while first < len(fields):
        codes, stop, counted = ">", first, False
        while stop < len(fields) and not counted:
            code = _code(fields[stop], opaques)
            if code is None:
                if stop == first or fields[stop][0] not in COUNTED:
                    break
                code, counted = "I", True
            codes += code
            stop += 1
        if stop - first > 1:
            yield Run(first, stop, Struct(codes), counted)
        else:
            stop = first + 1
            yield Run(first, stop, None, False)
        first = stop


def _code(field: Schema, opaques: bool) -> str | None:
    if opaques and field[0] == s.FIXED_OPAQUE and field[1] % 4 == 0:
        return f"{field[1]}s"
    return CODES.get(field[0])
