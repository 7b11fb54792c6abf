"""The verdict, by example and as laws that hold for every pair of numbers."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.gate import Verdict, VerdictKind, judge, judge_first, too_few_rows
from ml_pipeline.domain.policies.gate import GatePolicy, MetricPolicy

NON_INFERIOR = GatePolicy(limit=10)
SUPERIOR = GatePolicy(limit=10, rule="superior")
RULES = st.builds(
    GatePolicy,
    limit=st.just(10.0),
    rule=st.sampled_from(["non-inferior", "superior"]),
    tolerance=st.floats(0, 0.5),
    improvement=st.floats(0.001, 0.5),
)
ORDER = [VerdictKind.NO_IMPROVEMENT, VerdictKind.PROMOTE]
values = st.floats(0.001, 1000)
signed = st.floats(-1000, 1000)


def _metric(name="mae", low=-1e9, high=1e9):
    return MetricPolicy(name=name, min=low, max=high, prediction_min=0, prediction_max=1)


def _judged(challenger, champion, policy=NON_INFERIOR, name="mae", **more) -> Verdict:
    given_by_default = {"best_kept": None, "rows": 1000, "interval": None}
    more = {**given_by_default, **more}
    return judge(policy, _metric(name), challenger=challenger, champion=champion, **more)


@pytest.mark.parametrize(
    ("name", "challenger", "champion", "expected"),
    [
        ("mae", 4.0, 5.0, "promote"),
        ("mae", 5.2, 5.0, "promote"),
        ("mae", 5.25, 5.0, "promote"),
        ("mae", 5.26, 5.0, "no-improvement"),
        ("mae", 0.0, 0.0, "promote"),
        ("mae", 0.001, 0.0, "no-improvement"),
        ("accuracy", 0.95, 1.0, "promote"),
        ("accuracy", 0.94, 1.0, "no-improvement"),
        ("r2", -0.5, -0.4, "no-improvement"),
        ("r2", -0.42, -0.4, "promote"),
        ("r2", -0.3, -0.4, "promote"),
        ("r2", 0.0, 0.0, "promote"),
        ("r2", -0.01, 0.0, "no-improvement"),
        ("r2", -0.9, 0.9, "no-improvement"),
    ],
)
def test_a_challenger_no_worse_than_the_tolerance_is_promoted(name, challenger, champion, expected):
    assert _judged(challenger, champion, name=name).kind == expected


@pytest.mark.parametrize(
    ("name", "challenger", "champion", "expected"),
    [
        ("mae", 4.95, 5.0, "promote"),
        ("mae", 4.96, 5.0, "no-improvement"),
        ("mae", 5.0, 5.0, "no-improvement"),
        ("mae", 0.0, 0.0, "no-improvement"),
        ("accuracy", 0.909, 0.9, "promote"),
        ("accuracy", 0.905, 0.9, "no-improvement"),
        ("r2", -0.396, -0.4, "promote"),
        ("r2", -0.399, -0.4, "no-improvement"),
        ("r2", 0.0, 0.0, "no-improvement"),
        ("r2", 0.01, 0.0, "promote"),
    ],
)
def test_a_superior_challenger_is_better_by_the_share_asked_for(
    name, challenger, champion, expected
):
    assert _judged(challenger, champion, SUPERIOR, name).kind == expected


def test_small_losses_cannot_add_up():
    """Each 4 % worse than the last: the second is 8 % from the best version still kept."""
    assert _judged(5.2, 5.0, best_kept=5.0).kind is VerdictKind.PROMOTE
    second = _judged(5.408, 5.2, best_kept=5.0)
    assert second.kind is VerdictKind.NO_IMPROVEMENT
    assert "best kept version's 5" in second.message
    assert [check.passed for check in second.checks] == [True, True, False]


def test_a_champion_that_is_the_best_kept_is_named_once():
    assert "best kept" not in _judged(6.0, 5.0, best_kept=5.0).message


def test_the_same_sums_in_another_order_are_a_tie():
    once, again = sum([0.1] * 10), 1.0
    assert once != again
    for policy, kind in ((NON_INFERIOR, "promote"), (SUPERIOR, "no-improvement")):
        verdict = _judged(once, again, policy)
        assert verdict.tie
        assert verdict.kind == kind
        assert "ties with the champion" in verdict.message


def test_a_tie_near_zero_is_one_where_the_metric_has_no_unit():
    assert _judged(1e-15, 0.0, name="r2").tie
    assert not _judged(1e-15, 0.0, name="mae").tie


def test_the_message_is_one_sentence_with_the_numbers():
    assert _judged(5.1, 5.0).message == (
        "promote: mae 5.1 is 2 % worse than the champion's 5, within the tolerance of 5 %"
        " (1000 rows)"
    )
    assert _judged(6.0, 5.0).message == (
        "no-improvement: mae 6 is 20 % worse than the champion's 5, beyond the tolerance of 5 %"
        " (1000 rows)"
    )
    assert _judged(4.0, 5.0).message == (
        "promote: mae 4 is 20 % better than the champion's 5 (1000 rows)"
    )
    assert _judged(4.99, 5.0, SUPERIOR).message == (
        "no-improvement: mae 4.99 is 0.2 % better than the champion's 5,"
        " at least 1 % better asked for (1000 rows)"
    )


@pytest.mark.parametrize(
    ("policy", "name", "interval", "doubted"),
    [
        (NON_INFERIOR, "mae", (0.01, 0.09), True),
        (NON_INFERIOR, "mae", (-0.09, -0.01), False),
        (NON_INFERIOR, "accuracy", (-0.09, -0.01), True),
        (NON_INFERIOR, "accuracy", (0.01, 0.09), False),
        (SUPERIOR, "mae", (-0.09, 0.01), True),
        (SUPERIOR, "accuracy", (-0.01, 0.09), True),
        (SUPERIOR, "accuracy", (0.02, 0.09), False),
    ],
)
def test_an_interval_that_holds_the_limit_is_said_and_decides_nothing(
    policy, name, interval, doubted
):
    verdict = _judged(0.9, 0.9, policy, name, interval=interval)
    assert ("other rows might decide otherwise" in verdict.message) is doubted
    assert "95 % interval" in verdict.message
    assert verdict.kind is _judged(0.9, 0.9, policy, name).kind


@pytest.mark.parametrize("rows", [0, 1, 99])
def test_too_few_rows_are_inconclusive_however_good_the_challenger(rows):
    verdict = _judged(0.1, 5.0, rows=rows)
    assert verdict.kind is VerdictKind.INCONCLUSIVE
    assert f"{rows} comparable rows, of 100" in verdict.message
    assert verdict == too_few_rows(NON_INFERIOR, rows)
    first = judge_first(NON_INFERIOR, _metric(), challenger=1.0, baseline=5.0, rows=rows)
    assert first.kind is VerdictKind.INCONCLUSIVE


def test_just_enough_rows_are_enough():
    assert too_few_rows(NON_INFERIOR, 100) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e10])
@pytest.mark.parametrize("whose", ["challenger", "champion", "best_kept"])
@pytest.mark.parametrize("rows", [0, 1000])
def test_a_number_nobody_believes_is_never_judged(bad, whose, rows):
    numbers = {"challenger": 1.0, "champion": 1.0, "best_kept": 1.0, whose: bad}
    with pytest.raises(DataError, match=whose):
        judge(NON_INFERIOR, _metric(), **numbers, rows=rows, interval=None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("whose", ["challenger", "baseline"])
def test_a_first_model_nobody_believes_is_never_judged(bad, whose):
    numbers = {"challenger": 1.0, "baseline": 5.0, whose: bad}
    with pytest.raises(DataError, match=whose):
        judge_first(NON_INFERIOR, _metric(), **numbers, rows=1000)


@pytest.mark.parametrize(
    ("name", "challenger", "baseline", "limit", "expected"),
    [
        ("mae", 4.0, 8.0, 5, "promote"),
        ("mae", 5.0, 8.0, 5, "promote"),
        ("mae", 5.1, 8.0, 5, "no-improvement"),
        ("mae", 4.0, 3.0, 5, "no-improvement"),
        ("mae", 4.0, 4.0, 5, "no-improvement"),
        ("r2", 0.6, 0.0, 0.5, "promote"),
        ("r2", 0.4, 0.0, 0.5, "no-improvement"),
        ("accuracy", 0.9, 0.95, 0.5, "no-improvement"),
    ],
)
def test_a_first_model_holds_the_limit_and_beats_the_baseline(
    name, challenger, baseline, limit, expected
):
    policy = GatePolicy(limit=limit)
    verdict = judge_first(policy, _metric(name), challenger=challenger, baseline=baseline, rows=500)
    assert verdict.kind == expected


@given(RULES, st.sampled_from(["mae", "r2"]), signed, signed, signed, st.none() | signed)
def test_a_better_challenger_never_gets_a_worse_verdict(
    policy, name, one, other, champion, best_kept
):
    worse, better = sorted((one, other), reverse=name == "mae")
    kinds = [
        _judged(each, champion, policy, name, best_kept=best_kept).kind for each in (worse, better)
    ]
    assert ORDER.index(kinds[0]) <= ORDER.index(kinds[1])


@given(RULES, signed, signed, st.none() | signed)
def test_both_directions_are_handled_alike(policy, challenger, champion, best_kept):
    """Lower-is-better on x and higher-is-better on -x are the same question."""
    mirrored = None if best_kept is None else -best_kept
    lower = _judged(challenger, champion, policy, "log_loss", best_kept=best_kept)
    higher = _judged(-challenger, -champion, policy, "r2", best_kept=mirrored)
    assert (lower.kind, lower.tie) == (higher.kind, higher.tie)


@given(RULES, values, values, st.sampled_from([2.0**power for power in (-20, -3, 1, 6, 19)]))
def test_the_unit_of_the_target_changes_no_verdict(policy, challenger, champion, factor):
    """Powers of two, which scale a float exactly."""
    scaled = _judged(challenger * factor, champion * factor, policy)
    assert scaled.kind is _judged(challenger, champion, policy).kind


@given(RULES, signed, signed)
def test_what_superior_lets_pass_non_inferior_lets_pass_too(policy, challenger, champion):
    assume(policy.rule == "superior")
    lenient = policy.model_copy(update={"rule": NON_INFERIOR.rule})
    if _judged(challenger, champion, policy).kind is VerdictKind.PROMOTE:
        assert _judged(challenger, champion, lenient).kind is VerdictKind.PROMOTE


@given(RULES, signed, signed, st.none() | signed)
def test_a_verdict_is_what_its_checks_say(policy, challenger, champion, best_kept):
    verdict = _judged(challenger, champion, policy, best_kept=best_kept)
    assert (verdict.kind is VerdictKind.PROMOTE) is all(check.passed for check in verdict.checks)
    assert verdict.message.startswith(verdict.kind)
    assert verdict.metrics["challenger"] == challenger


@given(st.floats(0, 20), st.floats(0, 20), st.floats(0, 20))
def test_a_better_first_model_never_gets_a_worse_verdict(one, other, baseline):
    worse, better = sorted((one, other), reverse=True)
    kinds = [
        judge_first(NON_INFERIOR, _metric(), challenger=each, baseline=baseline, rows=500).kind
        for each in (worse, better)
    ]
    assert ORDER.index(kinds[0]) <= ORDER.index(kinds[1])
