"""Training as Vertex AI custom jobs on the project's image."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.artifacts import VertexArtifacts
from ml_pipeline.adapters.vertex.client import CALL_S, Clients
from ml_pipeline.adapters.vertex.states import state_of
from ml_pipeline.adapters.vertex.storage import Bucket
from ml_pipeline.domain.cloud_image import ENTRY
from ml_pipeline.domain.errors import DataError, PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.identifiers import checked_run_id
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.packing import SOURCE_ARCHIVE, packed_source
from ml_pipeline.ports.training import JobRef, JobResult, JobState, RunningJob, TrainingRequest

if TYPE_CHECKING:
    from ml_pipeline.ports.training import TrainingPlatform

PLATFORM = "vertex"
#: What a job carries, and is found by.
PROJECT, RUN, ATTEMPT = "ml_pipeline_project", "ml_pipeline_run", "ml_pipeline_attempt"
_COMMAND = [*ENTRY, "train"]
_TAIL_LINES = 20


class VertexTraining:
    """Speaks `ports.training.TrainingPlatform`.

    A job's name on the platform is a number nobody can foresee, so its key stands in labels and
    is looked up before every attempt to make one, and after: an answer may have been lost, and
    the list is late at times. Of two jobs with one key the older one counts, and the other is
    cancelled.

    Args:
        clients: who asks.
        bucket: where data, models and metrics lie.
    """

    def __init__(self, clients: Clients, bucket: Bucket) -> None:
        self._clients = clients
        self._bucket = bucket
        self._policy = clients.policy

    def submit(self, request: TrainingRequest) -> JobRef:
        checked_run_id(request.run_id)
        same = self._of_key(request.project, request.run_id, str(request.attempt))
        if same:
            return self._eldest(same)
        artifacts = VertexArtifacts(self._bucket)
        with packed_source(request.source) as code:
            source = artifacts.put(code, SOURCE_ARCHIVE)
        data = artifacts.put(request.data, request.data.name)
        try:
            made = self._made(request, self._job(request, data, source))
        except api.NotFound as error:
            raise _nowhere(self._clients.parent) from error
        # when the twins cannot be listed now, `cancel` and the next `submit` see them
        with suppress(PlatformUnavailableError):
            same = self._of_key(request.project, request.run_id, str(request.attempt))
        return self._eldest([*same, made])

    def _made(self, request: TrainingRequest, asked: types.CustomJob) -> types.CustomJob:
        tried = False

        def once() -> types.CustomJob:
            nonlocal tried
            if tried:  # the attempt before may have made it, and its answer been lost
                same = self._of_key(request.project, request.run_id, str(request.attempt))
                if same:
                    return min(same, key=_created)
            tried = True
            make = self._clients.jobs.create_custom_job
            return make(parent=self._clients.parent, custom_job=asked, retry=None, timeout=CALL_S)

        return self._clients.attempts("to submit a training job", once)

    def _of_key(self, project: str, run_id: str, attempt: str) -> list[types.CustomJob]:
        known = self._of_run(project, run_id)
        return [one for one in known if one.labels[ATTEMPT] == attempt]

    def _eldest(self, same: Sequence[types.CustomJob]) -> JobRef:
        """The oldest of the jobs with one key; the others are cancelled, because they cost."""
        eldest = min(same, key=_created)
        for name in {one.name for one in same} - {eldest.name}:
            self._end(JobRef(PLATFORM, name))
        return _ref(eldest)

    def find(self, project: str, run_id: str) -> JobRef | None:
        known = self._of_run(project, run_id)
        if not known:
            return None
        newest = max(int(one.labels[ATTEMPT]) for one in known)
        return _ref(min((o for o in known if int(o.labels[ATTEMPT]) == newest), key=_created))

    def state(self, job: JobRef) -> JobState:
        return state_of(job.name, self._get(job).state)

    def failure(self, job: JobRef) -> str:
        found = self._get(job)
        if state_of(job.name, found.state) is not JobState.FAILED:
            return ""
        reason = found.error.message or f"it ended as {found.state.name}"
        log = self._bucket.read(f"{_output(found)}/{told.FAILURE_FILE}") or b""
        return "\n".join([reason, *log.decode(errors="replace").splitlines()[-_TAIL_LINES:]])

    def result(self, job: JobRef) -> JobResult:
        found = self._get(job)
        state = state_of(job.name, found.state)
        if state is not JobState.SUCCEEDED:
            raise DataError(
                f"training job {job.name} is {state}, so it has no result",
                remedy="Wait until it has succeeded.",
            )
        environ = {one.name: one.value for one in _container(found).env}
        name, artifact = environ[told.METRICS], environ[told.ARTIFACT]
        left = self._bucket.below(_output(found))
        for wanted, what in ((name, "metrics"), (artifact, "model")):
            if not any(one == wanted or one.startswith(f"{wanted}/") for one in left):
                raise DataError(
                    f"training job {job.name} left no {what} {wanted!r} in {{output}}, but"
                    f" {', '.join(left) or 'nothing'}",
                    remedy=f"Let the training write it, or correct the {what}'s name"
                    " under [train].",
                )
        text = (self._bucket.read(f"{_output(found)}/{name}") or b"").decode(errors="replace")
        return JobResult(
            metrics=reported_metrics(text, where=f"{name} of training job {job.name}"),
            model_uri=f"{_output(found)}/{artifact}",
        )

    def cancel(self, job: JobRef) -> None:
        """Ask the job to stop, and every other with its key."""
        self._end(job)
        labels = self._get(job).labels
        for one in self._of_key(labels[PROJECT], labels[RUN], labels[ATTEMPT]):
            if one.name != job.name and not state_of(one.name, one.state).final:
                self._end(_ref(one))

    def _end(self, job: JobRef) -> None:
        try:
            self._clients.asked(
                f"to cancel {job.name}", self._clients.jobs.cancel_custom_job, name=job.name
            )
        except api.NotFound as error:
            raise _unknown(job) from error
        except PlatformRefusedError:
            if not self.state(job).final:  # one that has ended is left as it is
                raise

    def url(self, job: JobRef) -> str:
        number = job.name.rpartition("/")[2]
        return (
            "https://console.cloud.google.com/vertex-ai/locations/"
            f"{self._policy.region}/training/{number}?project={self._policy.project}"
        )

    def running(self, project: str) -> Sequence[RunningJob]:
        return [
            RunningJob(ref=_ref(one), run_id=one.labels[RUN], started_at=_created(one))
            for one in self._jobs(project)
            if not state_of(one.name, one.state).final
        ]

    def last_submitted(self, project: str) -> datetime | None:
        return max((_created(one) for one in self._jobs(project)), default=None)

    def _jobs(self, project: str, more: str = "") -> Sequence[types.CustomJob]:
        return self._clients.listed(
            "for the project's training jobs",
            self._clients.jobs.list_custom_jobs,
            request={
                "parent": self._clients.parent,
                "filter": f'labels.{PROJECT}="{project}"{more}',
            },
        )

    def _of_run(self, project: str, run_id: str) -> Sequence[types.CustomJob]:
        return self._jobs(project, f' AND labels.{RUN}="{run_id}"')

    def _get(self, job: JobRef) -> types.CustomJob:
        if job.platform != PLATFORM or not job.name.startswith(f"{self._clients.parent}/"):
            raise _unknown(job)
        try:
            return self._clients.asked(
                f"for {job.name}", self._clients.jobs.get_custom_job, name=job.name
            )
        except api.NotFound as error:
            raise _unknown(job) from error

    def _job(self, request: TrainingRequest, data: str, source: str) -> types.CustomJob:
        policy = self._policy
        where = f"{request.project}/{request.run_id}/{request.attempt}"
        environ = {**told.variables_of(request), told.DATA: data, told.SOURCE: source}
        pool = types.WorkerPoolSpec(
            machine_spec=types.MachineSpec(machine_type=policy.machine_type),
            replica_count=policy.machine_count,
            container_spec=types.ContainerSpec(
                image_uri=policy.image,
                command=_COMMAND,
                env=[types.EnvVar(name=name, value=value) for name, value in environ.items()],
            ),
        )
        strategy = types.Scheduling.Strategy
        return types.CustomJob(
            display_name=where,
            job_spec=types.CustomJobSpec(
                worker_pool_specs=[pool],
                scheduling=types.Scheduling(
                    timeout=timedelta(seconds=request.time_limit_s),
                    strategy=strategy.SPOT if policy.spot else strategy.STANDARD,
                ),
                service_account=policy.service_account or "",
                base_output_directory=types.GcsDestination(
                    output_uri_prefix=f"{self._bucket.root}/jobs/{request.run_id}/{request.attempt}"
                ),
            ),
            labels={
                **request.labels,
                PROJECT: request.project,
                RUN: request.run_id,
                ATTEMPT: str(request.attempt),
            },
        )


def _ref(job: types.CustomJob) -> JobRef:
    return JobRef(PLATFORM, job.name)


def _created(job: Any) -> datetime:
    made: datetime = job.create_time
    return made


def _container(job: types.CustomJob) -> types.ContainerSpec:
    return job.job_spec.worker_pool_specs[0].container_spec


def _output(job: types.CustomJob) -> str:
    """What `AIP_MODEL_DIR` is in the job's container."""
    return f"{job.job_spec.base_output_directory.output_uri_prefix}/model"


def _nowhere(parent: str) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"there is no {parent}", remedy="Correct 'vertex.project' or 'vertex.region'."
    )


def _unknown(job: JobRef) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"there is no training job {job.platform}:{job.name} on Vertex AI",
        remedy="Start a new run.",
    )


if TYPE_CHECKING:
    _speaks: type[TrainingPlatform] = VertexTraining
