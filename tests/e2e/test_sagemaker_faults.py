"""SageMaker going wrong: each fault ends in its error, and leaves a clean platform."""

import sys
from dataclasses import replace

import httpx
import pytest

from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.training import JobRef, JobState, cancel_and_see
from tests.emulators.sagemaker_driver import (
    SageMakerWorld,
    parts_on,
    sagemaker_training,
)
from tests.emulators.sagemaker_script import SCRIPT_MODE, stored
from tests.fakes.platforms import BODY, eventually, taken_over
from tests.fakes.projects import write_files

RESUMES = """
import pathlib, sys, time
data, output = map(pathlib.Path, sys.argv[1:])
kept = data.parents[3] / "checkpoints" / "step.txt"  # /opt/ml/checkpoints
if not kept.exists():
    kept.write_text("41")
    time.sleep(600)
(output / "model.skops").write_bytes(b"model")
(output / "metrics.json").write_text('{"mae": %s}' % kept.read_text())
"""
pytestmark = [pytest.mark.e2e]


@pytest.fixture
def case(tmp_path):
    made = sagemaker_training(tmp_path)
    yield made
    made.emulator.faults()
    made.clean()


@pytest.fixture
def world(tmp_path):
    made = SageMakerWorld(tmp_path)
    made.up()
    made.deploy("v1")
    made.router.set_weights({"v1": 100})
    yield made
    made.emulator.faults()
    made.down()


def alarms(world, prefix: str) -> list[dict]:
    """As CloudWatch has them, by name."""
    found = world.parts._clients.call("cloudwatch", "describe_alarms", AlarmNamePrefix=prefix)
    return sorted(found["MetricAlarms"], key=lambda one: one["AlarmName"])


def ring(world, alarm: str) -> None:
    told = {"AlarmName": alarm, "StateValue": "ALARM", "StateReason": "errors"}
    world.parts._clients.call("cloudwatch", "set_alarm_state", **told)


def rolled_back(parts) -> bool:
    return "is in ALARM" in parts.staging_host.failure("staging")


def ask(host) -> list[float]:
    """What a slot predicts, asked as anybody asks it."""
    return httpx.post(host.target("staging").url, json=BODY).json()["predictions"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "429", "retry_after": 0.2, "times": 2},
        {"kind": "500", "times": 2},
        {"kind": "reset", "times": 2},
        {"kind": "slow", "seconds": 1},
        {"kind": "expired"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_what_passes_by_itself_is_tried_again(case, fault):
    platform = case.platform()
    case.emulator.faults({**fault, "operation": "CreateTrainingJob"})
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    assert list(case.emulator.told()["jobs"]) == [job.name]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("403", PlatformRefusedError),
        ("404", PlatformRefusedError),
        ("429", PlatformUnavailableError),
        ("500", PlatformUnavailableError),
        ("reset", PlatformUnavailableError),
        ("expired", PlatformRefusedError),
    ],
)
def test_what_stays_wrong_is_named_and_starts_nothing(case, kind, error):
    fault = {"kind": kind, "operation": "CreateTrainingJob", "times": 99, "retry_after": 0.1}
    case.emulator.faults(fault)
    with pytest.raises(error) as refused:
        case.platform().submit(case.request())
    assert refused.value.remedy
    case.emulator.faults()
    assert case.emulator.told()["jobs"] == {}


def test_a_missing_permission_names_the_page_that_lists_it(case):
    case.emulator.faults({"kind": "403", "operation": "CreateTrainingJob", "times": 99})
    with pytest.raises(PlatformRefusedError) as refused:
        case.platform().submit(case.request())
    assert "docs/sagemaker.md" in refused.value.remedy


def test_a_champion_nobody_may_read_is_not_no_champion(case):
    """AWS words some refusals as an absence."""
    registry = parts_on(case.emulator.url).registry
    assert registry.champion("m") is None
    case.emulator.faults({"kind": "403", "operation": "ListModelPackages", "times": 99})
    with pytest.raises(PlatformRefusedError, match="does not exist") as refused:
        registry.champion("m")
    assert "docs/sagemaker.md" in refused.value.remedy


def test_a_job_that_aws_fails_says_why(case):
    case.emulator.faults({"kind": "job-failed"})
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.FAILED
    assert "AlgorithmError" in platform.failure(job)


def test_a_job_stuck_in_the_queue_waits_and_is_cancelled(case):
    case.emulator.faults({"kind": "job-stuck"})
    platform = case.platform()
    job = platform.submit(case.request())
    assert eventually(lambda: case.emulator.told()["faults"] == [])
    assert platform.state(job) is JobState.QUEUED
    cancel_and_see(job, platform, parts_on(case.emulator.url).order.clock)
    assert platform.state(job) is JobState.CANCELLED
    assert not platform.running("shop")


