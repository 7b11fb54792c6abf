"""Metrics against scikit-learn's, and what is refused instead of guessed."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.intervals import relative_difference_interval
from ml_pipeline.domain.likelihoods import Likelihoods
from ml_pipeline.domain.metrics import (
    DIRECTIONS,
    bounded_predictions,
    compute,
    difference_interval,
    naive_prediction,
    naive_predictions,
    needs_probabilities,
    read,
    row_contributions,
)
from ml_pipeline.domain.policies.gate import Direction, MetricName, MetricPolicy

REFERENCES = {
    MetricName.MAE: reference.mean_absolute_error,
    MetricName.RMSE: reference.root_mean_squared_error,
    MetricName.MAPE: reference.mean_absolute_percentage_error,
    MetricName.R2: reference.r2_score,
    MetricName.ACCURACY: reference.accuracy_score,
    MetricName.F1: reference.f1_score,
    MetricName.ROC_AUC: reference.roc_auc_score,
    MetricName.LOG_LOSS: reference.log_loss,
}
REGRESSION = (MetricName.MAE, MetricName.RMSE, MetricName.MAPE, MetricName.R2)
POLICY = MetricPolicy(name="mae", min=0, max=60, prediction_min=0, prediction_max=240)
values = st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-3)


def _rows(first, second, min_size=2):
    return st.lists(st.tuples(first, second), min_size=min_size, max_size=60)


@pytest.mark.parametrize("name", REGRESSION)
@given(rows=_rows(values, values))
def test_regression_metrics_are_those_of_scikit_learn(name, rows):
    truth, predicted = zip(*rows, strict=True)
    assume(max(truth) - min(truth) > 1e-3)
    expected = REFERENCES[name](truth, predicted)
    assert compute(name, truth, predicted) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", [MetricName.ACCURACY, MetricName.F1])
@given(rows=_rows(st.integers(0, 1), st.integers(0, 1)))
def test_two_class_metrics_are_those_of_scikit_learn(name, rows):
    truth, predicted = zip(*rows, strict=True)
    assume(any(truth) or any(predicted))
    assert compute(name, truth, predicted) == pytest.approx(REFERENCES[name](truth, predicted))


@given(rows=_rows(st.integers(0, 3), st.integers(0, 3)))
def test_f1_of_many_classes_is_the_mean_over_those_that_occur(rows):
    truth, predicted = zip(*rows, strict=True)
    assume(max(truth) > 1)
    labels = sorted(set(truth))
    expected = reference.f1_score(truth, predicted, labels=labels, average="macro")
    assert compute(MetricName.F1, truth, predicted) == pytest.approx(expected)


@pytest.mark.parametrize("name", [MetricName.ROC_AUC, MetricName.LOG_LOSS])
@given(rows=_rows(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])))
def test_probability_metrics_are_those_of_scikit_learn(name, rows):
    truth, predicted = zip(*rows, strict=True)
    assume(len(set(truth)) == 2)
    assert compute(name, truth, predicted) == pytest.approx(REFERENCES[name](truth, predicted))


THREE = st.lists(st.sampled_from([0.1, 0.25, 1.0]), min_size=3, max_size=3)


@pytest.mark.parametrize("labels", [(0.0, 1.0, 2.0), (3.0, 5.0, 8.0)])
@given(rows=_rows(st.integers(0, 2), THREE, min_size=3))
def test_probabilities_of_three_classes_are_scored_as_scikit_learn_does(labels, rows):
    positions, weights = zip(*rows, strict=True)
    assume(len(set(positions)) == 3)
    truth = [labels[at] for at in positions]
    table = [[one / sum(row) for one in row] for row in weights]
    likely = Likelihoods(labels, table)
    expected = reference.log_loss(truth, table, labels=labels)
    assert compute(MetricName.LOG_LOSS, truth, likely) == pytest.approx(expected)
    assert np.mean(row_contributions(MetricName.LOG_LOSS, truth, likely)) == pytest.approx(expected)
    expected = reference.roc_auc_score(positions, table, multi_class="ovr")
    assert compute(MetricName.ROC_AUC, truth, likely) == pytest.approx(expected)


def test_a_class_the_model_never_met_had_no_chance():
    known = Likelihoods((0.0, 1.0, 2.0), [[1.0, 0.0, 0.0]])
    unknown = Likelihoods((0.0, 1.0), [[1.0, 0.0]])
    assert compute(MetricName.LOG_LOSS, [2.0], known) == pytest.approx(36.04, abs=0.01)
    assert compute(MetricName.LOG_LOSS, [2.0], unknown) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize("row", [[0.5, 0.6, 0.1], [-0.1, 0.6, 0.5], [2.0, -3.0, 1.5]])
def test_numbers_that_are_no_probabilities_are_refused(row):
    likely = Likelihoods((0.0, 1.0, 2.0), [[0.2, 0.3, 0.5], row])
    with pytest.raises(DataError, match=r"log_loss: row 2 holds .*no probabilities of 3 classes"):
        compute(MetricName.LOG_LOSS, [0, 1], likely)


def test_a_probability_that_float32_rounds_beyond_one_is_certainty():
    likely = Likelihoods((0.0, 1.0, 2.0), [[1.0000001, 0.0, 0.0], [-1e-8, 1.0, 0.0]])
    assert compute(MetricName.LOG_LOSS, [0, 1], likely) == 0
    assert compute(MetricName.LOG_LOSS, [1, 0], [1.0000001, -1e-8]) == pytest.approx(0, abs=1e-7)


def test_two_models_of_three_classes_have_an_interval():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    sure = Likelihoods((0.0, 1.0, 2.0), (np.eye(3)[truth] * 0.7 + 0.1).tolist())
    naive = naive_predictions(MetricName.LOG_LOSS, truth, 300)
    low, high = difference_interval(MetricName.LOG_LOSS, truth, sure, naive, seed=0)
    assert -1 < low < high < 0


def test_the_naive_probabilities_of_many_classes_are_how_often_each_occurs():
    naive = naive_predictions(MetricName.LOG_LOSS, [0, 2, 2, 5], 2)
    assert naive == Likelihoods((0.0, 2.0, 5.0), [[0.25, 0.5, 0.25]] * 2)
    assert compute(MetricName.ROC_AUC, [2, 5], naive) == 0.5
    assert naive_predictions(MetricName.LOG_LOSS, [0, 1, 1, 1], 2) == [0.75, 0.75]
    assert naive_predictions(MetricName.F1, [0, 2, 2], 1) == [2.0]


def test_the_likeliest_class_is_what_must_lie_in_range():
    likely = Likelihoods((3.0, 300.0), [[0.9, 0.1], [0.2, 0.8]])
    check = bounded_predictions(POLICY, likely)
    assert check.value == 0.5
    assert "row 2: 300" in check.message


def test_a_model_that_invents_a_class_is_scored_by_the_same_formula():
    """Else one stray prediction would turn `f1` from that of class 1 into a mean."""
    truth = [0, 1, 1, 0]
    assert compute(MetricName.F1, truth, [0, 1, 1, 2]) == 1.0


def test_every_metric_has_a_direction_and_a_formula():
    assert set(DIRECTIONS) == set(MetricName) == set(REFERENCES)
    for name in MetricName:
        assert math.isfinite(compute(name, [0.0, 1.0] if name != "mape" else [1.0, 2.0], [0, 1]))


def test_the_better_of_two_predictions_is_on_the_side_of_the_direction():
    for name in MetricName:
        truth = [1.0, 2.0, 4.0] if name in REGRESSION else [0.0, 1.0, 1.0]
        worse = [4.0, 1.0, 2.0] if name in REGRESSION else [1.0, 0.0, 1.0]
        perfect, poor = compute(name, truth, truth), compute(name, truth, worse)
        assert (perfect < poor) is (DIRECTIONS[name] is Direction.LOWER), name


def test_only_auc_and_log_loss_ask_for_probabilities():
    assert {name for name in MetricName if needs_probabilities(name)} == {"roc_auc", "log_loss"}


@pytest.mark.parametrize("name", MetricName)
@pytest.mark.parametrize(
    ("truth", "predicted", "says"),
    [
        ([], [], "no rows"),
        ([0.0, 1.0], [1.0], "2 rows but 1 predictions"),
        ([0.0, math.nan], [0.0, 1.0], "target are not finite, first in row 2: nan"),
        ([0.0, 1.0], [math.inf, 1.0], "prediction are not finite, first in row 1: inf"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(name, truth, predicted, says):
    with pytest.raises(DataError, match=says):
        compute(name, truth, predicted)


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "says"),
    [
        ("mape", [1.0, 0.0], [1.0, 1.0], "target is 0 in 1 of 2 rows, first in row 2"),
        ("r2", [0.1, 0.1, 0.1], [1.0, 1.0, 1.0], "0.1 in all 3 rows"),
        ("roc_auc", [1, 1], [0.2, 0.3], "one class"),
        ("roc_auc", [0, 2], [0.2, 0.3], "row 2 is 2, neither 0 nor 1"),
        ("log_loss", [0, 2], [0.2, 0.3], "row 2 is 2, neither 0 nor 1"),
        ("log_loss", [0, 1], [0.2, 1.3], "row 2 is 1.3, no probability"),
        ("accuracy", [0, 1], [0.2, 1], "row 1 holds 0.2, which is no class"),
        ("f1", [0, 1], [0.2, 1], "row 1 holds 0.2, which is no class"),
        ("f1", [0, 0], [0, 0], "no row is of class 1"),
    ],
)
def test_a_metric_that_is_not_defined_is_refused(name, truth, predicted, says):
    with pytest.raises(DataError, match=says):
        compute(MetricName(name), truth, predicted)


def test_a_metric_in_its_range_is_read():
    assert read(POLICY, {"challenger": 4}, key="challenger", whose="the challenger") == 4.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 60.1, 999, True, "4", None])
def test_a_metric_that_cannot_be_believed_is_named(value):
    with pytest.raises(DataError, match=r"'mae' of the champion is") as caught:
        read(POLICY, {"mae": value}, key="mae", whose="the champion")
    assert repr(value) in str(caught.value)
    assert caught.value.remedy


def test_an_absent_metric_that_stands_inside_another_name_is_pointed_to():
    with pytest.raises(DataError, match=r"there is test\.mae, train\.rmse") as raised:
        read(POLICY, {"train.rmse": 1.0, "test.mae": 2.0}, key="mae", whose="the training")
    assert raised.value.remedy == "Set metric.reported_as = 'test.mae'."


def test_an_absent_metric_is_no_default():
    with pytest.raises(DataError, match="'mae' of the champion is absent; there is r2, rmse"):
        read(POLICY, {"rmse": 1.0, "r2": 0.5}, key="mae", whose="the champion")


@pytest.mark.parametrize("name", [*REGRESSION, MetricName.ACCURACY, MetricName.F1, "log_loss"])
@given(data=st.data())
def test_no_other_constant_beats_the_naive_prediction(name, data):
    name = MetricName(name)
    if name in REGRESSION:
        target = data.draw(st.lists(st.integers(1, 50), min_size=2, max_size=20))
        assume(len(set(target)) > 1)
        others = sorted({*target, *range(51)})
    else:
        target = data.draw(st.lists(st.integers(0, 1), min_size=2, max_size=20))
        assume(any(target))
        others = [0.0, 0.25, 0.5, 0.75, 1.0] if needs_probabilities(name) else [0, 1]
    sign = 1 if DIRECTIONS[name] is Direction.LOWER else -1

    def loss(constant):
        return sign * compute(name, target, [constant] * len(target))

    best = loss(naive_prediction(name, target))
    assert all(best <= loss(other) + 1e-9 for other in others)


def test_the_naive_class_of_many_is_the_most_frequent():
    for name in (MetricName.ACCURACY, MetricName.F1):
        assert naive_prediction(name, [0, 2, 2, 1]) == 2.0


def test_the_naive_probability_is_the_base_rate():
    assert naive_prediction(MetricName.ROC_AUC, [0, 1, 1, 1]) == 0.75


@pytest.mark.parametrize("name", MetricName)
def test_no_training_rows_have_no_naive_prediction(name):
    with pytest.raises(DataError, match="no rows"):
        naive_prediction(name, [])


def test_predictions_in_range_pass():
    check = bounded_predictions(POLICY, [0.0, 240.0, 12.5])
    assert check.passed
    assert check.value == 0


@pytest.mark.parametrize("bad", [-0.1, 240.1, math.nan, math.inf])
def test_a_prediction_out_of_range_fails_and_is_named(bad):
    check = bounded_predictions(POLICY, [1.0, bad, 2.0, 3.0])
    assert not check.passed
    assert check.value == 0.25
    assert "1 of 4 predictions" in check.message
    assert "row 2" in check.message


def test_no_predictions_never_pass():
    assert not bounded_predictions(POLICY, []).passed


@pytest.mark.parametrize("name", MetricName)
def test_a_metric_that_is_a_mean_is_the_mean_of_its_rows(name):
    truth = [1.0, 2.0, 4.0] if name in REGRESSION else [0.0, 1.0, 1.0]
    predicted = [2.0, 2.0, 1.0] if name in REGRESSION else [1.0, 0.0, 1.0]
    rows = row_contributions(name, truth, predicted)
    if name in {MetricName.R2, MetricName.F1, MetricName.ROC_AUC}:
        assert rows is None
        return
    metric = compute(name, truth, predicted)
    assert np.mean(rows) == pytest.approx(metric**2 if name is MetricName.RMSE else metric)


def _noisy(seed, spread):
    rng = np.random.default_rng(seed)
    truth = rng.normal(20, 5, size=400)
    return truth, truth + rng.normal(0, spread, size=400)


@pytest.mark.parametrize("name", [MetricName.MAE, MetricName.RMSE, MetricName.MAPE])
def test_the_interval_holds_the_difference_that_was_measured(name):
    truth, ours = _noisy(1, 1.0)
    theirs = ours + np.random.default_rng(2).normal(0, 0.5, size=400)
    low, high = difference_interval(name, truth, ours, theirs, seed=0)
    champion = compute(name, truth, theirs)
    assert low < (compute(name, truth, ours) - champion) / champion < high


def test_the_interval_of_95_per_cent_holds_the_truth_about_that_often():
    """300 draws of 200 rows, challenger 10 % worse; a two-sided 99.9 % band of the count."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        hard = rng.exponential(size=200)
        ours = 1.1 * hard * rng.uniform(0.5, 1.5, size=200)
        theirs = hard * rng.uniform(0.5, 1.5, size=200)
        low, high = relative_difference_interval(ours, theirs, seed=seed, resamples=200)
        held += low <= 0.1 <= high
    assert 268 <= held <= 298


def test_the_interval_is_the_same_again_and_scale_free():
    truth, ours = _noisy(1, 1.0)
    _, theirs = _noisy(2, 1.0)
    first = difference_interval(MetricName.MAE, truth, ours, theirs, seed=0)
    again = difference_interval(MetricName.MAE, truth, ours, theirs, seed=0)
    scaled = difference_interval(MetricName.MAE, truth * 60, ours * 60, theirs * 60, seed=0)
    assert first == again == pytest.approx(scaled)


def test_a_metric_that_is_no_mean_has_no_interval():
    truth, ours = [0, 1, 1, 0], [0.2, 0.8, 0.6, 0.4]
    assert difference_interval(MetricName.ROC_AUC, truth, ours, ours, seed=0) is None


def test_a_perfect_champion_has_no_relative_difference():
    assert relative_difference_interval(np.ones(5), np.zeros(5), seed=0) is None


@pytest.mark.parametrize(("ours", "theirs"), [(np.ones(2), np.ones(3)), (np.ones(0), np.ones(0))])
def test_losses_that_are_no_pairs_are_a_bug(ours, theirs):
    with pytest.raises(ValueError, match="no pairs"):
        relative_difference_interval(ours, theirs, seed=0)
