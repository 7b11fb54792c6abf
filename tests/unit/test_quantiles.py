"""Latency quantiles and bounds of shares."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.quantiles import (
    chance_of_as_many,
    share_lower_bound,
    share_upper_bound,
    tail_latency_ms,
)

latencies = st.lists(st.floats(0, 60), min_size=1, max_size=200)
counts = st.integers(1, 5000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n), st.floats(0.5, 0.9999))
)


@given(latencies, st.floats(0.001, 1))
def test_the_answer_is_a_latency_that_was_measured_and_enough_requests_kept_it(samples, quantile):
    answer = tail_latency_ms(samples, quantile)
    assert answer in [1000.0 * sample for sample in samples]
    kept = sum(1000.0 * sample <= answer for sample in samples)
    assert kept >= quantile * len(samples) - 1e-6
    faster = sum(1000.0 * sample < answer for sample in samples)
    assert faster < quantile * len(samples)


@given(st.integers(1, 1000), st.integers(1, 100))
def test_a_quantile_that_falls_on_a_rank_takes_that_rank(n, percent):
    """0.07 x 100 is 7.000000000000001 in binary floats, and still the 7th of 100."""
    samples = [float(rank) for rank in range(1, n + 1)]
    expected = -(-percent * n // 100)
    assert tail_latency_ms(samples, percent / 100) == 1000.0 * expected


def test_the_slowest_of_a_hundred_is_not_the_99th_percentile():
    assert tail_latency_ms([0.1] * 99 + [5.0]) == 100.0
    assert tail_latency_ms([0.1] * 98 + [5.0] * 2) == 5000.0


@pytest.mark.parametrize("bad", [[], [-0.1], [0.1, math.nan], [math.inf]])
def test_latencies_that_cannot_be_are_refused(bad):
    with pytest.raises(DataError):
        tail_latency_ms(bad)


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.1, math.nan])
def test_a_quantile_outside_its_range_is_a_bug(quantile):
    with pytest.raises(ValueError, match="quantile"):
        tail_latency_ms([0.1], quantile)


@given(counts)
def test_the_bounds_hold_the_share_between_them(count):
    events, n, confidence = count
    low, high = (bound(events, n, confidence) for bound in (share_lower_bound, share_upper_bound))
    assert 0 <= low <= events / n + 1e-12
    assert events / n - 1e-12 <= high <= 1


@given(counts)
def test_the_bounds_mirror_each_other(count):
    events, n, confidence = count
    mirrored = 1 - share_upper_bound(n - events, n, confidence)
    assert share_lower_bound(events, n, confidence) == pytest.approx(mirrored, abs=1e-12)


@given(counts)
def test_one_event_more_raises_the_bound(count):
    events, n, confidence = count
    if events < n:
        more = share_lower_bound(events + 1, n, confidence)
        assert more > share_lower_bound(events, n, confidence)


def test_wilsons_interval_is_that_of_the_literature():
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 and 0 of 20 at 95 %."""
    assert share_lower_bound(81, 263, 0.975) == pytest.approx(0.2553, abs=5e-5)
    assert share_upper_bound(81, 263, 0.975) == pytest.approx(0.3662, abs=5e-5)
    assert share_lower_bound(0, 20, 0.975) == 0
    assert share_upper_bound(0, 20, 0.975) == pytest.approx(0.1611, abs=5e-5)


def test_every_request_failing_does_not_prove_that_all_will():
    assert share_lower_bound(5, 5, 0.95) < 0.7
    assert share_upper_bound(5, 5, 0.95) == 1


@pytest.mark.parametrize(("events", "n"), [(0, 0), (-1, 5), (6, 5)])
@pytest.mark.parametrize("bound", [share_lower_bound, share_upper_bound])
def test_no_data_is_no_share(bound, events, n):
    with pytest.raises(DataError):
        bound(events, n)


@pytest.mark.parametrize("confidence", [0.4, 1.0, math.nan])
def test_a_confidence_outside_its_range_is_a_bug(confidence):
    with pytest.raises(ValueError, match="confidence"):
        share_lower_bound(1, 5, confidence)


@given(st.integers(1, 400), st.floats(0.001, 0.999), st.data())
def test_the_exact_tail_agrees_with_adding_up_every_outcome(n, share, data) -> None:
    events = data.draw(st.integers(0, n))
    added = math.fsum(
        math.comb(n, count) * share**count * (1 - share) ** (n - count)
        for count in range(events, n + 1)
    )
    assert chance_of_as_many(events, n, share) == pytest.approx(added, abs=1e-9)


def test_the_exact_tail_stands_a_million_requests() -> None:
    assert chance_of_as_many(10_000, 1_000_000, 0.01) == pytest.approx(0.5, abs=0.01)
    assert chance_of_as_many(0, 1_000_000, 0.01) == 1