def test_a_job_preempted_and_restarted_is_one_job_that_succeeds(case):
    case.emulator.faults({"kind": "job-preempted"})
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    assert platform.result(job).metrics["mae"] == 4.5


def test_a_preempted_spot_job_goes_on_from_its_checkpoint(case):
    """Its first try ends never; what it kept is where the second begins."""
    case.emulator.faults({"kind": "job-preempted"})
    write_files(case.source, {"resume.py": RESUMES})
    asked = replace(case.request(), argv=("python", "resume.py", "{data}", "{output}"))
    platform = parts_on(case.emulator.url, spot=True).training
    job = platform.submit(asked)
    assert case.ended(platform, job) is JobState.SUCCEEDED
    assert platform.result(job).metrics == {"mae": 41.0}


@pytest.mark.parametrize("kind", ["metrics-missing", "metrics-nan", "artifact-missing"])
def test_a_result_that_is_not_whole_is_no_result(case, kind):
    case.emulator.faults({"kind": kind})
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    with pytest.raises(DataError, match=job.name):
        platform.result(job)


def test_an_endpoint_that_cannot_be_made_says_why_and_goes(world):
    world.emulator.faults({"kind": "endpoint-failed"})
    version, package = world.version("new")
    world.staging.deploy("staging", version, package)
    assert eventually(lambda: "provision capacity" in world.staging.failure("staging"))
    assert not world.staging.health("staging")
    world.staging.remove("staging")
    assert world.emulator.told()["endpoints"] == ["m-production"]


@pytest.mark.parametrize("again", ["new", "mended"])
def test_an_endpoint_that_could_not_be_made_is_made_by_the_next_deployment(world, again):
    world.emulator.faults({"kind": "endpoint-failed"})
    world.staging.deploy("staging", *world.version("new"))
    assert eventually(lambda: "provision capacity" in world.staging.failure("staging"))
    world.staging.deploy("staging", *world.version(again))
    assert eventually(lambda: world.staging.health("staging"))
    told = world.emulator.told()
    assert (len(told["configs"]), len(told["models"])) == (2, 2)  # of staging and production


def test_an_endpoint_out_of_service_comes_back_with_its_champion(world):
    world.emulator.ask("stop", "m-production")
    assert not world.production.health("v1")
    world.production.deploy("v2", *world.version("new", predicts=2.0))
    assert eventually(lambda: world.production.health("v2"))
    assert {one.slot for one in world.production.list()} == {"v1", "v2"}
    assert world.router.weights() == {"v1": 100}
    assert world.send()[0].json()["predictions"] == [1.0]


def test_a_change_of_production_that_fails_leaves_the_champion_alone(world):
    world.emulator.faults({"kind": "endpoint-failed"})
    version, package = world.version("new", predicts=2.0)
    world.production.deploy("v2", version, package)
    assert eventually(lambda: "provision capacity" in world.production.failure("v2"))
    assert not world.production.health("v2")
    assert world.router.weights() == {"v1": 100}
    assert world.send()[0].json()["predictions"] == [1.0]


@pytest.mark.parametrize("baking_s", [120, 0])
def test_an_alarm_brings_the_old_fleet_back_while_it_is_kept(world, baking_s):
    """Where SageMaker's guard applies: another version in the same slot."""
    world.deploy("staging", host="staging", predicts=1.0)
    parts = parts_on(world.url, world.folder, baking_s=baking_s)
    parts.staging_host.deploy("staging", *world.version("worse", predicts=2.0))
    (alarm,) = alarms(world, "m-staging/")
    ring(world, alarm["AlarmName"])
    assert eventually(lambda: parts.staging_host.health("staging") or rolled_back(parts))
    assert rolled_back(parts) is bool(baking_s)
    assert ask(parts.staging_host) == [1.0 if baking_s else 2.0]


def test_what_sagemaker_does_not_guard_is_not_sent_with_a_guard(world):
    """It takes guards only where the names of an endpoint's variants stay."""
    world.deploy("v2", predicts=2.0)
    assert world.production.health("v2")
    assert [one["AlarmName"] for one in alarms(world, "m-production/")] == [
        "m-production/v1/5xx", "m-production/v2/5xx",
    ]  # fmt: skip
    world.production.remove("v2")
    assert eventually(lambda: world.production.health("v1"))
    assert [one["AlarmName"] for one in alarms(world, "m-production/")] == ["m-production/v1/5xx"]


