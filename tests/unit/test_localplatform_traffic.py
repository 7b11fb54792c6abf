"""Windows over recorded requests, against counting them one by one."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from ml_pipeline.localplatform.traffic import Kind, Recorder, TrafficStore

START_S = 1_700_000_000.0


@pytest.fixture
def store(tmp_path):
    made = TrafficStore(tmp_path / "traffic.sqlite")
    yield made
    made.close()


class Wall:
    now_s = START_S

    def __call__(self) -> float:
        return self.now_s


requests = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.5, 3.0]),  # seconds since the one before
        st.sampled_from([0.001, 0.5, 0.5000001, 40.0]),  # seconds it took
        st.sampled_from(Kind),
        st.sampled_from(["a", "b"]),
        st.booleans(),  # written after it
    ),
    max_size=40,
)
times = st.floats(-1, 30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests=requests, low=times, length=st.floats(0, 20))
def test_a_window_holds_what_ended_in_it(tmp_path_factory, requests, low, length):
    store = TrafficStore(tmp_path_factory.mktemp("traffic") / "traffic.sqlite")
    wall, counted = Wall(), []
    recorder = Recorder(wall)
    for gap, took_s, kind, slot, flush in requests:
        wall.now_s += gap
        recorder.add(slot, took_s, kind)
        counted.append((wall.now_s, took_s, kind, slot))
        if flush:
            store.write(*recorder.take())
            recorder.written()
    store.write(*recorder.take())
    start_s, end_s = START_S + low, START_S + low + length
    seen = store.window("a", start_s, end_s, 500.0)
    store.close()
    # offsets are kept to the microsecond, which is what a double holds of today's time
    inside = [
        (took_s, kind)
        for at_s, took_s, kind, slot in counted
        if slot == "a" and start_s - 1e-6 <= at_s < end_s - 1e-6
    ]
    edge = [at_s for at_s, *_ in counted if min(abs(at_s - start_s), abs(at_s - end_s)) <= 2e-6]
    if edge:
        return
    took = sorted(took_s for took_s, kind in inside if kind is not Kind.CLIENT_ERROR)
    assert seen.requests == len(took)
    assert seen.errors == sum(kind is Kind.ERROR for _, kind in inside)
    assert seen.client_errors == sum(kind is Kind.CLIENT_ERROR for _, kind in inside)
    assert seen.slow == sum(took_s >= 0.5 for took_s in took)
    if took:
        assert seen.p99_ms == pytest.approx(took[math.ceil(99 * len(took) / 100) - 1] * 1000)
    else:
        assert seen.p99_ms is None


def test_what_could_not_be_written_is_offered_again(store):
    wall = Wall()
    recorder = Recorder(wall)
    recorder.add("a", 0.1, Kind.OK)
    first, _ = recorder.take()
    recorder.add("a", 0.1, Kind.OK)
    again, through_s = recorder.take()
    assert again[: len(first)] == first
    store.write(again, through_s)
    recorder.written()
    assert recorder.take()[0] == []
    assert store.window("a", START_S - 1, START_S + 1, 500).requests == 2


def test_as_of_is_when_everything_was_written_and_nothing_before_that(store):
    assert store.window("a", 0, START_S, 500).as_of_s == 0.0
    store.write([], START_S)
    assert store.window("a", 0, START_S, 500).as_of_s == START_S


def test_a_clock_that_is_set_back_loses_nothing(store):
    wall = Wall()
    recorder = Recorder(wall)
    recorder.add("a", 0.1, Kind.OK)
    wall.now_s -= 3600
    recorder.add("a", 0.1, Kind.OK)
    store.write(*recorder.take())
    assert store.window("a", START_S - 1, START_S + 1, 500).requests == 2


def test_old_traffic_is_forgotten(store):
    wall = Wall()
    recorder = Recorder(wall)
    recorder.add("a", 0.1, Kind.OK)
    store.write(*recorder.take())
    recorder.written()
    wall.now_s += 10
    recorder.add("a", 0.1, Kind.OK)
    store.write(*recorder.take())
    store.forget(START_S + 5)
    assert store.window("a", START_S - 1, START_S + 99, 500).requests == 1
