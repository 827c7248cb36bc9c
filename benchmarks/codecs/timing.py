"""How long one encode and one decode take."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

BATCHES = 9


class Case(NamedTuple):
    """One case by one codec."""

    value: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    same: Callable[[Any, Any], bool] | None = None
    """Whether what was decoded is what was encoded, where ``==`` does not tell"""
    xdr: bool = False
    """Whether the bytes are XDR"""


def check(name: str, case: Case) -> bytes:
    """The encoding, which decodes to the value again."""
    data = bytes(case.encode(case.value))
    back = case.decode(data)
    if not (case.same(back, case.value) if case.same else back == case.value):
        raise AssertionError(f"{name}: what comes back is another value")
    return data


def microseconds(call: Callable[[Any], Any], argument: Any, seconds: float) -> float:
    """The median of nine batches, which take about ``seconds`` together. Like timeit, without
    the garbage collector: what it costs depends on what else is in memory."""
    gc.collect()
    gc.freeze()
    gc.disable()
    number, took = 1, 0.0
    while True:
        took = _batch(call, argument, number)
        if took > seconds / BATCHES / 4:
            break
        number *= 4
    number = max(1, round(number * seconds / BATCHES / took))
    runs = [_batch(call, argument, number) / number for _ in range(BATCHES)]
    gc.enable()
    return 1e6 * statistics.median(runs)


def _batch(call: Callable[[Any], Any], argument: Any, number: int) -> float:
    turns = [None] * number
    begun = time.perf_counter()
    for _ in turns:
        call(argument)
    return time.perf_counter() - begun
