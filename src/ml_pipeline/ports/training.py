"""Where training runs, and how a model gets out of there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.errors import (
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
    StorageError,
)
from ml_pipeline.ports.clock import Clock


class JobState(StrEnum):
    """The states a job can be in, whatever the platform calls them."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """One training; `argv` still holds `{data}` and `{output}`, hyperparameters are in it.

    `data` is a file with training rows only. `project`, `run_id` and `attempt` are the
    idempotency key: the same three mean the same job. `variables` are environment variables the
    training sees; they stand in the job's description, so none of them is a secret.
    """

    project: str
    run_id: str
    attempt: int
    source: Path
    data: Path
    argv: tuple[str, ...]
    artifact: str
    metrics: str
    time_limit_s: float
    hyperparameters: Mapping[str, bool | float | str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job as its platform names it."""

    platform: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a succeeded job left."""

    metrics: Mapping[str, float]
    model_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that has not ended, for the cost guard and for `abort`."""

    ref: JobRef
    run_id: str
    started_at: datetime


class TrainingPlatform(Protocol):
    """Submits, watches and cancels training jobs."""

    def submit(self, request: TrainingRequest) -> JobRef:
        """Start the job; with the same idempotency key a second time, return the same job.

        Raises:
            PlatformRefusedError: the platform said no.
            PlatformUnavailableError: it did not answer; the job may run all the same.
        """

    def find(self, project: str, run_id: str) -> JobRef | None:
        """The newest job of that run, also from a machine that did not submit it."""

    def state(self, job: JobRef) -> JobState:
        """The job's state now.

        Raises:
            PlatformRefusedError: there is no such job, or its state is one we do not know.
        """

    def failure(self, job: JobRef) -> str:
        """Why the job failed, in the platform's words and its last log lines; may be empty."""

    def result(self, job: JobRef) -> JobResult:
        """Metrics and model of a succeeded job.

        Raises:
            DataError: metrics or model are absent, or a metric is no finite number.
        """

    def cancel(self, job: JobRef) -> None:
        """Ask the job to stop, with everything it started; a finished job is left as it is.

        It is asked at once: an outage of the job's description keeps no job alive.
        """

    def url(self, job: JobRef) -> str:
        """Where a person can look at the job: a console page, or its log file."""

    def running(self, project: str) -> Sequence[RunningJob]:
        """Jobs of the project that have not ended, whoever submitted them."""

    def last_submitted(self, project: str) -> datetime | None:
        """When the project last paid for a job, None when never; for the cost guard."""


#: Waits between two looks at a cancelled job, in seconds, and how long until that is called a
#: refusal; five minutes in all, because a cloud gives a container two minutes to end.
_LOOK_S, _LONGEST_LOOK_S, _CANCEL_LIMIT_S = 0.2, 5.0, 300.0


def cancel_and_see(job: JobRef, platform: TrainingPlatform, clock: Clock) -> None:
    """Cancel a job and see that it has ended; works also when the run was told to stop.

    What the platform does not answer is asked again until the five minutes are over.

    Raises:
        PlatformRefusedError: the platform still runs it after five minutes, or will not cancel it.
        PlatformUnavailableError: it did not answer, and may still run it.
    """
    until, pause_s = clock.monotonic() + _CANCEL_LIMIT_S, _LOOK_S
    asked, lost = False, None
    while clock.monotonic() < until:
        try:
            if not asked:
                platform.cancel(job)
                asked = True
            if platform.state(job).final:
                return
            lost = None
        except PlatformUnavailableError as error:
            lost = error
        clock.pause(pause_s)
        pause_s = min(pause_s * 1.2, _LONGEST_LOOK_S)
    if lost is not None:
        raise PlatformUnavailableError(
            f"job {job.name} may still be running and cost: its platform did not answer for five"
            f" minutes while it was being cancelled: {lost}",
            remedy="End it with `ml-pipeline abort` as soon as the platform answers.",
        ) from lost
    raise PlatformRefusedError(
        f"job {job.name} is still running five minutes after it was cancelled",
        remedy=f"Stop it by hand: {url_of(job, platform)}.",
    )


@contextmanager
def ended_with_us(
    job: JobRef, platform: TrainingPlatform, clock: Clock, journal: Callable[..., None]
) -> Iterator[None]:
    """Whatever ends the block early, a bug too, cancels the job and sees it end."""
    try:
        yield
    except BaseException:
        # a disk too full for the journal keeps no job alive
        with suppress(StorageError):
            journal("job-cancelling", job=job.name)
        cancel_and_see(job, platform, clock)
        with suppress(StorageError):
            journal("job-cancelled", job=job.name)
        raise


def url_of(job: JobRef, platform: TrainingPlatform) -> str:
    """Where a person can look at the job; `unknown` when the platform does not tell it now."""
    try:
        return platform.url(job)
    except PipelineError:
        return "unknown"


class ArtifactStore(Protocol):
    """Moves files in and out of where a platform keeps them."""

    def put(self, source: Path, name: str) -> str:
        """Store a file or folder; its URI. The same content twice has the same digest."""

    def fetch(self, uri: str, target: Path) -> str:
        """Bring what `uri` names to `target` (a file, or a folder as a folder); its SHA-256.

        Raises:
            DataError: there is nothing there.
        """
