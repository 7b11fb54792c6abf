"""Training as command jobs of Azure ML."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.adapters.azureml.artifacts import AzuremlArtifacts
from ml_pipeline.adapters.azureml.client import AbsentError, Workspace
from ml_pipeline.adapters.azureml.states import JOB_STATES, known
from ml_pipeline.domain.cloud_image import ENTRY
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.domain.identifiers import checked_run_id
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.packing import SOURCE_ARCHIVE, packed_source
from ml_pipeline.ports.training import JobRef, JobResult, JobState, RunningJob, TrainingRequest

if TYPE_CHECKING:
    from ml_pipeline.ports.training import TrainingPlatform

PLATFORM = "azureml"
#: Parts of a name are lower case letters, digits and hyphens, so `_` keeps them apart.
_NAME = re.compile(r"^([a-z0-9-]+)_([a-z0-9-]+)_([1-9][0-9]*)$")
#: A shell's words; see docs/containers.md.
_COMMAND = (
    f"{' '.join(ENTRY)} train --data ${{{{inputs.data}}}} --source ${{{{inputs.source}}}}"
    " --output ${{outputs.output}}"
)
#: How much longer than our own limit the service lets a job run, when nobody watches it any more.
_GRACE_S = 300
_ARTIFACT = "ml_pipeline_artifact"


class AzuremlTraining:
    """Speaks `ports.training.TrainingPlatform`.

    A job's name is its idempotency key. It carries the tag `ml-pipeline.<project>`, by whose key
    the service lists a project's jobs.
    """

    def __init__(self, workspace: Workspace, artifacts: AzuremlArtifacts) -> None:
        self._workspace = workspace
        self._artifacts = artifacts

    def submit(self, request: TrainingRequest) -> JobRef:
        name = f"{request.project}_{checked_run_id(request.run_id)}_{request.attempt}"
        job = JobRef(PLATFORM, name)
        if self._exists(job):
            return job
        folder = f"jobs/{request.project}/{request.run_id}/{request.attempt}"
        with packed_source(request.source) as code:
            source = self._artifacts.upload(code, f"{folder}/source/{SOURCE_ARCHIVE}")
        data = self._artifacts.upload(request.data, f"{folder}/data/{request.data.name}")
        place = data.rsplit("/", 2)[0]
        places = {"data": f"{place}/data", "source": source.rsplit("/", 1)[0]}
        order = self._order(name, request, places, f"{place}/output")
        try:
            self._workspace.ask(f"to submit job {name}", lambda ml: ml.jobs.create_or_update(order))
        except PlatformRefusedError:
            # another process may have submitted the same key meanwhile: that job is ours too
            if not self._exists(job):
                raise
        return job

    def find(self, project: str, run_id: str) -> JobRef | None:
        found = [one for one in self._jobs(project) if _parts(one.name)[1] == run_id]
        newest = max(found, key=lambda one: int(_parts(one.name)[2]), default=None)
        return None if newest is None else JobRef(PLATFORM, newest.name)

    def state(self, job: JobRef) -> JobState:
        return _state(self._job(job))

    def failure(self, job: JobRef) -> str:
        if self.state(job) is not JobState.FAILED:
            return ""
        said = self._artifacts.text(f"{self._output(job)}/{told.FAILURE_FILE}")
        return said or f"Azure ML says no more than that it failed: {self.url(job)}"

    def result(self, job: JobRef) -> JobResult:
        """Metrics and model; the metrics file decides, and MLflow must not contradict it."""
        found = self._job(job)
        if _state(found) is not JobState.SUCCEEDED:
            raise DataError(
                f"training job {job.name} is {_state(found)}, so it has no result",
                remedy="Wait until it has succeeded.",
            )
        output = self._output(job)
        text = self._artifacts.text(f"{output}/{told.METRICS_FILE}")
        model = f"{output}/{found.tags[_ARTIFACT]}"
        if text is None or not self._artifacts.has(model):
            what = "metrics" if text is None else f"model {found.tags[_ARTIFACT]!r}"
            raise DataError(
                f"training job {job.name} left no {what} in {output}",
                remedy="Let the training write it, or correct its name under [train].",
            )
        metrics = reported_metrics(text, where=f"the metrics of training job {job.name}")
        self._agree(job, metrics)
        return JobResult(metrics=metrics, model_uri=model)

    def cancel(self, job: JobRef) -> None:
        try:
            self._workspace.ask(
                f"to cancel job {job.name}",
                lambda ml: ml.jobs.begin_cancel(job.name, polling=False),
            )
        except PlatformRefusedError:
            if not self.state(job).final:  # one that has ended is left as it is
                raise

    def url(self, job: JobRef) -> str:
        return str(self._job(job).studio_url)

    def running(self, project: str) -> Sequence[RunningJob]:
        return [
            RunningJob(
                ref=JobRef(PLATFORM, one.name),
                run_id=_parts(one.name)[1],
                started_at=_created(one),
            )
            for one in self._jobs(project)
            if not _state(one).final
        ]

    def last_submitted(self, project: str) -> datetime | None:
        return max((_created(one) for one in self._jobs(project)), default=None)

    def _order(
        self, name: str, request: TrainingRequest, places: Mapping[str, str], output: str
    ) -> Any:
        policy = self._workspace.policy
        serverless = policy.compute is None
        return sdk.command(
            name=name,
            display_name=name,
            experiment_name=request.project,
            command=_COMMAND,
            environment=sdk.Environment(image=policy.image),
            environment_variables={told.LAYOUT: PLATFORM, **told.variables_of(request)},
            inputs={one: sdk.Input(type="uri_folder", path=path) for one, path in places.items()},
            outputs={"output": sdk.Output(type="uri_folder", path=output)},
            compute=policy.compute,
            instance_type=policy.instance_type if serverless else None,
            instance_count=policy.instance_count,
            job_tier=("spot" if policy.spot else "standard") if serverless else None,
            timeout=math.ceil(request.time_limit_s) + _GRACE_S,
            tags={
                **request.labels,
                f"ml-pipeline.{request.project}": request.run_id,
                _ARTIFACT: request.artifact,
            },
        )

    def _agree(self, job: JobRef, metrics: Mapping[str, float]) -> None:
        """What Azure shows of the job is what is judged."""
        url = f"{self._workspace.tracking_url}/api/2.0/mlflow/runs/get?run_id={job.name}"
        run = self._workspace.rest(f"the metrics of job {job.name}", url)["run"]
        for one in run.get("data", {}).get("metrics", []):
            ours, theirs = metrics.get(one["key"]), float(one["value"])
            if ours is not None and ours != theirs:
                raise DataError(
                    f"training job {job.name} left {one['key']} = {ours!r} in its metrics file,"
                    f" but MLflow has {theirs!r}",
                    remedy="Let the training log a metric once, with the value it writes.",
                )

    def _output(self, job: JobRef) -> str:
        policy = self._workspace.policy
        project, run_id, attempt = _parts(job.name)
        folder = f"{policy.prefix}/jobs/{project}/{run_id}/{attempt}/output"
        return f"azureml://datastores/{policy.datastore}/paths/{folder}"

    def _exists(self, job: JobRef) -> bool:
        try:
            self._job(job)
        except AbsentError:
            return False
        return True

    def _job(self, job: JobRef) -> Any:
        if job.platform != PLATFORM or not _NAME.match(job.name):
            raise AbsentError(
                f"{job.platform}:{job.name} is no job of Azure ML", remedy="Start a new run."
            )
        return self._workspace.ask(f"job {job.name}", lambda ml: ml.jobs.get(job.name))

    def _jobs(self, project: str) -> Iterator[Any]:
        tag = f"ml-pipeline.{project}"
        listed = self._workspace.ask(
            f"the jobs of {project}", lambda ml: list(ml.jobs.list(tag=tag))
        )
        for one in listed:
            if one is not None and _NAME.match(one.name) and _parts(one.name)[0] == project:
                yield one


def _parts(name: str) -> tuple[str, str, str]:
    project, run_id, attempt = name.split("_")
    return project, run_id, attempt


def _state(found: Any) -> JobState:
    return known(JOB_STATES, found.status, f"Azure ML job {found.name}")


def _created(found: Any) -> datetime:
    when: datetime = found.creation_context.created_at
    return when.astimezone(UTC)


if TYPE_CHECKING:
    _speaks: type[TrainingPlatform] = AzuremlTraining
