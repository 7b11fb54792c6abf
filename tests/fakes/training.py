"""A training platform that does what a test tells it, in no time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports.training import JobRef, JobResult, JobState, RunningJob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ml_pipeline.ports.clock import Clock
    from ml_pipeline.ports.training import TrainingPlatform, TrainingRequest


@dataclass
class FakeJob:
    """What became of a request."""

    request: TrainingRequest
    submitted_at: datetime
    state: JobState = JobState.RUNNING
    metrics: str | None = None
    model_uri: str | None = None
    failure: str = ""


@dataclass
class FakeTraining:
    """Speaks `ports.training.TrainingPlatform`.

    `behave` is called once with each new job and sets what comes of it; without it jobs run on.
    Two instances over the same `jobs` are two machines. `errors` are what the next calls of a
    method end in, one each; those of `unheard` are answered so after `submit` made the job.
    """

    clock: Clock
    behave: Callable[[FakeJob], None] | None = None
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    errors: dict[str, list[Exception]] = field(default_factory=dict)

    def submit(self, request: TrainingRequest) -> JobRef:
        self._meet("submit")
        job = self._made(request)
        self._meet("unheard")
        return job

    def _made(self, request: TrainingRequest) -> JobRef:
        name = f"{request.project}/{request.run_id}/{request.attempt}"
        if name not in self.jobs:
            self.jobs[name] = FakeJob(request, self.clock.now())
            if self.behave is not None:
                self.behave(self.jobs[name])
        return JobRef("fake", name)

    def find(self, project: str, run_id: str) -> JobRef | None:
        self._meet("find")
        found = [name for name in self.jobs if name.startswith(f"{project}/{run_id}/")]
        newest = max(found, key=lambda name: int(name.rsplit("/", 1)[1]), default=None)
        return None if newest is None else JobRef("fake", newest)

    def state(self, job: JobRef) -> JobState:
        self._meet("state")
        return self._job(job).state

    def failure(self, job: JobRef) -> str:
        return self._job(job).failure

    def result(self, job: JobRef) -> JobResult:
        found = self._job(job)
        if found.state is not JobState.SUCCEEDED or found.metrics is None or not found.model_uri:
            raise DataError(f"job {job.name} left no result", remedy="Let it write one.")
        metrics = reported_metrics(found.metrics, where=found.request.metrics)
        return JobResult(metrics=metrics, model_uri=found.model_uri)

    def cancel(self, job: JobRef) -> None:
        self._meet("cancel")
        found = self._job(job)
        if not found.state.final:
            found.state = JobState.CANCELLED

    def url(self, job: JobRef) -> str:
        self._meet("url")
        return f"https://console.invalid/{job.name}"

    def running(self, project: str) -> Sequence[RunningJob]:
        return [
            RunningJob(
                ref=JobRef("fake", name), run_id=job.request.run_id, started_at=job.submitted_at
            )
            for name, job in self.jobs.items()
            if job.request.project == project and not job.state.final
        ]

    def last_submitted(self, project: str) -> datetime | None:
        times = [job.submitted_at for job in self.jobs.values() if job.request.project == project]
        return max(times, default=None)

    def _meet(self, method: str) -> None:
        if self.errors.get(method):
            raise self.errors[method].pop(0)

    def _job(self, job: JobRef) -> FakeJob:
        if job.name not in self.jobs:
            raise PlatformRefusedError(f"there is no job {job.name}", remedy="Submit it.")
        return self.jobs[job.name]


if TYPE_CHECKING:
    _speaks: type[TrainingPlatform] = FakeTraining
