"""What goes wrong in Azure ML ends in the right error, and leaves a clean workspace."""

import pytest

from ml_pipeline.adapters.azureml import client
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import (
    DataError,
    ExitCode,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.registry import CHAMPION
from ml_pipeline.ports.serving import deploy_and_wait
from ml_pipeline.ports.training import JobRef, JobState, cancel_and_see
from tests.emulators.azureml import SCOPE
from tests.emulators.azureml_cases import AzuremlTrainingCase, AzuremlWorld
from tests.fakes.processes import eventually
from tests.fakes.projects import write_files

pytestmark = [pytest.mark.e2e]


class Waits(HostClock):
    """Waits are told and not waited."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: list[float] = []

    def wait_to_retry(self, seconds: float, *, cleaning_up: bool) -> None:
        assert not cleaning_up
        self.paused.append(seconds)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Retries without a Retry-After follow at once."""
    monkeypatch.setitem(client._LIMITS_S, "read_timeout", 2)
    init = client.Workspace.__init__
    monkeypatch.setattr(
        client.Workspace,
        "__init__",
        lambda self, *given, **_: init(self, *given, backoff_factor=0.01),
    )


@pytest.fixture
def case(tmp_path):
    made = AzuremlTrainingCase(tmp_path)
    yield made
    made.clean()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One workspace with champion `c1`; tests leave it as it was."""
    made = AzuremlWorld(tmp_path_factory.mktemp("azureml"))
    made.up()
    made.deploy("c1")
    made.router.set_weights({"c1": 100})
    yield made
    made.down()


def test_a_refusal_is_said_with_the_roles_to_give(case):
    case.emulator.fault("PUT .*/jobs/", 403)
    with pytest.raises(PlatformRefusedError, match="not allowed") as refused:
        case.platform().submit(case.request())
    assert refused.value.exit_code is ExitCode.REFUSED
    assert "docs/azureml.md" in refused.value.remedy
    assert case.emulator.jobs == {}


def test_a_champion_nobody_may_read_is_not_no_champion(case):
    registry = case.parts().registry
    assert registry.champion("eta") is None
    case.emulator.fault("GET .*/models", 403, times=99)
    with pytest.raises(PlatformRefusedError, match="not allowed"):
        registry.champion("eta")


def test_a_workspace_that_is_not_there_is_a_refusal(case):
    case.emulator.fault("GET .*/datastores/", 404)
    with pytest.raises(PlatformRefusedError, match="no such thing"):
        case.platform().submit(case.request())


def test_too_many_requests_are_asked_again_when_the_platform_says(case):
    fault = case.emulator.fault("GET .*/jobs", 429, headers={"Retry-After": "1"})
    assert case.platform().last_submitted("shop") is None
    assert fault.seen == 1


def test_nobody_waits_longer_than_a_minute_whatever_the_platform_asks(case):
    """A wait is ended by Ctrl-C, and by no time limit."""
    clock = Waits()
    case.emulator.fault("GET .*/jobs", 429, headers={"Retry-After": "9999"}, times=100)
    with pytest.raises(PlatformUnavailableError):
        case.parts(clock=clock).training.last_submitted("shop")
    assert clock.paused == [60.0] * 3


@pytest.mark.parametrize("kind", [500, "reset"])
def test_a_failure_that_passes_is_not_noticed(case, kind):
    fault = case.emulator.fault("GET .*/jobs", kind, times=2)
    assert case.platform().last_submitted("shop") is None
    assert fault.seen == 2


@pytest.mark.parametrize("kind", [429, 500, "reset"])
def test_a_failure_that_stays_is_unavailable(case, kind):
    case.emulator.fault("GET .*/jobs", kind, times=100)
    with pytest.raises(PlatformUnavailableError) as lost:
        case.platform().running("shop")
    assert lost.value.exit_code is ExitCode.UNAVAILABLE


def test_an_answer_that_does_not_come_is_asked_for_again(case):
    case.emulator.fault("GET .*/jobs", "slow", seconds=4)
    assert case.platform().last_submitted("shop") is None
    asked = [path for method, path in case.emulator.calls if path.endswith("/jobs")]
    assert len(asked) == 2


def test_an_answer_lost_on_the_way_back_does_not_train_twice(case):
    """The job was made, and nobody heard of it: the same key finds it."""
    platform = case.platform()
    job = platform.submit(case.request())
    case.emulator.fault(f"GET .*/jobs/{job.name}$", 404)  # as if asked before it was made
    assert platform.submit(case.request()) == job
    assert len(case.emulator.jobs) == 1


def test_a_job_stuck_in_the_queue_can_be_cancelled(case):
    case.emulator.new_job = lambda job: setattr(job, "stuck", True)
    platform = case.platform()
    job = platform.submit(case.request())
    assert eventually(lambda: case.emulator.jobs[job.name].status == "Queued")
    assert platform.state(job) is JobState.QUEUED
    cancel_and_see(job, platform, case.parts().order.clock)
    assert platform.state(job) is JobState.CANCELLED
    assert not platform.running("shop")


def test_a_cancel_the_platform_refuses_is_no_success(case):
    case.emulator.new_job = lambda job: setattr(job, "stuck", True)
    platform = case.platform()
    job = platform.submit(case.request())
    case.emulator.fault("POST .*/cancel", 403)
    with pytest.raises(PlatformRefusedError):
        platform.cancel(job)
    assert not platform.state(job).final


def test_a_preempted_job_is_the_same_job_and_ends_well(case):
    case.emulator.new_job = lambda job: setattr(job, "preempt", True)
    platform = case.platform()
    job = platform.submit(case.request())
    assert case.ended(platform, job) is JobState.SUCCEEDED
    assert case.emulator.jobs[job.name].tries == 2
    assert platform.find("shop", "run-1") == job


def test_a_state_nobody_knows_is_an_error(case):
    platform = case.platform()
    job = platform.submit(case.request())
    case.ended(platform, job)
    case.emulator.jobs[job.name].status = "Hibernating"
    with pytest.raises(PlatformRefusedError, match="Hibernating"):
        platform.state(job)
    case.emulator.violations.clear()  # the vendor's model does not know it either


@pytest.mark.parametrize("value", ["NaN", 9.0])
def test_metrics_that_contradict_the_file_are_no_result(case, value):
    platform = case.platform()
    job = platform.submit(case.request())
    case.ended(platform, job)
    case.emulator.metrics[job.name] = [{"key": "mae", "value": value, "timestamp": 1, "step": 0}]
    with pytest.raises(DataError, match="mae"):
        platform.result(job)


def test_what_the_job_shows_in_the_studio_is_what_it_wrote(case):
    platform = case.platform()
    job = platform.submit(case.request())
    case.ended(platform, job)
    shown = {one["key"]: one["value"] for one in case.emulator.metrics[job.name]}
    assert shown == dict(platform.result(job).metrics)


def test_a_token_that_expired_is_renewed_once(case):
    platform = case.platform()
    job = platform.submit(case.request())
    case.emulator.expire_tokens()
    assert platform.state(job) is not None


def test_an_identity_that_stays_refused_is_told_to_log_in(case):
    case.emulator.fault("GET .*/jobs", 401, times=100)
    with pytest.raises(PlatformRefusedError, match="token") as refused:
        case.platform().running("shop")
    assert "az login" in refused.value.remedy


def test_a_job_of_another_platform_is_refused(case):
    with pytest.raises(PlatformRefusedError):
        case.platform().state(JobRef("local", "shop_run-1_1"))


def test_the_job_is_asked_for_as_it_was_meant(case):
    job = case.parts(spot=True, instance_count=2).training.submit(case.request())
    asked = case.emulator.store[f"{SCOPE}/jobs/{job.name}"]["properties"]
    assert asked["limits"]["timeout"] == "PT10M"  # ours of 300 s, and five minutes of grace
    assert asked["queueSettings"]["jobTier"].lower() == "spot"
    assert asked["resources"]["instanceCount"] == 2
    assert asked["tags"]["ml-pipeline.shop"] == "run-1"


def test_a_list_longer_than_a_page_is_read_to_its_end(case):
    case.emulator.new_job = lambda job: setattr(job, "stuck", True)
    platform = case.platform()
    for attempt in range(1, 23):
        platform.submit(case.request(attempt=attempt))
    assert len(platform.running("shop")) == 22
    assert platform.find("shop", "run-1").name.endswith("_22")


def test_a_deployment_that_cannot_be_made_says_why_and_is_replaced(world):
    world.emulator.broken_deployments["slot-bad"] = "no quota for Standard_DS3_v2"
    version, package = world.version("one")
    with pytest.raises(PlatformRefusedError, match="no quota"):
        deploy_and_wait(
            world.production, "bad", version, package, clock=world.parts.order.clock, time_limit_s=3
        )
    del world.emulator.broken_deployments["slot-bad"]
    world.production.deploy("bad", version, package)
    assert eventually(lambda: world.production.health("bad"))
    world.production.remove("bad")
    assert [one.slot for one in world.production.list()] == ["c1"]


def test_weights_that_were_written_and_not_applied_are_noticed(world):
    world.deploy("c2")
    (endpoint,) = world.emulator.endpoints.values()
    endpoint.lost_writes = 1
    with pytest.raises(PlatformRefusedError, match="was asked for"):
        world.router.set_weights({"c1": 90, "c2": 10})
    assert world.router.weights() == {"c1": 100}
    world.production.remove("c2")


def test_traffic_that_does_not_sum_to_100_is_not_even_asked_for(world):
    calls = len(world.emulator.calls)
    with pytest.raises(Exception, match="sum to 120"):
        world.router.set_weights({"c1": 110 - 10, "c2": 20})
    assert len(world.emulator.calls) == calls


def test_metrics_that_cannot_be_read_are_not_no_data(world):
    now = world.clock.now()
    world.emulator.fault("POST .*getBatch", 503, times=100)
    with pytest.raises(PlatformUnavailableError):
        world.traffic.window("c1", now, now, 500)
    world.emulator.faults.clear()


def test_requests_without_latencies_are_counted_and_not_complete(world):
    """They are late, or never come: no window says that nobody was slow."""
    start = world.clock.now()
    world.send(3)
    end = world.clock.now()
    seen = lambda slot="c1": world.traffic.window(slot, start, end, 500)  # noqa: E731
    world.emulator.latencies_lost = True
    assert eventually(lambda: seen().requests == 3 and seen("unused").as_of >= end)
    late = seen()
    assert (late.slow, late.p99_ms) == (None, None)
    assert late.as_of < end
    world.emulator.latencies_lost = False
    assert eventually(lambda: seen().as_of >= end)
    assert seen().p99_ms > 0


def test_a_staging_endpoint_goes_with_its_last_deployment(world):
    world.deploy("s", host="staging")
    assert len(world.emulator.endpoints) == 2
    assert {one.name.split("/")[1] for one in world.parts.costs.standing()} == {"slot-c1", "slot-s"}
    world.staging.remove("s")
    assert len(world.emulator.endpoints) == 1
    assert [one.kind for one in world.parts.costs.standing()] == ["deployment"]


def test_a_move_of_the_champion_cut_short_leaves_one(case, tmp_path):
    registry = case.parts().registry
    for number in ("1", "2"):
        bundle = write_files(tmp_path / number, {"model": number})
        registry.register("eta", bundle, run_id=f"run-{number}", metrics={"mae": 1.0}, tags={})
    registry.set_alias("eta", CHAMPION, "2")
    case.emulator.fault("PUT .*/models/eta/versions/2", 500, times=100)
    with pytest.raises(PlatformUnavailableError):
        registry.set_alias("eta", CHAMPION, "1")
    assert case.parts().registry.champion("eta").version == "1"


@pytest.mark.parametrize("text", ["nan", "good", "inf"])
def test_a_champion_with_an_impossible_metric_is_neither_absent_nor_unavailable(
    case, tmp_path, text
):
    registry = case.parts().registry
    bundle = write_files(tmp_path / "b", {"model": "1"})
    registry.register("eta", bundle, run_id="run-1", metrics={"mae": 1.0}, tags={})
    registry.set_alias("eta", CHAMPION, "1")
    case.emulator.store[f"{SCOPE}/models/eta/versions/1"]["properties"]["tags"]["metric.mae"] = text
    with pytest.raises(DataError, match=r"metric\.mae"):
        registry.champion("eta")
