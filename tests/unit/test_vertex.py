"""Vertex AI's own words in ours: states, names, leases, latencies."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.api import distribution_pb2
from google.cloud.aiplatform_v1.types import Endpoint, JobState

from ml_pipeline.adapters.vertex.latencies import Latencies, added
from ml_pipeline.adapters.vertex.lease import ENDED, Lease, lease_of
from ml_pipeline.adapters.vertex.names import deployed_id, resource_id
from ml_pipeline.adapters.vertex.states import STATES, state_of
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.ports import training

ROOT = Path(__file__).parents[2]
ADAPTER = ROOT / "src" / "ml_pipeline" / "adapters" / "vertex"


def test_the_state_table_is_the_vendors_own_list():
    assert set(STATES) == set(JobState) - {JobState.JOB_STATE_UNSPECIFIED}
    assert set(STATES.values()) == set(training.JobState)


@pytest.mark.parametrize("state", [JobState.JOB_STATE_UNSPECIFIED, 99])
def test_a_state_nobody_knows_is_refused(state):
    with pytest.raises(PlatformRefusedError, match="do not know"):
        state_of("job", state)


def test_names_fit_the_platform_whatever_the_model_is_called():
    for model in ("eta", "7up", "m" * 63, "9" * 63):
        name = resource_id(model, "production")
        assert name[0].isalpha()
        assert len(name) <= 63
    assert resource_id("m" * 63, "production") != resource_id("m" * 63, "staging")


def test_a_deployments_id_is_of_ten_digits_and_its_own():
    ids = {deployed_id(f"v{n}", str(n)) for n in range(500)}
    assert len(ids) == 500
    assert all(len(one) == 10 and one.isdigit() for one in ids)


def test_a_lease_comes_back_from_labels_as_it_was():
    lease = Lease(run_id="r-1", until=datetime(2026, 1, 2, tzinfo=UTC), fallback={"v1": 100})
    endpoint = Endpoint(labels={"other": "x", **lease.labels()})
    assert lease_of(endpoint) == lease
    kept = {key: value for key, value in endpoint.labels.items() if key not in ENDED}
    assert lease_of(Endpoint(labels=kept)) is None
    assert kept == {"other": "x"}


def test_a_lease_that_is_no_label_is_refused():
    lease = Lease(run_id="r", until=datetime(2026, 1, 2, tzinfo=UTC), fallback={"V.1": 100})
    with pytest.raises(PlatformRefusedError, match="label"):
        lease.labels()


def _distribution(counts, **options):
    form = distribution_pb2.Distribution.BucketOptions(**options)
    return distribution_pb2.Distribution(bucket_options=form, bucket_counts=counts)


EXPLICIT = distribution_pb2.Distribution.BucketOptions.Explicit(bounds=[1000, 2000, 4000])
LINEAR = distribution_pb2.Distribution.BucketOptions.Linear(
    num_finite_buckets=2, width=1000, offset=1000
)
EXPONENTIAL = distribution_pb2.Distribution.BucketOptions.Exponential(
    num_finite_buckets=2, growth_factor=2, scale=1000
)


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"explicit_buckets": EXPLICIT}, (1000, 2000, 4000)),
        ({"linear_buckets": LINEAR}, (1000, 2000, 3000)),
        ({"exponential_buckets": EXPONENTIAL}, (1000, 2000, 4000)),
    ],
)
def test_every_kind_of_buckets_is_understood(options, bounds):
    found = added(None, _distribution([1, 2], **options))
    assert found == Latencies(bounds, (1, 2, 0, 0))


def test_samples_add_up_also_when_their_buckets_differ():
    one = added(None, _distribution([1, 2], explicit_buckets=EXPLICIT))
    assert added(one, _distribution([0, 1, 3], explicit_buckets=EXPLICIT)).counts == (1, 3, 3, 0)
    both = added(one, _distribution([0, 0, 4], linear_buckets=LINEAR))
    assert both.count == 7
    assert both.slow(2.0) == 4


def test_an_empty_sample_adds_nothing():
    assert added(None, _distribution([])) is None


def test_slow_requests_are_those_above_the_limit_and_never_too_few():
    seen = Latencies((10_000.0, 20_000.0), (5, 9, 2))
    assert (seen.slow(0.0), seen.slow(10.0), seen.slow(20.0)) == (16, 11, 2)
    assert seen.slow(19.9) == 3


def test_what_the_platform_cannot_do_without_is_named():
    assert [key for key, _ in VertexPolicy().lacking()] == ["project", "bucket", "image"]
    whole = {"project": "my-project", "bucket": "my-bucket", "image": "shop:1"}
    assert not list(VertexPolicy(**whole).lacking())
    half = VertexPolicy(**whole, emulator_url="http://127.0.0.1:1")
    assert [key for key, _ in half.lacking()] == ["emulator_grpc"]


def test_the_page_lists_the_permissions_of_exactly_the_calls_that_are_made():
    """The calls are found in the adapter's code, so a new one fails here until it is listed."""
    text = (ROOT / "docs" / "vertex.md").read_text()
    table = text.split("<!-- permissions -->")[1].split("<!-- end -->")[0]
    listed = set(re.findall(r"\b([A-Z][A-Za-z]+)\b", "".join(table.splitlines(keepends=True)[3:])))
    listed |= {"rawPredict"} if "rawPredict" in table else set()
    code = "".join(path.read_text() for path in ADAPTER.glob("*.py"))
    calls = set(re.findall(r"(?:jobs|models|endpoints|service|_metrics)\.([a-z_]+)[,)\n]", code))
    made = {"".join(word.title() for word in one.split("_")) for one in calls}
    made |= {"rawPredict", "GetOperation", "CancelOperation"}
    assert listed == made


@pytest.mark.parametrize(
    "told",
    [
        {"lease_until": "soon"},
        {"lease_until": "9" * 40},
        {"lease_until": "1", "lease_fallback": "c1_x"},
    ],
)
def test_labels_that_tell_no_lease_are_named_with_what_to_do(told):
    with pytest.raises(DataError, match="do not tell a lease") as error:
        lease_of(Endpoint(labels={"lease_run": "r1", **told}))
    assert "lease_run" in error.value.remedy
