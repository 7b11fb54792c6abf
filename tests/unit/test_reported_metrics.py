"""What a training reports: finite numbers by name, or an error that says which is not."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.reported_metrics import reported_metrics

NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(), NUMBERS, min_size=1))
def test_finite_numbers_come_back_as_they_were(metrics):
    assert reported_metrics(json.dumps(metrics), where="m.json") == metrics


@given(
    st.dictionaries(st.text(), NUMBERS),
    st.text(),
    st.none() | NOT_FINITE,
)
def test_one_value_that_is_no_finite_number_spoils_the_file(metrics, name, value):
    with pytest.raises(DataError) as raised:
        reported_metrics(json.dumps({**metrics, name: value}), where="m.json")
    assert f"m.json: {name} = " in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("{}", "holds no metrics"),
        ("[1]", "holds no metrics"),
        ("NaN", "holds no metrics"),
        ('{"mae": 1, "mae": 2}', "'mae' twice"),
        ('{"a": {"mae": 1}, "a.mae": 2}', "'a.mae' twice"),
        ('{"a": {"mae": null}}', "a.mae = null"),
        ('{"by": "me", "good": true}', "holds no metrics"),
        (f'{{"mae": {"9" * 400}}}', "mae = inf is not finite"),
        ('{"mae": 1e400}', "mae = inf is not finite"),
    ],
)
def test_what_holds_no_numbers_by_name_is_named(text, message):
    with pytest.raises(DataError, match=message) as raised:
        reported_metrics(text, where="m.json")
    assert "m.json" in str(raised.value)


@given(NUMBERS, st.booleans() | st.text() | st.lists(NUMBERS | st.none()))
def test_nested_metrics_go_by_their_path_and_what_is_no_number_is_no_metric(number, other):
    text = json.dumps({"test": {"best": {"mae": number}, "other": other}, "other": other})
    assert reported_metrics(text, where="m.json") == {"test.best.mae": number}
