"""Faults put into an emulated Vertex AI: the right error, and nothing left running."""

from datetime import timedelta

import pytest

from ml_pipeline.domain.errors import (
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.registry import CHAMPION
from ml_pipeline.ports.training import JobState
from tests.emulators.vertex_cases import VertexTrainingCase, parts_of, serving
from tests.fakes.clock import FakeClock
from tests.fakes.platforms import eventually, taken_over

pytestmark = pytest.mark.e2e


@pytest.fixture
def case(tmp_path):
    made = VertexTrainingCase(tmp_path)
    yield made
    made.clean()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("world"), "c1", "c2") as made:
        yield made


@pytest.fixture(autouse=True)
def no_faults_left(request):
    shared = request.getfixturevalue("world") if "world" in request.fixturenames else None
    yield
    if shared is not None:
        shared.emulator.faults.clear()


def calls(thing, method):
    return thing.emulator.faults.calls.count(method)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "FAILED_PRECONDITION"])
def test_a_refusal_is_said_at_once_and_leaves_no_job(case, code):
    case.emulator.faults.add("CreateCustomJob", code=code)
    with pytest.raises(PlatformRefusedError, match="submit"):
        case.platform().submit(case.request())
    assert calls(case, "CreateCustomJob") == 1
    assert case.platform().find("shop", "run-1") is None


def test_a_champion_nobody_may_read_is_not_no_champion(case):
    registry = parts_of(case.emulator, case.folder).registry
    assert registry.champion("eta") is None
    case.emulator.faults.add("GetModel", code="PERMISSION_DENIED", times=99)
    with pytest.raises(PlatformRefusedError):
        registry.champion("eta")


def test_a_project_that_is_not_there_is_refused(case):
    case.emulator.faults.add("CreateCustomJob", code="NOT_FOUND")
    with pytest.raises(PlatformRefusedError, match="there is no projects/"):
        case.platform().submit(case.request())


def test_a_crowd_is_waited_for_as_long_as_the_platform_asks(case):
    case.emulator.faults.add("CreateCustomJob", code="RESOURCE_EXHAUSTED", retry_after_s=0.7)
    platform = case.platform()
    clock = platform._clients.attempts._clock = FakeClock()
    platform.submit(case.request())
    assert clock.monotonic() == 0.7
    assert calls(case, "CreateCustomJob") == 2


@pytest.mark.parametrize("how", [{"code": "INTERNAL"}, {"code": "UNAVAILABLE"}, {"reset": True}])
def test_a_platform_that_stays_broken_is_unavailable_after_bounded_attempts(case, how):
    case.emulator.faults.add("ListCustomJobs", times=99, **how)
    with pytest.raises(PlatformUnavailableError, match="given up after 4 attempts"):
        case.platform().find("shop", "run-1")
    assert calls(case, "ListCustomJobs") == 4


@pytest.mark.parametrize("how", [{"code": "INTERNAL"}, {"reset": True}, {"delay_s": 1.0}])
def test_a_short_fault_costs_only_time(case, how):
    case.emulator.faults.add("CreateCustomJob", **how)
    job = case.platform().submit(case.request())
    assert case.platform().find("shop", "run-1") == job


@pytest.mark.parametrize("method", ["storage.put", "storage.get", "storage.list"])
def test_a_bucket_that_drops_a_connection_is_asked_again(case, method):
    case.emulator.faults.add(method, reset=True)
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    assert platform.result(job).metrics["mae"] == 4.5


def test_a_bucket_that_refuses_is_said(case):
    case.emulator.faults.add("storage.put", code="PERMISSION_DENIED")
    with pytest.raises(PlatformRefusedError, match="to store gs://"):
        case.platform().submit(case.request())
    assert calls(case, "CreateCustomJob") == 0


def test_a_token_that_expires_half_way_is_renewed_and_not_at_each_call(case):
    platform = case.platform()
    job = platform.submit(case.request())
    issued = calls(case, "token")
    case.emulator.tokens.expire()
    assert case.ended(platform, job) is JobState.SUCCEEDED
    # Google's library takes no lock: two calls at one time may both find it expired.
    assert issued < calls(case, "token") <= issued + 2


