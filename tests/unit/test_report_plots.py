"""Plots put numbers where they belong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.reporting.contest import Contest
from ml_pipeline.reporting.plots import load, metrics, rollout
from ml_pipeline.reporting.plots.svg import Axis, tag
from ml_pipeline.reporting.recordings import Load, Predictions, Rollout
from tests.fakes import report_runs

numbers = st.floats(-1e6, 1e6)


def a_rollout(**changes) -> Rollout:
    return Rollout.model_validate({**report_runs.rollout(), **changes})


def a_load(**changes) -> Load:
    return Load.model_validate({**report_runs.load_report(), **changes})


@given(low=numbers, width=st.floats(1e-3, 1e6), one=numbers, other=numbers)
def test_a_larger_value_never_lies_before_a_smaller_one(low, width, one, other):
    axis = Axis(low, low + width, 50, 500)
    small, large = sorted((one, other))
    assert 50 <= axis.at(small) <= axis.at(large) <= 500


@given(low=numbers, width=st.floats(1e-3, 1e6))
def test_ticks_lie_on_the_axis_and_are_few(low, width):
    ticks = Axis(low, low + width, 0, 100).ticks(5)
    assert all(low - width * 1e-6 <= tick <= low + width * 1.000001 for tick in ticks)
    assert list(ticks) == sorted(ticks)
    assert 1 <= len(ticks) <= 12


@given(low=st.floats(1e-3, 1e3), factor=st.floats(6, 1e6))
def test_a_logarithmic_axis_has_ticks_within_it(low, factor):
    ticks = Axis(low, low * factor, 0, 100, log=True).ticks(5)
    assert ticks
    assert all(low <= tick <= low * factor for tick in ticks)


def test_an_axis_without_extent_still_places_its_value():
    assert Axis(5, 5, 0, 100).at(5) == 50


def test_markup_in_text_and_attributes_is_escaped():
    assert tag("g", "<b>", aria_label='"x"') == '<g aria-label="&#34;x&#34;">&lt;b&gt;</g>'


def test_the_weight_curve_steps_as_the_weights_did():
    drawn = rollout.weight(a_rollout()).svg

    points = re.search(r'<polyline points="([^"]+)" class="line challenger"', drawn)[1].split()
    heights = list(dict.fromkeys(float(point.split(",")[1]) for point in points))
    floor, top = heights[0], heights[-1]
    shares = [round(100 * (floor - height) / (floor - top)) for height in heights]
    assert shares == [0, 10, 25, 50, 100]


def test_a_rollback_is_marked_and_told():
    drawn = rollout.weight(Rollout.model_validate(report_runs.rollout(harm_at_pct=25)))

    assert "rolled back" in drawn.svg
    assert "10 → 25 → 0 %: harm" in drawn.summary
    assert drawn.rows[-1][1:3] == ("rolled-back", "0 %")


def test_a_rollout_of_hours_is_thinned_without_losing_a_request():
    samples = [
        {"at_s": float(n), "slot": "v4", "requests": 7, "errors": n % 2, "p99_ms": float(n)}
        for n in range(5000)
    ]
    drawn = rollout.errors(a_rollout(samples=samples), 0.01)

    assert len(drawn.rows) <= 120
    assert sum(int(row[2].replace(",", "")) for row in drawn.rows) == 35000
    assert "35,000 requests, 2,500 failed" in drawn.summary


def test_a_slot_without_requests_has_no_error_share():
    samples = [{"at_s": 1.0, "slot": "v4", "requests": 0, "errors": 0}]
    drawn = rollout.errors(a_rollout(samples=samples), None)
    assert re.search(r'points="" class="line challenger"', drawn.svg)


def test_a_rollback_at_the_first_look_is_drawn_as_a_dot():
    samples = [{"at_s": 1.0, "slot": "v4", "requests": 20, "errors": 4, "p99_ms": 7.0}]
    seen = a_rollout(samples=samples)
    for drawn in (rollout.errors(seen, 0.01), rollout.tail(seen)):
        assert re.search(r'<circle [^>]*class="dot challenger"', drawn.svg)


def test_where_nothing_was_seen_no_error_plot_is_drawn():
    assert rollout.errors(a_rollout(samples=[]), 0.01) is None
    assert rollout.tail(a_rollout(samples=[])) is None
    assert rollout.weight(a_rollout(events=[])) is None


def test_the_first_model_gets_all_traffic_in_one_step():
    events = [{"at_s": 0.0, "event": "weights", "weights": {"v1": 100}, "message": "first"}]
    first = a_rollout(challenger="v1", champion=None, events=events, samples=[])
    assert "went 100 %" in rollout.weight(first).summary


@pytest.mark.parametrize(("limit_ms", "log"), [(None, False), (30.0, False), (500.0, True)])
def test_a_far_limit_makes_the_latency_axis_logarithmic(limit_ms, log):
    calm = a_load(percentiles=[[0.0, 8.0], [0.5, 10.0], [0.99, 20.0], [1.0, 25.0]], p99_ms=20.0)
    drawn = load.latencies(calm, limit_ms)
    assert ("log scale" in drawn.svg) is log
    assert ("limit for p99" in drawn.svg) is (limit_ms is not None)


def test_latencies_of_zero_can_be_drawn():
    assert load.latencies(a_load(percentiles=[[0.0, 0.0], [1.0, 0.0]], p99_ms=0.0), None)


def test_without_a_curve_no_distribution_is_drawn():
    assert load.latencies(a_load(percentiles=[]), 500.0) is None


def test_a_second_without_answers_has_no_latency():
    silent = {"second": 0, "requests": 0, "errors": 0, "p50_ms": float("nan"), "p99_ms": None}
    drawn = load.over_time(a_load(timeline=[silent]))
    assert drawn.rows == (("0", "0", "0", "—", "—", "—"),)


def test_columns_beyond_the_limit_are_marked_and_come_first():
    drawn = metrics.drift({"a": 0.1, "b": 0.3, "c": 0.2}, 0.2)
    assert [row[0] for row in drawn.rows] == ["b", "c", "a"]
    assert drawn.svg.count('class="over"') == 1
    assert "1 of 3 columns beyond the limit: b" in drawn.summary


@given(st.dictionaries(st.text(max_size=8), st.floats(0, 50), min_size=1, max_size=60))
def test_any_drift_can_be_drawn_and_is_listed_in_full(psi):
    assert len(metrics.drift(psi, 0.2).rows) == len(psi)


def a_contest(**changes) -> Contest:
    told = {
        "metric": "mae", "lower_is_better": True, "rule": "non-inferior", "tie": False,
        "challenger": 4.0, "champion": 5.0, "best_kept": None, "baseline": 9.0,
        "low": None, "high": None, "limits": (("the champion", 5.25),),
    }  # fmt: skip
    return Contest(**{**told, **changes})


@given(st.floats(-1e5, 1e5), st.one_of(st.none(), st.floats(-1e5, 1e5)))
def test_any_two_numbers_can_be_compared(challenger, champion):
    drawn = metrics.comparison(a_contest(challenger=challenger, champion=champion))
    assert "nan" not in drawn.svg


def test_the_interval_is_drawn_around_the_champion():
    contest = a_contest(low=-0.3, high=-0.1)
    assert contest.bounds == pytest.approx((3.5, 4.5))
    assert "whisker" in metrics.comparison(contest).svg


def test_the_baseline_is_drawn_only_for_a_first_model():
    assert "Naive baseline" not in metrics.comparison(a_contest()).svg
    assert "Naive baseline" in metrics.comparison(a_contest(champion=None)).svg


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "\u221220.00 % (better)"),
        ({"lower_is_better": False}, "\u221220.00 % (worse)"),
        ({"challenger": 5.0}, "+0.00 % (tie)"),
        ({"champion": None}, "first model of its name"),
        ({"champion": 0.0}, "— (worse)"),
    ],
)
def test_the_change_is_told_in_words(changes, words):
    assert a_contest(**changes).change == words


def test_residuals_count_every_row_also_the_wild_ones():
    truth = [0.0] * 200
    ours = [float(n % 5) for n in range(199)] + [1e6]
    drawn = metrics.residuals(Predictions(truth=truth, challenger=ours))
    assert "Prediction minus truth, mean: challenger 5,002" in drawn.summary
    assert metrics.residuals(Predictions(truth=(), challenger=())) is None
