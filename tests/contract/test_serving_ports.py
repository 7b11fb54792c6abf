"""ModelHost, TrafficRouter and TrafficMetrics, the same for every platform that serves."""

from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from ml_pipeline.domain.errors import (
    BusyError,
    ConfigurationError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from tests.emulators.azureml_cases import AzuremlWorld
from tests.emulators.sagemaker_driver import SageMakerWorld
from tests.emulators.vertex_cases import VertexWorld
from tests.fakes.platforms import BODY, LocalWorld, eventually

WORLDS = {
    "local": LocalWorld,
    "vertex": VertexWorld,
    "sagemaker": SageMakerWorld,
    "azureml": AzuremlWorld,
}


@pytest.fixture(scope="module", params=sorted(WORLDS))
def world(request, tmp_path_factory):
    """One platform for all tests here, with champion `c1` at 100 %."""
    made = WORLDS[request.param](tmp_path_factory.mktemp(request.param))
    made.up()
    try:
        made.before = made.router.weights()
        made.deploy("c1", predicts=1.0)
        made.router.set_weights({"c1": 100})
        yield made
    finally:
        made.down()


@pytest.fixture
def challenger(world):
    """Slot `c2` beside the champion; traffic is the champion's again afterwards."""
    world.deploy("c2", predicts=2.0)
    yield "c2"
    if world.router.rollout() is not None:
        world.router.commit(world.router.rollout())
    world.router.set_weights({"c1": 100})
    world.production.remove("c2")


def test_a_platform_without_deployments_has_no_weights(world):
    assert world.before == {}


def test_a_deployed_version_answers_in_its_slot(world):
    assert world.production.health("c1")
    assert world.production.failure("c1") == ""
    assert list(world.production.predict("c1", ["a"], [[1.0], [2.0]])) == [1.0, 1.0]


def test_a_label_of_text_is_predicted_by_its_position_among_the_classes(world):
    """The model itself is served here, whose plain answer is the label."""
    world.deploy("t1", host="staging", model="text")
    rows = [["y", 0.9], ["x", 0.2]]
    assert list(world.staging.predict("t1", ["name", "size"], rows)) == [1.0, 0.0]
    target = world.staging.target("t1")
    body = {"dataframe_split": {"columns": ["name", "size"], "data": rows}}
    answer = httpx.post(target.url, json=body, headers=dict(target.headers), timeout=30)
    assert answer.json()["predictions"] == ["y", "x"]
    world.staging.remove("t1")


def test_a_slot_takes_requests_past_the_router(world):
    target = world.production.target("c1")
    answer = httpx.post(target.url, json=BODY, headers=dict(target.headers), timeout=30)
    assert answer.json()["predictions"] == [1.0]


def test_a_new_deployment_gets_no_traffic(world, challenger):
    assert world.router.weights().get(challenger, 0) == 0
    assert {answer.headers["X-Model-Slot"] for answer in world.send(20)} == {"c1"}


def test_staging_and_production_do_not_share_slots(world):
    world.deploy("s1", host="staging", predicts=7.0)
    assert "s1" not in {one.slot for one in world.production.list()}
    assert [one.slot for one in world.staging.list()] == ["s1"]
    assert not world.production.health("s1")
    world.staging.remove("s1")
    assert list(world.staging.list()) == []


def test_the_list_says_what_runs_where(world):
    found = {one.slot: one for one in world.production.list()}["c1"]
    assert (found.model, found.version, found.healthy) == ("m", "of-c1", True)
    assert found.target == world.production.target("c1")
    assert found.since <= world.clock.now()


def test_the_same_version_again_changes_nothing(world):
    before = world.production.list()
    version, package = world.version("of-c1")
    world.production.deploy("c1", version, package)
    assert world.production.list() == before


def test_another_version_replaces_what_is_in_an_idle_slot(world):
    world.deploy("s2", host="staging", predicts=1.0)
    version, package = world.version("newer", predicts=5.0)
    world.staging.deploy("s2", version, package)
    eventually(lambda: world.staging.health("s2"))
    assert list(world.staging.predict("s2", ["a"], [[1.0]])) == [5.0]
    assert [one.version for one in world.staging.list()] == ["newer"]
    world.staging.remove("s2")


def test_a_slot_with_traffic_is_neither_replaced_nor_removed(world):
    version, package = world.version("other", predicts=9.0)
    with pytest.raises(PlatformRefusedError, match="c1"):
        world.production.deploy("c1", version, package)
    with pytest.raises(PlatformRefusedError, match="c1"):
        world.production.remove("c1")
    assert [answer.text for answer in world.send()] == ['{"predictions": [1.0]}']


def test_removing_what_is_not_there_is_no_error(world):
    world.production.remove("never-was")


def test_a_slot_nobody_deployed_is_not_healthy_and_says_so(world):
    assert not world.production.health("never-was")
    assert "never-was" in world.production.failure("never-was")
    with pytest.raises(PlatformRefusedError, match="never-was"):
        world.production.target("never-was")


def test_a_package_that_does_not_load_says_why(world):
    version, package = world.version("broken", ends=5)
    world.staging.deploy("s3", version, package)
    eventually(lambda: "I cannot load this model" in world.staging.failure("s3"))
    assert not world.staging.health("s3")
    with pytest.raises(PlatformUnavailableError):
        world.staging.predict("s3", ["a"], [[1.0]])
    world.staging.remove("s3")


def test_weights_are_read_back_as_they_were_set(world, challenger):
    for weights in ({"c1": 90, challenger: 10}, {"c1": 0, challenger: 100}, {"c1": 100}):
        world.router.set_weights(weights)
        found = {slot: share for slot, share in world.router.weights().items() if share}
        assert found == {slot: share for slot, share in weights.items() if share}


def test_traffic_follows_the_weights(world, challenger):
    world.router.set_weights({"c1": 50, challenger: 50})
    slots = [answer.headers["X-Model-Slot"] for answer in world.send(200)]
    assert 50 <= slots.count(challenger) <= 150  # 7 standard deviations
    world.router.set_weights({"c1": 0, challenger: 100})
    assert {answer.json()["predictions"][0] for answer in world.send(20)} == {2.0}


def test_answers_name_slot_and_version(world):
    headers = world.send()[0].headers
    assert (headers["X-Model-Slot"], headers["X-Model-Version"]) == ("c1", "of-c1")


@pytest.mark.parametrize(
    "weights", [{"c1": 90}, {"c1": 101}, {}, {"c1": 110, "c2": -10}, {"c1": 50.0, "c2": 50.0}]
)
def test_weights_that_are_no_whole_per_cents_of_100_are_refused(world, challenger, weights):
    with pytest.raises(ConfigurationError):
        world.router.set_weights(weights)
    assert world.router.weights() == {"c1": 100}


def test_weights_for_an_unknown_slot_are_refused(world):
    with pytest.raises(PlatformRefusedError, match="never-was"):
        world.router.set_weights({"c1": 50, "never-was": 50})
    assert world.router.weights() == {"c1": 100}


def test_a_rollout_is_held_renewed_and_committed(world, challenger):
    assert world.router.rollout() is None
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)
    assert world.router.rollout() == "run-1"
    world.router.set_weights({"c1": 75, challenger: 25})
    world.router.renew("run-1")
    world.router.commit("run-1")
    assert world.router.rollout() is None
    assert world.router.weights() == {"c1": 75, challenger: 25}


