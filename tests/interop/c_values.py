"""Random values that C can hold: a C string ends at its first NUL."""

import json
from typing import Any, TypeVar

from hypothesis import strategies as st

from rpcserver import xdr

T = TypeVar("T")


def for_c(designator: Any, values: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """``values`` of a type, without those that have a NUL in a string."""

    def fits(value: T) -> bool:
        return "\\u0000" not in json.dumps(xdr.json.to_json(designator, value))

    return values.filter(fits)
