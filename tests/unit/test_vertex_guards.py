"""Small things the Vertex AI adapter must not do without, each by itself."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.aiplatform_v1 import types
from google.rpc.error_details_pb2 import RetryInfo

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.adapters.vertex.host import VertexHost
from ml_pipeline.adapters.vertex.proxy import PredictProxy
from ml_pipeline.adapters.vertex.refusals import LONGEST_S, PAUSES_S, Attempts
from ml_pipeline.adapters.vertex.storage import Bucket
from ml_pipeline.adapters.vertex.traffic import _untimed
from ml_pipeline.adapters.vertex.training import VertexTraining
from ml_pipeline.domain.errors import DataError, PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.training import JobRef, TrainingRequest
from tests.fakes.clock import FakeClock

POLICY = {"project": "my-project", "bucket": "my-bucket", "image": "shop:1"}


@pytest.fixture
def clock():
    return FakeClock()


def attempts(clock, renew=lambda: None) -> Attempts:
    return Attempts(clock, renew)


def failing(*errors):
    """What fails in these ways, one after another, and then answers."""
    left = list(errors)

    def ask():
        if left:
            raise left.pop(0)
        return "answer"

    return ask


def clients(**policy) -> Clients:
    return Clients(VertexPolicy(**{**POLICY, **policy}), HostClock())


def asks_to_wait(seconds: int) -> api.ResourceExhausted:
    wait = RetryInfo()
    wait.retry_delay.FromSeconds(seconds)
    return api.ResourceExhausted("busy", details=[wait])


def says_retry_after(text: str) -> api.TooManyRequests:
    return api.TooManyRequests("busy", response=SimpleNamespace(headers={"Retry-After": text}))


@pytest.mark.parametrize(
    ("error", "pause_s"),
    [
        (asks_to_wait(7), 7.0),
        (asks_to_wait(3600), LONGEST_S),
        (says_retry_after("7"), 7.0),
        (says_retry_after("3600"), LONGEST_S),
        (says_retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), PAUSES_S[0]),
    ],
)
def test_a_platform_is_waited_for_as_long_as_it_asks_and_never_longer_than_a_minute(
    clock, error, pause_s
):
    assert attempts(clock)("to do it", failing(error)) == "answer"
    assert clock.paused == [pause_s]


@pytest.mark.parametrize(
    "error",
    [
        api.TooManyRequests("x"),
        api.InternalServerError("x"),
        api.RetryError("x", None),
        api.Aborted("x"),
        auth.TransportError("x"),
        ConnectionResetError("x"),
    ],
)
def test_what_passes_by_itself_is_asked_again_a_few_times(clock, error):
    assert attempts(clock)("to do it", failing(error, error, error)) == "answer"
    assert clock.paused == list(PAUSES_S)
    with pytest.raises(PlatformUnavailableError, match="given up after 4 attempts"):
        attempts(clock)("to do it", failing(*[error] * 4))


@pytest.mark.parametrize("error", [api.Forbidden("x"), api.Conflict("x"), api.BadRequest("x")])
def test_what_does_not_pass_is_asked_once(clock, error):
    with pytest.raises(PlatformRefusedError, match=r"docs/vertex|refused to do it"):
        attempts(clock)("to do it", failing(error))
    assert clock.paused == []


def test_what_is_not_there_is_the_callers_to_understand(clock):
    with pytest.raises(api.NotFound):
        attempts(clock)("for it", failing(api.NotFound("x")))
    with pytest.raises(api.NotFound):
        attempts(clock)("for it", failing(api.Unauthenticated("x"), api.NotFound("x")))


def test_a_token_that_cannot_be_renewed_says_who_is_to_sign_in(clock):
    with pytest.raises(PlatformRefusedError, match="does not know who asks"):
        attempts(clock, failing(auth.RefreshError("x")))("it", failing(api.Unauthenticated("x")))
    with pytest.raises(PlatformRefusedError, match="does not know who asks"):
        attempts(clock)("it", failing(auth.RefreshError("x")))


@pytest.mark.parametrize(("left_s", "renewed"), [(299, True), (301, False)])
def test_a_token_that_is_handed_on_lasts_some_minutes(left_s, renewed):
    made = clients()
    asked = []
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made.clock = SimpleNamespace(now=lambda: now)
    made.credentials = SimpleNamespace(
        valid=True,
        token="t",
        expiry=(now + timedelta(seconds=left_s)).replace(tzinfo=None),
        refresh=asked.append,
    )
    assert made.token() == "t"
    assert bool(asked) is renewed


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil"])
def test_an_object_is_never_written_outside_the_folder_it_is_fetched_to(tmp_path, name):
    bucket = Bucket(clients(), "m")
    bucket.read = lambda uri: None if uri.endswith("/model") else b"evil"
    bucket.below = lambda _: ["weights", name]
    with pytest.raises(DataError, match="leads out of its folder"):
        bucket.download(f"{bucket.root}/jobs/1/model", tmp_path / "inner" / "back")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


@pytest.mark.parametrize("uri", ["s3://b/x", "/tmp/x", "gs:///x"])
def test_what_lies_in_no_bucket_is_not_fetched(tmp_path, uri):
    with pytest.raises(DataError, match="no object in Cloud Storage"):
        Bucket(clients(), "m").download(uri, tmp_path / "back")


def request(tmp_path) -> TrainingRequest:
    return TrainingRequest(
        project="eta",
        run_id="run-1",
        attempt=2,
        argv=("python", "train.py"),
        source=tmp_path,
        data=tmp_path / "data.csv",
        metrics="metrics.json",
        artifact="model",
        time_limit_s=600,
        labels={"purpose": "check"},
    )


def test_a_job_asks_for_what_the_settings_say(tmp_path):
    chosen = clients(
        machine_type="n1-highmem-2", machine_count=3, spot=True, service_account="a@b.c"
    )
    job = VertexTraining(chosen, Bucket(chosen, "eta"))._job(request(tmp_path), "gs://d", "gs://s")
    (pool,) = job.job_spec.worker_pool_specs
    scheduling = job.job_spec.scheduling
    assert (pool.machine_spec.machine_type, pool.replica_count) == ("n1-highmem-2", 3)
    assert pool.container_spec.image_uri == "shop:1"
    assert scheduling.strategy is types.Scheduling.Strategy.SPOT
    assert scheduling.timeout == timedelta(seconds=600)
    assert job.job_spec.service_account == "a@b.c"
    found_by = {key: job.labels[f"ml_pipeline_{key}"] for key in ("project", "run", "attempt")}
    assert found_by == {"project": "eta", "run": "run-1", "attempt": "2"}
    assert job.labels["purpose"] == "check"
    where = "gs://my-bucket/ml-pipeline/eta/jobs/run-1/2"
    assert job.job_spec.base_output_directory.output_uri_prefix == where


def test_a_job_pays_for_capacity_nobody_takes_away_unless_told_otherwise(tmp_path):
    made = clients()
    job = VertexTraining(made, Bucket(made, "eta"))._job(request(tmp_path), "gs://d", "gs://s")
    assert job.job_spec.scheduling.strategy is types.Scheduling.Strategy.STANDARD
    assert job.job_spec.service_account == ""


@pytest.mark.parametrize(
    "job",
    [
        JobRef("local", "projects/my-project/locations/us-central1/customJobs/1"),
        JobRef("vertex", "projects/another/locations/us-central1/customJobs/1"),
    ],
)
def test_a_job_of_another_place_is_not_asked_for(job):
    made = clients()
    with pytest.raises(PlatformRefusedError, match="there is no training job"):
        VertexTraining(made, Bucket(made, "eta")).state(job)


def test_a_deployment_asks_for_what_the_settings_say():
    chosen = clients(
        serving_machine_type="n1-highcpu-4",
        serving_min_machines=2,
        serving_max_machines=5,
        service_account="a@b.c",
    )
    version = ModelVersion(
        model="eta",
        version="3",
        uri="u@3",
        digest="0" * 64,
        run_id="r",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    host = VertexHost(chosen, "eta", "production", PredictProxy(chosen))
    asked = host._deployed("v3", version)
    machines = asked.dedicated_resources
    assert machines.machine_spec.machine_type == "n1-highcpu-4"
    assert (machines.min_replica_count, machines.max_replica_count) == (2, 5)
    assert (asked.display_name, asked.model, asked.service_account) == ("v3", "u@3", "a@b.c")


def test_periods_with_answers_need_a_latency_that_overlaps_them():
    at = lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)  # noqa: E731
    answered = [(at(0), at(60)), (at(60), at(120)), (at(120), at(180))]
    assert _untimed(answered, [(at(30), at(90))]) == [at(120)]
    assert _untimed(answered, [(at(60), at(120))]) == [at(0), at(120)]
