"""Train on the platform: submit once, poll, time out, cancel."""

import hashlib
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from ml_pipeline.domain.commands import hyperparameter_words
from ml_pipeline.domain.errors import DataError, PipelineError, PlatformUnavailableError
from ml_pipeline.domain.evidence import Check, StageOutcome, Status
from ml_pipeline.domain.metrics import read
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import EnvironmentPolicy, Hyperparameter, TrainPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import RunOptions, StageFolder
from ml_pipeline.ports.training import (
    ArtifactStore,
    JobRef,
    JobState,
    TrainingPlatform,
    TrainingRequest,
    cancel_and_see,
    ended_with_us,
    url_of,
)
from ml_pipeline.ports.training_limit import Patience
from ml_pipeline.ports.training_output import require_file
from ml_pipeline.stages.fetch_data import given_to_training

#: A pace up to this is that of a platform on this machine, in seconds.
_NEAR_S = 5
#: How much later than the pace a look may come, as a share of it.
_JITTER = 0.1
_SUBMITTING = "job-submitting"
#: Looks at a job that may go unanswered in a row before the run ends.
_BLIND_LOOKS = 5
#: How long a job is looked for whose submission went unanswered, the wait between two looks, in
#: seconds, and how many have to show none: a list of jobs may be late by some seconds.
_SEARCH_S, _SEARCH_PAUSE_S, _SEARCHES = 180.0, 5.0, 3


def run(
    *,
    stage: StageFolder,
    source: Path,
    project: str,
    data: DataPolicy,
    train: TrainPolicy,
    metric: MetricPolicy,
    hyperparameters: Mapping[str, Hyperparameter],
    environment: EnvironmentPolicy,
    training: TrainingPlatform,
    artifacts: ArtifactStore,
    options: RunOptions,
    clock: Clock,
    spot_wait_s: float = 0,
) -> StageOutcome:
    """Submit, wait and bring the model home; whatever stops the wait also stops the job."""
    request = request_of(
        stage,
        source=source,
        project=project,
        data=data,
        train=train,
        hyperparameters=hyperparameters,
        variables=environment.variables,
    )
    asked = digest_of(request, options.source_digest)
    job = _earlier(project, stage, training, asked, clock)
    if job is None:
        announce(stage, request, asked)
        job = submit(request, training, clock)
    with ended_with_us(job, training, clock, stage.journal):
        told(job, training, stage.journal)
        state = _wait(job, training, train, clock, stage.journal, spot_wait_s)
    _require_success(job, state, training)
    return _brought_home(stage, job, training, artifacts, train, metric)


def _earlier(
    project: str, stage: StageFolder, training: TrainingPlatform, asked: str, clock: Clock
) -> JobRef | None:
    """The job an interrupted attempt of this run left running or finished: never pay twice.

    A job that was asked for something else is no answer; one that still runs is cancelled.
    """
    job = training.find(project, stage.run_id) if stage.attempt > 1 else None
    if job is None or training.state(job) in {JobState.FAILED, JobState.CANCELLED}:
        return None
    submitted = [line.get("asked") for line in stage.journalled(_SUBMITTING)]
    if submitted and submitted[-1] != asked:
        if not training.state(job).final:
            cancel_and_see(job, training, clock)
        return None
    return job


def announce(stage: StageFolder, request: TrainingRequest, asked: str) -> None:
    """Journal what is about to be submitted: it is found again by whoever comes after a crash."""
    stage.journal(_SUBMITTING, run=request.run_id, job_attempt=request.attempt, asked=asked)


def digest_of(request: TrainingRequest, source_digest: str) -> str:
    """SHA-256 of what two jobs must share to give the same model: code, rows and command."""
    with request.data.open("rb") as file:
        rows = hashlib.file_digest(file, "sha256").hexdigest()
    told = [source_digest, rows, *request.argv, request.artifact, request.metrics]
    told += [f"{name}={value}" for name, value in sorted(request.variables.items())]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


def request_of(
    stage: StageFolder,
    *,
    source: Path,
    project: str,
    data: DataPolicy,
    train: TrainPolicy,
    hyperparameters: Mapping[str, Hyperparameter],
    variables: Mapping[str, str],
) -> TrainingRequest:
    """The job an attempt of this stage asks for."""
    words = hyperparameter_words(hyperparameters, train.hyperparameter_style)
    return TrainingRequest(
        project=project,
        run_id=stage.run_id,
        attempt=stage.attempt,
        source=source,
        data=stage.file("fetch-data", given_to_training(data)),
        argv=(*train.command, *words),
        artifact=train.artifact,
        metrics=train.metrics,
        time_limit_s=train.time_limit_s,
        hyperparameters=hyperparameters,
        variables=variables,
        labels={"run-id": stage.run_id, "project": project},
    )


