"""Which rows are held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.holdout import held_out_by_hash, time_cutoff

shares = st.floats(0.01, 0.99)
times = st.lists(st.integers(-50, 50), min_size=2, max_size=100).filter(
    lambda values: len(set(values)) > 1
)


@given(times, shares)
def test_a_cutoff_leaves_rows_on_both_sides(values, share):
    cutoff = time_cutoff(np.array(values), share)
    assert min(values) < cutoff <= max(values)
    assert cutoff in values


@given(times, shares)
def test_no_other_time_comes_closer_to_the_share(values, share):
    def miss(cutoff):
        return abs(sum(value >= cutoff for value in values) - share * len(values))

    best = min(miss(one) for one in set(values) if one > min(values))
    assert miss(time_cutoff(np.array(values), share)) == best


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 1000, size=500)
    assert time_cutoff(values, 0.2) == time_cutoff(rng.permutation(values), 0.2)


@pytest.mark.parametrize("values", [[], [7], [7, 7, 7]])
def test_rows_of_one_time_cannot_be_parted(values):
    with pytest.raises(DataError, match="no cut-off"):
        time_cutoff(np.array(values, dtype=np.int64), 0.2)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), shares, shares)
def test_a_larger_share_holds_out_the_same_rows_and_more(hashes, one, other):
    rows = np.array(hashes, dtype=np.uint64)
    fewer, more = (held_out_by_hash(rows, share) for share in sorted((one, other)))
    assert not (fewer & ~more).any()


def test_the_share_is_met_for_evenly_spread_hashes():
    hashes = np.random.default_rng(0).integers(0, 2**64, size=100_000, dtype=np.uint64)
    assert held_out_by_hash(hashes, 0.2).mean() == pytest.approx(0.2, abs=0.005)