def test_a_sign_in_that_ended_for_good_is_refused_with_a_remedy(case):
    platform = case.platform()
    job = platform.submit(case.request())
    case.emulator.faults.add("GetCustomJob", code="UNAUTHENTICATED", times=2)
    with pytest.raises(PlatformRefusedError, match="does not know who asks") as refused:
        platform.state(job)
    assert "Sign in again" in refused.value.remedy


def test_a_job_that_fails_for_the_platforms_own_reasons_says_them(case):
    case.emulator.faults.jobs["run-1"] = "failed"
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.FAILED
    assert "workerpool0-0 was lost" in platform.failure(job)


def test_a_job_that_is_preempted_starts_again_and_ends_well(case):
    case.emulator.faults.jobs["run-1"] = "preempted"
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED


def test_a_job_that_never_leaves_the_queue_is_cancelled_at_our_limit(case):
    case.emulator.faults.jobs["run-1"] = "stuck"
    platform = case.platform()
    job = platform.submit(case.request())
    assert platform.state(job) is JobState.QUEUED
    platform.cancel(job)
    assert case.ended(platform, job) is JobState.CANCELLED
    assert not platform.running("shop")


def test_a_job_is_ended_by_the_platform_too_when_it_runs_too_long(case):
    from dataclasses import replace

    platform = case.platform()
    job = platform.submit(replace(case.request(behaviour="hang"), time_limit_s=1))
    assert case.ended(platform, job) is JobState.FAILED
    assert "timeout" in platform.failure(job)


def test_metrics_that_vanished_are_no_metrics(case):
    platform = case.platform()
    job = platform.submit(case.request())
    case.ended(platform, job)
    for one in case.emulator.store.rglob("metrics.json"):
        one.unlink()
    with pytest.raises(DataError, match=r"left no metrics .metrics\.json"):
        platform.result(job)


def test_an_artifact_that_vanished_is_not_fetched(case, tmp_path):
    from tests.emulators.vertex_cases import parts_of

    platform = case.platform()
    job = platform.submit(case.request())
    case.ended(platform, job)
    uri = platform.result(job).model_uri
    for one in case.emulator.store.rglob("model.skops"):
        one.unlink()
    with pytest.raises(DataError, match="nothing at"):
        parts_of(case.emulator, tmp_path).artifacts.fetch(uri, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_an_endpoint_that_cannot_be_made_is_refused_and_leaves_none(world):
    version, package = world.version("of-c1")
    world.emulator.faults.add("CreateEndpoint", code="FAILED_PRECONDITION", operation=True)
    with pytest.raises(PlatformRefusedError, match="to make"):
        world.staging.deploy("s1", version, package)
    assert list(world.staging.list()) == []


def test_a_deployment_that_fails_says_why_and_can_be_taken_away(world):
    version, package = world.version("of-c1")
    world.emulator.faults.add("DeployModel", code="FAILED_PRECONDITION", operation=True)
    world.staging.deploy("s2", version, package)
    eventually(lambda: "a fault" in world.staging.failure("s2"))
    world.staging.remove("s2")
    assert [one for one in world.emulator.endpoints.endpoints if "s2" in one] == []


def test_a_deployment_that_a_dead_machine_began_is_made_once(world):
    from tests.emulators.vertex_cases import parts_of

    version, package = world.version("of-c1")
    world.staging.deploy("s3", version, package)
    fresh = parts_of(world.emulator, world.folder).staging_host
    fresh.deploy("s3", version, package)
    eventually(lambda: fresh.health("s3"))
    assert [one.slot for one in fresh.list()] == ["s3"]
    fresh.remove("s3")


def test_weights_that_were_taken_and_not_applied_are_a_refusal(world):
    world.emulator.faults.add("UpdateEndpoint", lost=True)
    with pytest.raises(PlatformRefusedError, match="was asked for"):
        world.router.set_weights({"c1": 90, "c2": 10})
    assert world.router.weights() == {"c1": 100}


def test_an_outage_while_weights_are_set_changes_nothing(world):
    world.emulator.faults.add("UpdateEndpoint", code="UNAVAILABLE", times=4)
    with pytest.raises(PlatformUnavailableError):
        world.router.set_weights({"c1": 90, "c2": 10})
    assert world.router.weights() == {"c1": 100}


def test_weights_that_do_not_sum_to_100_reach_no_platform(world):
    before = len(world.emulator.faults.calls)
    with pytest.raises(Exception, match="sum to 120"):
        world.router.set_weights({"c1": 110, "c2": 10} | {"c1": 100, "c2": 20})
    assert len(world.emulator.faults.calls) == before


def test_an_abandoned_rollout_is_seen_and_ended_from_a_fresh_machine(world):
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=60)
    world.router.set_weights({"c1": 90, "c2": 10})
    fresh = world.another_router()
    assert fresh.rollout() == "run-1"
    fresh.set_weights({"c1": 100})
    fresh.commit("run-1")
    assert world.another_router().rollout() is None


