"""Which slot a request goes to."""

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from ml_pipeline.localplatform.split import Split


@st.composite
def shares(draw, least: int = 1):
    """Per cents of up to five slots that sum to 100, zeros among them."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=least - 1, max_size=4)))
    ends = [0, *cuts, 100]
    return {f"v{n}": b - a for n, (a, b) in enumerate(pairwise(ends))}


points = st.floats(0, 1, exclude_max=True)
keys = st.text(max_size=20)


@given(shares(), points)
def test_a_slot_without_a_share_gets_nothing(weights, point):
    assert weights[Split(weights).at(point)] > 0


@given(shares(), keys)
def test_a_slot_without_a_share_gets_no_key(weights, key):
    assert weights[Split(weights).of(key)] > 0


@given(shares())
def test_points_spread_over_the_slots_exactly_by_share(weights):
    split = Split(weights)
    met = [split.at((n + 0.5) / 100) for n in range(100)]
    assert {slot: met.count(slot) for slot in weights} == weights


@given(shares(), keys)
def test_a_key_meets_the_same_slot_whatever_the_order_of_the_slots(weights, key):
    backwards = dict(reversed(weights.items()))
    assert Split(weights).of(key) == Split(backwards).of(key)


@given(shares(least=2), st.data(), keys)
def test_a_key_moves_only_to_a_slot_that_grew_or_from_one_that_shrank(weights, data, key):
    giver = data.draw(st.sampled_from(sorted(weights)))
    taker = data.draw(st.sampled_from(sorted(set(weights) - {giver})))
    assume(weights[giver] > 0)
    moved = data.draw(st.integers(1, weights[giver]))
    after = {**weights, giver: weights[giver] - moved, taker: weights[taker] + moved}
    old, new = Split(weights).of(key), Split(after).of(key)
    assert old in {new, giver} or new == taker
    if old == taker:
        assert new == taker


def test_keys_spread_over_the_slots_about_by_share():
    split = Split({"a": 10, "b": 90})
    met = [split.of(f"user-{n}") for n in range(10_000)]
    assert abs(met.count("a") - 1000) < 150  # 5 standard deviations


def test_without_any_share_there_is_no_slot():
    assert Split({}).at(0.5) is None
    assert Split({"a": 0}).of("key") is None
    assert Split({"a": 0}).slots == ()


def test_any_header_value_is_a_key():
    assert Split({"a": 50, "b": 50}).of("\udcff") in {"a", "b"}
