"""What a job is asked for, found by, and what its end is worth."""

import io
import tarfile
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ml_pipeline.adapters.sagemaker.training import SageMakerTraining
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.training import JobRef, TrainingRequest
from tests.emulators.sagemaker_spec import MODEL, faults
from tests.fakes.aws import POLICY, Aws, Streamed, refused
from tests.fakes.projects import write_files

NONE = refused("ValidationException", "Requested resource not found.")
JOB = JobRef("sagemaker", "job-1")


def raises(error: Exception):
    def answer(**_: object) -> None:
        raise error

    return answer


def request(folder, **changed: object) -> TrainingRequest:
    asked = TrainingRequest(
        project="shop",
        run_id="run-1",
        attempt=1,
        source=write_files(folder / "p", {"t.py": "print(1)"}),
        data=write_files(folder, {"rows.csv": "a\n1\n"}) / "rows.csv",
        argv=("python", "t.py", "{data}", "{output}"),
        artifact="model.skops",
        metrics="metrics.json",
        time_limit_s=300.5,
        labels={"run-id": "run-1"},
    )
    return replace(asked, **changed)


def cloud(policy=POLICY, **operations) -> tuple[SageMakerTraining, Aws]:
    """Nothing has been made there yet, and everything can be."""
    aws = Aws(
        describe_training_job=raises(NONE),
        create_training_job=lambda **_: {},
        put_object=lambda **_: {},
    )
    aws.answer(**operations)
    return SageMakerTraining(aws, policy, aws.clock), aws


def order(folder, **policy: object) -> dict:
    training, aws = cloud(POLICY.model_copy(update=policy))
    training.submit(request(folder))
    (asked,) = aws.of("create_training_job")
    shape = MODEL.operation_model("CreateTrainingJob").input_shape
    assert list(faults(shape, asked, "CreateTrainingJob")) == []
    return asked


def test_a_job_carries_its_limit_on_the_clouds_side_and_all_it_was_asked_for(tmp_path):
    asked = order(tmp_path, instance_count=3, instance_type="ml.c5.xlarge", volume_gb=77)
    assert asked["StoppingCondition"] == {"MaxRuntimeInSeconds": 421}
    assert asked["EnableManagedSpotTraining"] is False
    assert asked["ResourceConfig"] == {
        "InstanceType": "ml.c5.xlarge", "InstanceCount": 3, "VolumeSizeInGB": 77,
    }  # fmt: skip
    assert asked["RoleArn"] == POLICY.role
    assert asked["AlgorithmSpecification"]["TrainingImage"] == POLICY.image
    tags = {one["Key"]: one["Value"] for one in asked["Tags"]}
    assert tags == {
        "ml-pipeline:project": "shop",
        "ml-pipeline:run-id": "run-1",
        "ml-pipeline:label:run-id": "run-1",
    }
    assert {one["ChannelName"] for one in asked["InputDataConfig"]} == {"training", "source"}


def test_a_spot_job_waits_longer_on_the_clouds_side_than_on_ours(tmp_path):
    asked = order(tmp_path, spot=True, spot_wait_s=1000.5)
    limits = asked["StoppingCondition"]
    assert limits == {"MaxRuntimeInSeconds": 421, "MaxWaitTimeInSeconds": 1422}
    assert limits["MaxWaitTimeInSeconds"] > 300.5 + 1000.5
    assert asked["EnableManagedSpotTraining"] is True
    assert asked["CheckpointConfig"]["S3Uri"].startswith("s3://shop-models/ml-pipeline/jobs/")


@pytest.mark.parametrize(
    ("policy", "key"),
    [({"image": None}, "image"), ({"script_mode": True}, "training_image")],
)
def test_without_its_image_a_job_is_not_made(tmp_path, policy, key):
    training, _ = cloud(POLICY.model_copy(update=policy))
    with pytest.raises(ConfigurationError, match=f"'sagemaker.{key}' is not set"):
        training._order("job-1", "d", "p", request(tmp_path))


def test_what_is_longer_than_a_hyperparameter_is_refused_by_its_name(tmp_path):
    training, aws = cloud()
    argv = ("python", "t.py", "x" * 2600, "{data}", "{output}")
    with pytest.raises(ConfigurationError, match=r"characters, and SageMaker takes 2500"):
        training.submit(request(tmp_path, argv=argv))
    assert aws.of("create_training_job") == []


def test_a_job_that_is_there_is_neither_sent_nor_made_again(tmp_path):
    training, aws = cloud(describe_training_job=lambda **_: {})
    training.submit(request(tmp_path))
    assert [name for name, _ in aws.asked] == ["describe_training_job"]


def test_a_job_another_machine_made_meanwhile_is_the_job_and_another_refusal_is_none(tmp_path):
    looks = iter([NONE, None])

    def describe(**_: object) -> dict:
        error = next(looks)
        if error is not None:
            raise error
        return {}

    training, _ = cloud(
        describe_training_job=describe,
        create_training_job=raises(refused("ResourceInUse", "Training job names must be unique")),
    )
    assert training.submit(request(tmp_path)).name.endswith("-1")
    training, _ = cloud(create_training_job=raises(refused("ResourceLimitExceeded", "quota")))
    with pytest.raises(PlatformRefusedError, match="quota"):
        training.submit(request(tmp_path))


def summaries(*jobs: str) -> dict:
    """A list of jobs in pages of one."""

    def listed(NextToken: str = "0", **_: object) -> dict:  # noqa: N803 - as botocore names it
        at = int(NextToken)
        more = {"NextToken": str(at + 1)} if at + 1 < len(jobs) else {}
        found = {
            "TrainingJobName": jobs[at],
            "TrainingJobArn": jobs[at],
            "CreationTime": datetime(2026, 1, 1 + at, tzinfo=UTC),
        }
        return {"TrainingJobSummaries": [found], **more}

    return {"list_training_jobs": listed}


