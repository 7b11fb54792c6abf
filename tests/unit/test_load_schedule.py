"""The schedule: even, complete, and free of drift."""

from hypothesis import example, given
from hypothesis import strategies as st

from ml_pipeline.loadgen.schedule import Schedule

schedules = st.builds(Schedule, st.floats(0.01, 5000), st.floats(0.001, 3600))


@given(schedules)
@example(Schedule(0.1, 30))
@example(Schedule(0.1, 0.3))
def test_the_requests_fill_the_duration_and_no_more(schedule):
    last = schedule.requests - 1
    assert schedule.due_s(0) == 0
    assert schedule.requests >= 1
    assert last == 0 or schedule.due_s(last) < schedule.duration_s
    tolerance_s = 1e-5 / schedule.rate_per_s
    assert schedule.due_s(last + 1) >= schedule.duration_s - tolerance_s


@given(schedules, st.integers(0, 10**7))
def test_no_request_is_due_before_the_one_before_it_and_none_drifts(schedule, number):
    due_s = schedule.due_s(number)
    assert schedule.due_s(number + 1) > due_s
    assert abs(due_s * schedule.rate_per_s - number) <= 1e-9 * (number + 1)


@given(schedules, st.integers(0, 10**7))
def test_a_request_belongs_to_the_second_it_is_due_in(schedule, number):
    second = schedule.second(number)
    assert second <= schedule.due_s(number) < second + 1


def test_whole_rates_and_durations_give_their_product():
    assert Schedule(50, 30).requests == 1500
    assert Schedule(0.1, 30).requests == 3
    assert Schedule(500, 0.1).requests == 50
