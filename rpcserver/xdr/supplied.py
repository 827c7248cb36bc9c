"""The native codec of a type that was supplied for a ``Custom``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rpcserver.xdr._native import Codec
from rpcserver.xdr.schema import schema_of


@lru_cache(maxsize=1024)
def native_codec_of(designator: Any) -> Codec:
    """The codec of ``designator``. Raises ``TypeError`` for what is none."""
    return Codec(schema_of(designator))