def test_only_one_run_moves_traffic_at_a_time(world, challenger):
    other = world.another_router()
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)
    with pytest.raises(BusyError, match="run-1"):
        other.hold("run-2", fallback={"c1": 100}, lease_s=60)
    with pytest.raises(PlatformRefusedError, match="run-1"):
        other.renew("run-2")
    assert world.router.rollout() == "run-1"


def test_the_run_that_holds_the_lease_may_hold_it_anew(world, challenger):
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)
    world.another_router().hold("run-1", fallback={"c1": 100}, lease_s=60)
    assert world.router.rollout() == "run-1"


def test_a_fallback_to_an_unknown_slot_is_refused(world):
    with pytest.raises(PlatformRefusedError, match="never-was"):
        world.router.hold("run-1", fallback={"never-was": 100}, lease_s=60)
    assert world.router.rollout() is None


def test_a_slot_traffic_would_fall_back_to_is_not_removed(world, challenger):
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)
    world.router.set_weights({"c1": 0, challenger: 100})
    with pytest.raises(PlatformRefusedError, match="c1"):
        world.production.remove("c1")


def test_a_lease_that_ran_out_gives_traffic_back_where_the_platform_heals_itself(world, challenger):
    if not world.router.self_healing:
        pytest.skip("this platform leaves it to `abort`")
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=3)
    world.router.set_weights({"c1": 10, challenger: 90})
    eventually(lambda: world.router.weights() == {"c1": 100})
    assert world.router.rollout() is None
    assert {answer.headers["X-Model-Slot"] for answer in world.send(20)} == {"c1"}
    for late in (world.router.renew, world.router.commit):
        with pytest.raises(PlatformRefusedError, match="ran out"):
            late("run-1")
    with pytest.raises(PlatformRefusedError, match="ran out"):
        world.router.set_weights({"c1": 0, challenger: 100})
    world.router.set_weights({"c1": 100})  # what stands already may be asked for
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)


