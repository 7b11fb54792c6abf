"""Training jobs on SageMaker."""

import math
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients, utc
from ml_pipeline.adapters.sagemaker.files import Bucket, file_digest, member, split_uri
from ml_pipeline.adapters.sagemaker.logs import last_lines
from ml_pipeline.adapters.sagemaker.orders import channel, hyperparameters, image_of
from ml_pipeline.adapters.sagemaker.script_mode import ScriptMode, require_package
from ml_pipeline.adapters.sagemaker.states import LIMITS, job_state
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.domain.identifiers import checked_run_id
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports import containers
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.packing import SOURCE_ARCHIVE, packed_source
from ml_pipeline.ports.training import (
    JobRef,
    JobResult,
    JobState,
    RunningJob,
    TrainingRequest,
)

if TYPE_CHECKING:
    from ml_pipeline.ports.training import TrainingPlatform

PLATFORM = "sagemaker"
#: How much longer than asked SageMaker lets a job run, in case nobody watches it any more: our
#: own limit comes first, and is told apart.
_GRACE_S = 120
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
#: Source: CheckpointConfig, SageMaker API reference: its default, copied to and from S3.
_CHECKPOINTS = "/opt/ml/checkpoints"


class SageMakerTraining:
    """Speaks `ports.training.TrainingPlatform`.

    A job's name is made of its idempotency key, and SageMaker takes a name only once: submitting
    again, from any machine, finds the job.
    """

    def __init__(self, clients: Clients, policy: SageMakerPolicy, clock: Clock) -> None:
        self._clients = clients
        self._policy = policy
        self._clock = clock
        self._bucket = Bucket(clients, str(policy.bucket))
        self._prefix = policy.prefix.strip("/")
        self._script = ScriptMode(clients, policy) if policy.script_mode else None

    def submit(self, request: TrainingRequest) -> JobRef:
        run_id = checked_run_id(request.run_id)
        name = f"{names.job_stem(request.project, run_id)}{request.attempt}"
        job = JobRef(PLATFORM, name)
        if self._described(name) is not None:
            return job
        if self._script:
            require_package()
        place = f"{self._prefix}/jobs/{name}"
        data = f"{place}/training/{file_digest(request.data)[:16]}{request.data.suffix}"
        with packed_source(request.source) as code:
            if self._script:
                self._script.check(request, code)
            self._bucket.upload(code, f"{place}/source/{SOURCE_ARCHIVE}")
        self._bucket.upload(request.data, data)
        order = self._order(name, data, place, request)
        try:
            if self._script:
                self._script.create(order, place)
            else:
                self._clients.call("sagemaker", "create_training_job", **order)
        except PlatformRefusedError:
            # the answer to an earlier try was lost, or another machine was first
            if self._described(name) is None:
                raise
        return job

    def find(self, project: str, run_id: str) -> JobRef | None:
        stem = names.job_stem(project, run_id)
        attempts = [
            int(one["TrainingJobName"].removeprefix(stem))
            for one in self._listed(stem)
            if one["TrainingJobName"].removeprefix(stem).isdigit()
        ]
        return JobRef(PLATFORM, f"{stem}{max(attempts)}") if attempts else None

    def state(self, job: JobRef) -> JobState:
        found = self._existing(job)
        return job_state(found["TrainingJobStatus"], found["SecondaryStatus"])

    def failure(self, job: JobRef) -> str:
        found = self._existing(job)
        if job_state(found["TrainingJobStatus"], found["SecondaryStatus"]) is not JobState.FAILED:
            return ""
        why = found.get("FailureReason", "")
        if found["SecondaryStatus"] in LIMITS:
            why = f"SageMaker stopped it: {found['SecondaryStatus']}"
        return "\n".join([why, *last_lines(self._clients, _LOG_GROUP, f"{job.name}/")]).strip()

    def result(self, job: JobRef) -> JobResult:
        found = self._existing(job)
        state = job_state(found["TrainingJobStatus"], found["SecondaryStatus"])
        if state is not JobState.SUCCEEDED:
            raise DataError(
                f"training job {job.name} is {state}, so it has no result",
                remedy="Wait until it has succeeded.",
            )
        uri = found["ModelArtifacts"]["S3ModelArtifacts"]
        artifact = str(found["HyperParameters"][containers.ARTIFACT])
        metrics = containers.METRICS_FILE
        with tempfile.TemporaryDirectory() as place:
            archive = Path(place) / "model.tar.gz"
            self._bring(job, uri, archive)
            text = member(archive, metrics)
            held = member(archive, artifact) is not None
        for name, there in ((metrics, text is not None), (artifact, held)):
            if not there:
                raise DataError(
                    f"training job {job.name} left no {name!r} in {{output}} ({uri})",
                    remedy="Let the training write it, or correct its name under [train].",
                )
        where = f"{metrics} of training job {job.name}"
        return JobResult(
            metrics=reported_metrics((text or b"").decode(errors="replace"), where=where),
            model_uri=f"{uri}#{artifact}",
        )

    def cancel(self, job: JobRef) -> None:
        try:
            self._clients.call("sagemaker", "stop_training_job", TrainingJobName=job.name)
        except PlatformRefusedError:
            # it has ended, or is already asked to stop: only otherwise is this a refusal
            state = self.state(job)
            if not state.final and state is not JobState.CANCELLING:
                raise

    def url(self, job: JobRef) -> str:
        region = self._clients.region
        return (
            f"https://{region}.console.aws.amazon.com/sagemaker/home?region={region}"
            f"#/jobs/{job.name}"
        )

    def running(self, project: str) -> Sequence[RunningJob]:
        family = names.job_family(project)
        left = [
            one
            for status in ("InProgress", "Stopping")
            for one in self._listed(family, StatusEquals=status)
        ]
        return [
            RunningJob(
                ref=JobRef(PLATFORM, one["TrainingJobName"]),
                run_id=self._tags(one["TrainingJobArn"])[names.RUN],
                started_at=utc(one["CreationTime"]),
            )
            for one in left
        ]

    def last_submitted(self, project: str) -> datetime | None:
        found = self._clients.call(
            "sagemaker", "list_training_jobs", NameContains=names.job_family(project),
            SortBy="CreationTime", SortOrder="Descending", MaxResults=10,
        )["TrainingJobSummaries"]  # fmt: skip
        return max((utc(one["CreationTime"]) for one in found), default=None)

    def _listed(self, beginning: str, **more: str) -> list[Any]:
        found = self._clients.pages(
            "sagemaker", "list_training_jobs", "TrainingJobSummaries",
            NameContains=beginning, MaxResults=100, **more,
        )  # fmt: skip
        return [one for one in found if one["TrainingJobName"].startswith(beginning)]

    def _tags(self, arn: str) -> dict[str, str]:
        return names.tags_of(self._clients.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn))

    def _described(self, name: str) -> Any | None:
        with suppress(AbsentError):
            return self._clients.call("sagemaker", "describe_training_job", TrainingJobName=name)
        return None

    def _existing(self, job: JobRef) -> Any:
        found = self._described(job.name) if job.platform == PLATFORM else None
        if found is None:
            raise PlatformRefusedError(
                f"there is no training job {job.platform}:{job.name} in {self._clients.region}",
                remedy="Start a new run.",
            )
        return found

    def _bring(self, job: JobRef, uri: str, archive: Path) -> None:
        bucket, key, _ = split_uri(uri)
        try:
            Bucket(self._clients, bucket).download(key, archive)
        except AbsentError as error:
            raise DataError(
                f"training job {job.name} succeeded, but there is nothing at {uri}",
                remedy="Look whether a lifecycle rule of the bucket removed it, and train again.",
            ) from error

    def _order(self, name: str, data: str, place: str, request: TrainingRequest) -> dict[str, Any]:
        policy = self._policy
        limit_s = math.ceil(request.time_limit_s) + _GRACE_S
        stopping: dict[str, Any] = {"MaxRuntimeInSeconds": limit_s}
        kept: dict[str, Any] = {}
        if policy.spot:
            # counts waiting and running, so it may never be less than the running time alone
            stopping["MaxWaitTimeInSeconds"] = limit_s + math.ceil(policy.spot_wait_s)
            kept["CheckpointConfig"] = {
                "S3Uri": self._bucket.uri(f"{place}/checkpoints/"), "LocalPath": _CHECKPOINTS,
            }  # fmt: skip
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": image_of(policy),
                "TrainingInputMode": "File",
            },
            "HyperParameters": hyperparameters(request),
            "RoleArn": str(policy.role),
            "InputDataConfig": [
                channel(containers.DATA_CHANNEL, self._bucket.uri(data)),
                channel(containers.SOURCE_CHANNEL, self._bucket.uri(f"{place}/source/")),
            ],
            "OutputDataConfig": {"S3OutputPath": self._bucket.uri(place)},
            "ResourceConfig": {
                "InstanceType": policy.instance_type,
                "InstanceCount": policy.instance_count,
                "VolumeSizeInGB": policy.volume_gb,
            },
            "StoppingCondition": stopping,
            "EnableManagedSpotTraining": policy.spot,
            **kept,
            "Tags": names.tag_list(
                {
                    names.PROJECT: request.project,
                    names.RUN: request.run_id,
                    **{f"ml-pipeline:label:{key}": text for key, text in request.labels.items()},
                }
            ),
        }  # fmt: skip


if TYPE_CHECKING:
    _speaks: type[TrainingPlatform] = SageMakerTraining