def test_a_ringing_alarm_tells_whom_the_settings_name(world):
    action = "arn:aws:sns:us-east-1:123456789012:on-call"
    parts = parts_on(world.url, world.folder, alarm_actions=(action,))
    parts.staging_host.deploy("staging", *world.version("new"))
    (alarm,) = alarms(world, "m-staging/")
    assert alarm["AlarmActions"] == [action]


def test_weights_that_are_written_and_lost_are_noticed(world):
    world.deploy("v2", predicts=2.0)
    world.emulator.faults({"kind": "weights-lost"})
    with pytest.raises(PlatformRefusedError, match="was asked for"):
        world.router.set_weights({"v1": 90, "v2": 10})
    assert world.router.weights() == {"v1": 100}


def test_metrics_that_are_no_numbers_are_unreadable_and_not_health(world):
    start = world.clock.now()
    world.send(3)
    world.emulator.faults({"kind": "metrics-broken", "times": 99})
    with pytest.raises(PlatformUnavailableError, match="cannot be read"):
        world.traffic.window("v1", start, world.clock.now(), 500)


def test_metrics_that_never_come_are_no_data(world):
    start = world.clock.now()
    world.send(3)
    world.emulator.faults({"kind": "metrics-lost", "times": 99})
    seen = world.traffic.window("v1", start, world.clock.now(), 500)
    assert (seen.requests, seen.p99_ms) == (0, None)


def test_requests_without_latencies_are_counted_and_not_complete(world):
    """They are late, or never come: no window says that nobody was slow."""
    start = world.clock.now()
    world.send(3)
    end = world.clock.now()
    seen = lambda slot="v1": world.traffic.window(slot, start, end, 500)  # noqa: E731
    world.emulator.faults({"kind": "latencies-lost", "times": 999})
    assert eventually(lambda: seen().requests == 3 and seen("unused").as_of >= end)
    late = seen()
    assert (late.slow, late.p99_ms) == (None, None)
    assert late.as_of <= start
    world.emulator.faults()
    assert eventually(lambda: seen().as_of >= end)
    assert seen().p99_ms > 0


def test_a_rollout_of_a_run_that_died_is_put_right_by_the_next(world):
    world.deploy("v2", predicts=2.0)
    world.router.hold("died", fallback={"v1": 100}, lease_s=0.5)
    world.router.set_weights({"v1": 10, "v2": 90})
    assert world.another_router().rollout() == "died"
    eventually(lambda: taken_over(world.another_router(), "next", fallback={"v1": 100}))
    assert world.router.weights() == {"v1": 100}
    assert world.router.rollout() == "next"


def test_what_is_left_running_is_listed_until_it_is_removed(world):
    costs = world.parts.costs
    (endpoint,) = costs.standing()
    assert (endpoint.kind, endpoint.name) == ("endpoint", "m-production")
    assert "v1 on 1 x ml.m5.large" in endpoint.what
    world.deploy("staging", host="staging")
    assert [one.name for one in costs.standing()] == ["m-production", "m-staging"]
    world.staging.remove("staging")
    assert [one.name for one in costs.standing()] == ["m-production"]


def test_script_mode_trains_in_an_image_without_the_pipeline(tmp_path):
    """Sent by boto3, so that it is seen without the package, which only makes the call."""
    case = sagemaker_training(tmp_path, **SCRIPT_MODE)
    training, plain, place = stored(case, "by-hand")
    training._script.send(place)
    order = training._script.order(plain, place)
    training._clients.call("sagemaker", "create_training_job", **order)
    job = JobRef("sagemaker", "by-hand")
    assert case.ended(training, job) is JobState.SUCCEEDED, training.failure(job)
    assert training.result(job).metrics == {"mae": 4.5, "rows": 100.0}
    assert case.emulator.told()["violations"] == []


def test_script_mode_without_its_package_sends_nothing_and_can_still_look(case, monkeypatch):
    job = case.platform().submit(case.request())
    monkeypatch.setitem(sys.modules, "sagemaker.core", None)
    platform = parts_on(case.emulator.url, **SCRIPT_MODE).training
    sent = platform._bucket.keys("ml-pipeline/")
    with pytest.raises(ConfigurationError) as refused:
        platform.submit(case.request(attempt=2))
    assert "ml-pipeline[sagemaker-script]" in refused.value.remedy
    assert platform._bucket.keys("ml-pipeline/") == sent
    assert platform.find("shop", "run-1") == job
    assert platform.submit(case.request()) == job
    assert case.ended(platform, job) is JobState.SUCCEEDED
