"""Percentiles and histograms from counts, against all the times sorted."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rpcserver.testing import Latencies

TIMES = st.lists(st.floats(0, 3600), min_size=1, max_size=200)


def filled(times: list[float]) -> Latencies:
    latencies = Latencies()
    for each in times:
        latencies.add(each)
    return latencies


@given(TIMES, st.floats(0.001, 1))
def test_percentiles(times: list[float], part: float) -> None:
    exact = sorted(times)[math.ceil(part * len(times)) - 1]
    assert math.isclose(filled(times).percentile(part), exact, rel_tol=0.032, abs_tol=2e-9)


@given(TIMES)
def test_summary(times: list[float]) -> None:
    summary = filled(times).summary()
    assert (summary["min"], summary["max"]) == (min(times), max(times))
    assert math.isclose(summary["mean"], math.fsum(times) / len(times), rel_tol=1e-9, abs_tol=1e-12)


@given(TIMES)
def test_histogram(times: list[float]) -> None:
    bins = filled(times).histogram()
    assert sum(count for _, _, count in bins) == len(times)
    assert all(low < high for low, high, _ in bins)
    assert all(one[1] == other[0] for one, other in pairwise(bins))
    assert bins[0][2]
    assert bins[-1][2]


def test_nothing() -> None:
    assert Latencies().histogram() == []
    assert set(Latencies().summary().values()) == {0.0}