def test_a_lease_that_ran_out_can_be_taken_by_another_run_which_first_puts_it_right(world):
    world.router.set_weights({"c1": 90, "c2": 10})
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=0.01)
    other = world.another_router()
    eventually(lambda: taken_over(other, "run-2", fallback={"c1": 100}))
    assert other.weights() == {"c1": 100}
    with pytest.raises(PlatformRefusedError, match="run-2 holds the lease"):
        world.router.renew("run-1")
    other.commit("run-2")


def test_metrics_that_cannot_be_read_are_not_no_data(world):
    world.emulator.faults.add("ListTimeSeries", code="INTERNAL", times=4)
    now = world.clock.now()
    with pytest.raises(PlatformUnavailableError):
        world.traffic.window("c1", now - timedelta(seconds=10), now, 500)


def test_requests_without_latencies_are_counted_and_not_complete(world):
    """They are late, or never come: no window says that nobody was slow."""
    start = world.clock.now()
    world.send(3)
    end = world.clock.now()
    seen = lambda slot="c1": world.traffic.window(slot, start, end, 500)  # noqa: E731
    world.emulator.metrics.latencies_lost = True
    assert eventually(lambda: seen().requests == 3 and seen("unused").as_of >= end)
    late = seen()
    assert (late.slow, late.p99_ms) == (None, None)
    assert late.as_of < end
    world.emulator.metrics.latencies_lost = False
    assert eventually(lambda: seen().as_of >= end)
    assert seen().p99_ms > 0


def test_late_metrics_say_until_when_they_are_complete(world):
    world.emulator.metrics.delay_s, before = 60, world.emulator.metrics.delay_s
    try:
        start = world.clock.now()
        world.send(3)
        end = world.clock.now()
        seen = world.traffic.window("c1", start, end, 500)
        assert seen.requests == 0
    finally:
        world.emulator.metrics.delay_s = before


def test_a_token_that_expires_during_a_load_test_loses_no_request(world):
    world.send(1)
    world.emulator.tokens.expire()
    assert [answer.status_code for answer in world.send(3)] == [200, 200, 200]


def test_a_slot_without_all_traffic_takes_no_requests_of_its_own(world):
    with pytest.raises(PlatformRefusedError, match="0 % of its endpoint"):
        world.production.target("c2")


def test_a_champion_with_an_impossible_description_is_not_no_champion(world):
    version, _ = world.version("of-c1")
    registry = world.parts.registry
    registry.set_alias("m", CHAMPION, version.version)
    model = world.emulator.models.version(version.uri)
    kept = model.version_description
    for broken in ("", '{"run_id": 1}', kept.replace('"metrics":{}', '"metrics":{"mae":"NaN"}')):
        model.version_description = broken
        with pytest.raises(DataError, match="description"):
            registry.champion("m")
    model.version_description = kept
    registry.clear_alias("m", CHAMPION)
    assert registry.champion("m") is None