def submit(request: TrainingRequest, training: TrainingPlatform, clock: Clock) -> JobRef:
    """Submit a job; one that was made although no answer came is found, because it costs.

    Raises:
        PlatformRefusedError: the platform said no.
        PlatformUnavailableError: it did not answer; the message says when a job may be running.
    """
    earlier = training.find(request.project, request.run_id) if request.attempt > 1 else None
    try:
        return training.submit(request)
    except PlatformUnavailableError as error:
        if (job := _unheard(request, earlier, training, clock, error)) is None:
            raise
        return job


def _unheard(
    request: TrainingRequest,
    earlier: JobRef | None,
    training: TrainingPlatform,
    clock: Clock,
    lost: PlatformUnavailableError,
) -> JobRef | None:
    """The job of a submission that went unanswered, None when it made none."""
    until, none = clock.monotonic() + _SEARCH_S, 0
    while none < _SEARCHES and clock.monotonic() < until:
        try:
            if training.find(request.project, request.run_id) not in {None, earlier}:
                return training.submit(request)  # the key finds it, and of two it keeps one
            none += 1
        except PipelineError:
            none = 0
        clock.pause(_SEARCH_PAUSE_S)
    if none == _SEARCHES:
        return None
    raise PlatformUnavailableError(
        f"a training job of run {request.run_id} may be running and cost: its submission was not"
        f" answered, and nothing since: {lost}",
        remedy=f"End it with `ml-pipeline abort {request.run_id}` when the platform answers.",
    ) from lost


def told(job: JobRef, training: TrainingPlatform, journal: Callable[..., None]) -> str:
    """Journal where a submitted job is to be seen; that address."""
    url = url_of(job, training)
    journal("job-submitted", platform=job.platform, job=job.name, url=url)
    return url


def wait_for(
    job: JobRef,
    training: TrainingPlatform,
    train: TrainPolicy,
    clock: Clock,
    journal: Callable[..., None],
    spot_wait_s: float,
) -> None:
    """Wait until a job has succeeded; whatever stops the wait also stops the job.

    It may be queued for `spot_wait_s` on top of its time limit.

    Raises:
        DataError: it failed, or somebody cancelled it.
        TimeLimitError: it ran too long, and was cancelled.
    """
    with ended_with_us(job, training, clock, journal):
        state = _wait(job, training, train, clock, journal, spot_wait_s)
    _require_success(job, state, training)


def _require_success(job: JobRef, state: JobState, training: TrainingPlatform) -> None:
    if state is not JobState.SUCCEEDED:
        raise DataError(
            f"training job {job.name} {state}: {training.failure(job)}",
            remedy=f"Read its log at {url_of(job, training)} and mend the training.",
        )


def _wait(
    job: JobRef,
    training: TrainingPlatform,
    train: TrainPolicy,
    clock: Clock,
    journal: Callable[..., None],
    spot_wait_s: float,
) -> JobState:
    patience = Patience(clock, limit_s=train.time_limit_s, spot_wait_s=spot_wait_s)
    # Local trainings last seconds: the first looks come sooner than the steady pace. A cloud is
    # polled at its own pace from the start: a platform counts every call.
    pause_s = min(0.2, train.poll_s) if train.poll_s <= _NEAR_S else train.poll_s
    blind = 0
    while True:
        try:
            state, blind = training.state(job), 0
            if state.final:
                return state
            patience.saw(state)
        except PlatformUnavailableError as error:
            patience.saw(None)
            blind += 1
            if blind == _BLIND_LOOKS:
                raise
            journal("job-unseen", job=job.name, said=str(error))
        patience.require(job)
        # never sooner than the pace, and not in step with others that began at the same moment
        clock.sleep(pause_s * (1 + _JITTER * random.random()))  # noqa: S311
        pause_s = min(pause_s * 1.5, train.poll_s)


def _brought_home(
    stage: StageFolder,
    job: JobRef,
    training: TrainingPlatform,
    artifacts: ArtifactStore,
    train: TrainPolicy,
    metric: MetricPolicy,
) -> StageOutcome:
    result = training.result(job)
    model = stage.path / "model" / Path(train.artifact).name
    model.parent.mkdir()
    digest = artifacts.fetch(result.model_uri, model)
    require_file(model.parent, model.name, where=f"training job {job.name}")
    checks = [Check(name="the job succeeded", passed=True, value=job.name)]
    if metric.reported_as is not None:
        value = read(metric, result.metrics, key=metric.reported_as, whose="the training")
        checks.append(Check(name=f"reported {metric.reported_as}", passed=True, value=value))
    return StageOutcome(
        status=Status.PASSED,
        message=f"job {job.name} succeeded",
        checks=tuple(checks),
        metrics=result.metrics,
        artifacts=(model,),
        values={
            "job": job.name,
            "platform": job.platform,
            "url": url_of(job, training),
            "model_uri": result.model_uri,
            "model_digest": digest,
            "model": f"model/{model.name}",
        },
    )
