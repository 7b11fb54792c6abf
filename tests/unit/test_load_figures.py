"""What a load report says, held against the plain list of latencies."""

import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_pipeline.loadgen.figures import NOT_SENT, TIMED_OUT, Figures, Latencies, nearest_rank

latencies = st.floats(0, 60, allow_nan=False)
requests = st.lists(
    st.tuples(
        st.integers(0, 5),
        latencies,
        st.sampled_from(["", "", "", "http 500", TIMED_OUT, NOT_SENT]),
        st.sampled_from(["", "champion", "challenger"]),
    ),
    min_size=1,
    max_size=80,
)


def counted(ends):
    figures = Figures()
    for second, latency_s, error, slot in sorted(ends, key=lambda end: end[0]):
        figures.plan(second)
        figures.left(0.001)
        figures.ended(second, latency_s, error, slot)
        figures.fold(second)
    return figures.report(6.0)


def by_hand(values, quantile):
    """The smallest value that at least that share of the values does not exceed."""
    return next(
        value
        for value in sorted(values)
        if sum(other <= value for other in values) >= quantile * len(values) - 1e-9
    )


@settings(max_examples=30)  # a histogram takes its milliseconds
@given(st.lists(latencies, min_size=1, max_size=300), st.floats(0.001, 1))
def test_a_quantile_is_the_nearest_rank_within_a_thousandth_and_a_microsecond(values, quantile):
    histogram = Latencies()
    for value in values:
        histogram.record(value)
    (told_ms,) = histogram.quantiles_ms(quantile)
    truth_ms = 1e3 * by_hand(values, quantile)
    assert told_ms == pytest.approx(truth_ms, rel=1.001e-3, abs=1.1e-3)
    assert told_ms <= histogram.max_ms == 1e3 * max(values)


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_a_rank_covers_its_share_and_the_one_below_does_not(count, thousandths):
    rank = nearest_rank(count, thousandths / 1000)
    assert 1 <= rank <= count
    assert rank * 1000 >= thousandths * count
    assert rank == 1 or (rank - 1) * 1000 < thousandths * count


@settings(max_examples=30)  # a histogram takes its milliseconds
@given(requests)
def test_every_planned_request_is_in_every_figure(ends):
    report = counted(ends)
    kinds = dict(report.errors_by_kind)
    assert report.planned == len(ends) == sum(row.requests for row in report.timeline)
    assert report.sent + kinds.get(NOT_SENT, 0) == report.planned
    assert report.errors == sum(kinds.values()) == sum(row.errors for row in report.timeline)
    assert sum(n for _, n, _ in report.by_slot) == sum(bool(slot) for *_, slot in ends)
    assert sum(n for _, _, n in report.by_slot) == sum(bool(e and s) for *_, e, s in ends)
    assert HdrHistogram.decode(report.histogram).get_total_count() == report.planned


@settings(max_examples=30)  # a histogram takes its milliseconds
@given(requests)
def test_a_row_of_the_timeline_is_its_second_alone(ends):
    rows = {row.second: row for row in counted(ends).timeline}
    for second, row in rows.items():
        values = [latency_s for one, latency_s, *_ in ends if one == second]
        assert row.p50_ms == 1e3 * by_hand(values, 0.5)
        assert row.p99_ms == 1e3 * by_hand(values, 0.99)
        assert row.max_ms == 1e3 * max(values)
    assert list(rows) == sorted({second for second, *_ in ends})


@settings(max_examples=30)  # a histogram takes its milliseconds
@given(requests)
def test_the_curve_rises_to_the_longest(ends):
    report = counted(ends)
    shares = [share for share, _ in report.percentiles]
    values = [value for _, value in report.percentiles]
    assert shares == sorted(set(shares))
    assert values == sorted(values)
    assert report.percentiles[-1] == (1.0, report.max_ms)
    assert report.p50_ms <= report.p90_ms <= report.p99_ms <= report.max_ms


@settings(max_examples=30)  # a histogram takes its milliseconds
@given(requests)
def test_folding_a_second_early_changes_nothing(ends):
    figures = Figures()
    for second, latency_s, error, slot in ends:
        figures.plan(second)
        figures.left(0.001)
        figures.ended(second, latency_s, error, slot)
    assert figures.report(6.0).timeline == counted(ends).timeline


def test_a_second_with_a_request_under_way_is_not_folded():
    figures = Figures()
    figures.plan(0)
    figures.plan(0)
    figures.left(0.0)
    figures.left(0.0)
    figures.ended(0, 0.1)
    figures.fold(9)
    assert figures.under_way == 1
    figures.ended(0, 0.2)
    (row,) = figures.report(1.0).timeline
    assert row.requests == 2


def test_there_is_no_report_of_nothing_or_of_half_a_run():
    figures = Figures()
    with pytest.raises(ValueError, match="0 of 0"):
        figures.report(1.0)
    figures.plan(0)
    with pytest.raises(ValueError, match="1 of 1"):
        figures.report(1.0)


def test_latencies_beyond_the_histogram_are_counted_at_its_ends():
    histogram = Latencies()
    histogram.record(0.0)
    histogram.record(7200.0)
    low, high = histogram.quantiles_ms(0.5, 1)
    assert low == 0.001
    assert math.isclose(high, 3.6e6, rel_tol=1e-3)
    assert histogram.max_ms == 7.2e6
