"""The stability index, and that it does not fire on sample size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.drift import binned, expected_by_chance, quantile_edges, stability_index
from ml_pipeline.domain.errors import DataError

LIMIT = 0.2
histograms = st.lists(st.integers(0, 1000), min_size=2, max_size=20).filter(any)
EVEN = [1.0] * 10
MANY_RARE = [1 / rank for rank in range(1, 53)]


def _samples(weights, n, m, repeats=500, seed=0):
    shares = np.array(weights) / np.sum(weights)
    rng = np.random.default_rng(seed)
    return zip(
        rng.multinomial(n, shares, size=repeats),
        rng.multinomial(m, shares, size=repeats),
        strict=True,
    )


@pytest.mark.parametrize("weights", [EVEN, MANY_RARE], ids=["10 even bins", "52 rare categories"])
@pytest.mark.parametrize("m", [500, 50_000])
def test_rows_that_did_not_move_raise_no_alarm_at_500_rows(weights, m):
    """The plain index does: with 52 rare categories in 37 % of such samples."""
    indices = [stability_index(one, other) for one, other in _samples(weights, 500, m)]
    assert max(indices) < LIMIT


def test_what_is_taken_off_is_what_chance_gives():
    """Simulated against the formula, at 10 bins with 500 and 2,000 rows."""
    chance = expected_by_chance(500, 2000, bins=10)
    plain = [
        np.sum((one / 500 - other / 2000) * np.log((one / 500) / (other / 2000)))
        for one, other in _samples(EVEN, 500, 2000, repeats=2000)
    ]
    assert np.mean(plain) == pytest.approx(chance, rel=0.05)


@pytest.mark.parametrize("n", [500, 5_000, 500_000])
def test_the_same_shift_reads_the_same_at_every_sample_size(n):
    before, now = ([round(n * share) for share in shares] for shares in ((0.5, 0.5), (0.75, 0.25)))
    assert stability_index(before, now) == pytest.approx(0.2746, abs=0.01)


@given(histograms)
def test_a_histogram_has_not_moved_from_itself(counts):
    assert stability_index(counts, counts) == 0


@given(histograms, st.data())
def test_it_is_finite_never_negative_and_the_same_both_ways(counts, data):
    length = len(counts)
    other = data.draw(st.lists(st.integers(0, 1000), min_size=length, max_size=length).filter(any))
    index = stability_index(counts, other)
    assert 0 <= index < float("inf")
    assert index == pytest.approx(stability_index(other, counts), abs=1e-9)


def test_a_bin_that_neither_side_has_changes_nothing():
    assert stability_index([90, 10, 0], [50, 50, 0]) == stability_index([90, 10], [50, 50])


def test_a_category_nobody_knew_is_drift():
    assert stability_index([500, 500, 0], [450, 450, 100]) > LIMIT


@pytest.mark.parametrize(("before", "now"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])])
def test_no_rows_are_no_evidence_of_stability(before, now):
    with pytest.raises(DataError, match="without rows"):
        stability_index(before, now)


def test_other_bins_cannot_be_compared():
    with pytest.raises(DataError, match="2 bins in the baseline, 3 now"):
        stability_index([1, 2], [1, 2, 3])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(2, 20))
def test_every_value_falls_into_one_bin(values, bins):
    array = np.array(values)
    edges = quantile_edges(array, bins)
    counts = binned(array, edges)
    assert sum(counts) == len(values)
    assert len(counts) == len(edges) + 1 <= bins
    assert set(edges) <= set(values)


def test_bins_of_distinct_values_are_equally_full():
    values = np.arange(1000, dtype=np.float64)
    assert binned(values, quantile_edges(values, 10)) == [100] * 10