def complete(world, slot, start, end, slow_ms=10_000.0):
    """The slot's window once the platform says that nothing is missing in it."""

    def look():
        seen = world.traffic.window(slot, start, end, slow_ms)
        return seen if seen.as_of >= end else None

    return eventually(look)


def test_a_window_counts_every_request_of_its_slot_once(world, challenger):
    world.router.set_weights({"c1": 50, challenger: 50})
    start = world.clock.now()
    slots = [answer.headers["X-Model-Slot"] for answer in world.send(60)]
    end = world.clock.now()
    for slot in ("c1", challenger):
        seen = complete(world, slot, start, end)
        assert (seen.slot, seen.start, seen.end) == (slot, start, end)
        assert (seen.requests, seen.errors) == (slots.count(slot), 0)
        assert not seen.slow  # None where the platform does not count them
        assert seen.p99_ms is None or 0 < seen.p99_ms < 10_000


def test_windows_side_by_side_neither_overlap_nor_leave_gaps(world):
    times = [world.clock.now()]
    for _ in range(3):
        world.send(5)
        times.append(world.clock.now())
    parts = [complete(world, "c1", a, b).requests for a, b in pairwise(times)]
    assert parts == [5, 5, 5]


def test_no_requests_are_no_data_and_not_health(world, challenger):
    start = world.clock.now()
    seen = complete(world, challenger, start, start + timedelta(seconds=1))
    assert (seen.requests, seen.errors, seen.p99_ms) == (0, 0, None)


def drilled(world, slot, chaos):
    """A slot that misbehaves on request, where the platform has drills."""
    try:
        world.deploy(slot, chaos=chaos)
    except PlatformRefusedError as refusal:
        pytest.skip(f"no drills: {refusal}")


def test_errors_and_slow_requests_are_seen_where_they_happen(world):
    drilled(world, "c3", "errors=0.5,slow_ms=60")
    world.router.set_weights({"c1": 0, "c3": 100})
    start = world.clock.now()
    codes = [answer.status_code for answer in world.send(10)]
    seen = complete(world, "c3", start, world.clock.now(), slow_ms=50)
    world.router.set_weights({"c1": 100})
    world.production.remove("c3")
    assert codes.count(500) == 5
    assert (seen.requests, seen.errors, seen.slow) == (10, 5, 10)
    assert seen.p99_ms >= 50


def test_a_drill_leaves_health_alone(world):
    drilled(world, "c4", "errors=1")
    assert world.production.health("c4")
    assert world.production.failure("c4") == ""
    world.production.remove("c4")


def test_an_unknown_drill_is_refused(world):
    version, package = world.version("drilled")
    with pytest.raises(ConfigurationError, match="sharks"):
        world.production.deploy("c5", version, package, chaos="sharks=1")


def test_a_body_the_model_server_refuses_is_counted_apart_and_no_error_of_the_model(world):
    start = world.clock.now()
    world.send(2)
    taken = complete(world, "c1", start, world.clock.now())
    assert (taken.requests, taken.refused) == (2, 0)
    world.deploy("c6", status=400)
    world.router.set_weights({"c1": 0, "c6": 100})
    start = world.clock.now()
    assert [answer.status_code for answer in world.send(3)] == [400, 400, 400]
    seen = complete(world, "c6", start, world.clock.now())
    world.router.set_weights({"c1": 100})
    world.production.remove("c6")
    assert (seen.requests, seen.errors, seen.refused) == (0, 0, 3)


def test_metrics_of_a_platform_that_is_gone_are_unavailable_not_empty(world, tmp_path):
    gone = type(world)(tmp_path)
    now = world.clock.now()
    with pytest.raises(PlatformUnavailableError, match="up"):
        gone.traffic.window("c1", now, now, 500)
