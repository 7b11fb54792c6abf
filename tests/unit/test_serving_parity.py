"""Two forms of one model, row by row."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.parity import parity, relative_difference

numbers = st.floats(-1e9, 1e9)


@given(st.lists(numbers, min_size=1))
def test_a_model_equals_itself(predictions):
    found = parity(predictions, predictions, tolerance=1e-12)
    assert found.equal
    assert found.worst == 0


@given(st.lists(st.tuples(numbers, numbers), min_size=1), st.floats(1e-9, 10))
def test_it_is_equal_exactly_when_the_worst_row_is_within_the_tolerance(pairs, tolerance):
    expected, actual = [list(side) for side in zip(*pairs, strict=True)]
    found = parity(expected, actual, tolerance=tolerance)
    assert found.equal == (found.worst <= tolerance)
    row = found.worst_row
    assert relative_difference(expected[row], actual[row]) == found.worst
    assert 0 <= found.differing_rows <= found.rows == len(pairs)


def test_large_predictions_are_compared_relatively_and_small_ones_absolutely():
    assert relative_difference(1e6, 1e6 + 1) < 1e-5
    assert relative_difference(0.0, 1e-3) == 1e-3


def test_a_difference_that_is_no_number_is_a_difference():
    assert not parity([1.0], [math.nan], tolerance=1.0).equal


@pytest.mark.parametrize(("expected", "actual"), [([], []), ([1.0], []), ([1.0], [1.0, 2.0])])
def test_what_cannot_be_compared_is_not_called_equal(expected, actual):
    with pytest.raises(DataError, match="cannot be compared"):
        parity(expected, actual, tolerance=1.0)