def test_the_newest_attempt_of_a_run_is_found_by_number_and_nobody_elses(tmp_path):
    training, aws = cloud()
    stem = training.submit(request(tmp_path)).name[:-1]
    names = (f"{stem}9", f"{stem}10", f"{stem}x", f"of-another-{stem}11")
    aws.answer(**summaries(*names))
    assert training.find("shop", "run-1") == JobRef("sagemaker", f"{stem}10")
    aws.answer(**summaries(f"other-{stem}1"))
    assert training.find("shop", "run-1") is None


def test_jobs_that_run_and_that_are_stopping_are_running(tmp_path):
    training, aws = cloud(
        list_tags=lambda **_: {"Tags": [{"Key": "ml-pipeline:run-id", "Value": "run-1"}]}
    )
    name = training.submit(request(tmp_path)).name
    aws.answer(**summaries(name, f"of-another-{name}"))
    found = training.running("shop")
    assert [one["StatusEquals"] for one in aws.of("list_training_jobs")[::2]] == [
        "InProgress", "Stopping",
    ]  # fmt: skip
    assert {(one.ref.name, one.run_id) for one in found} == {(name, "run-1")}


def described(status: str, secondary: str, **more: object) -> dict:
    return {
        "describe_training_job": lambda **_: {
            "TrainingJobStatus": status, "SecondaryStatus": secondary, **more,
        },
    }  # fmt: skip


@pytest.mark.parametrize("job", [JOB, JobRef("azureml", "job-1")])
def test_a_job_that_is_not_there_is_an_error(job):
    training, aws = cloud()
    with pytest.raises(PlatformRefusedError, match="there is no training job"):
        training.state(job)
    assert len(aws.asked) == (job is JOB)


@pytest.mark.parametrize(
    ("status", "secondary", "refuses"),
    [
        ("Completed", "Completed", False),
        ("Failed", "Failed", False),
        ("Stopped", "Stopped", False),
        ("Stopping", "Stopping", False),
        ("InProgress", "Training", True),
        ("InProgress", "Pending", True),
    ],
)
def test_a_cancel_that_is_refused_matters_only_while_the_job_runs(status, secondary, refuses):
    refusal = refused("AccessDeniedException", "not allowed", 403)
    training, _ = cloud(stop_training_job=raises(refusal), **described(status, secondary))
    with pytest.raises(PlatformRefusedError) if refuses else nullcontext():
        training.cancel(JOB)


def test_an_outage_of_cancelling_is_told():
    training, _ = cloud(
        stop_training_job=raises(refused("InternalFailure", status=500)),
        **described("Completed", "Completed"),
    )
    with pytest.raises(PlatformUnavailableError):
        training.cancel(JOB)


@pytest.mark.parametrize(
    ("status", "secondary", "said"),
    [
        ("Failed", "Failed", "AlgorithmError: no memory\na line"),
        ("Stopped", "MaxRuntimeExceeded", "SageMaker stopped it: MaxRuntimeExceeded\na line"),
        ("Stopped", "MaxWaitTimeExceeded", "SageMaker stopped it: MaxWaitTimeExceeded\na line"),
        ("Stopped", "Stopped", ""),
        ("Completed", "Completed", ""),
    ],
)
def test_a_job_that_failed_says_why_with_its_last_lines(status, secondary, said):
    why = "AlgorithmError: no memory"
    training, _ = cloud(
        describe_log_streams=lambda **_: {"logStreams": [{"logStreamName": "job-1/algo-1"}]},
        get_log_events=lambda **_: {"events": [{"message": "a line"}]},
        **described(status, secondary, FailureReason=why),
    )
    assert training.failure(JOB) == said


def test_logs_that_cannot_be_read_do_not_hide_the_failure():
    denied = raises(refused("AccessDeniedException", "no logs", 403))
    training, _ = cloud(
        describe_log_streams=denied, **described("Failed", "Failed", FailureReason="why")
    )
    said = training.failure(JOB)
    assert said.startswith("why\n")
    assert "could not be read" in said


def packed(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"./{name.replace('_', '.')}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def ended(archive: bytes | None, status: str = "Completed") -> SageMakerTraining:
    def brought(**_: object) -> dict:
        if archive is None:
            raise refused("NoSuchKey", status=404)
        return {"Body": Streamed(archive, [])}

    training, _ = cloud(
        get_object=brought,
        **described(
            status, status,
            ModelArtifacts={"S3ModelArtifacts": "s3://b/out/model.tar.gz"},
            HyperParameters={"ML_PIPELINE_ARTIFACT": "model.skops"},
        ),
    )  # fmt: skip
    return training


def test_a_job_that_ended_well_has_metrics_and_a_model():
    result = ended(packed(metrics_json='{"mae": 2.5}', model_skops="m")).result(JOB)
    assert result.metrics == {"mae": 2.5}
    assert result.model_uri == "s3://b/out/model.tar.gz#model.skops"


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (packed(metrics_json='{"mae": 2.5}'), r"left no 'model\.skops'"),
        (packed(model_skops="m"), r"left no 'metrics\.json'"),
        (packed(model_skops="m", metrics_json='{"mae": NaN}'), "mae"),
        (None, "there is nothing at s3://b/out"),
        (b"broken", "no archive"),
    ],
)
def test_a_result_that_is_not_whole_is_no_result(archive, words):
    with pytest.raises(DataError, match=words):
        ended(archive).result(JOB)


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_did_not_end_well_has_no_result(status):
    with pytest.raises(DataError, match="so it has no result"):
        ended(packed(metrics_json='{"mae": 2.5}', model_skops="m"), status).result(JOB)
