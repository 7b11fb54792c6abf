"""Training on this machine: one folder and one supervised process a job."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from ml_pipeline.adapters.local import job as files
from ml_pipeline.adapters.local.disk import write_whole
from ml_pipeline.adapters.local.processes import MARKER, alive, end_all, new_marker
from ml_pipeline.adapters.local.runner import LocalRunner
from ml_pipeline.domain.commands import fill
from ml_pipeline.domain.errors import (
    DataError,
    PlatformRefusedError,
)
from ml_pipeline.domain.identifiers import checked_run_id
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.training import (
    JobRef,
    JobResult,
    JobState,
    RunningJob,
    TrainingRequest,
)
from ml_pipeline.ports.training_output import (
    NOTHING,
    metrics_text,
    require_file,
    what_was_left,
)

if TYPE_CHECKING:
    from ml_pipeline.ports.training import TrainingPlatform

PLATFORM = "local"
_CANCELLED = "cancelled"
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}/[1-9]\d{0,5}$")
_SUBMIT_LIMIT_S = 60.0
_TAIL_LINES = 20


class _Job(BaseModel):
    """The content of `job.json`."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    argv: tuple[str, ...]
    cwd: Path
    artifact: str
    metrics: str
    marker: str
    time_limit_s: float
    submitted_at: datetime
    secret_names: tuple[str, ...]
    labels: dict[str, str]


class LocalTraining:
    """Speaks `ports.training.TrainingPlatform`.

    Args:
        state: the pipeline's own folder for this project; jobs lie in `jobs/` there.
        runner: how the project's commands are started.
        clock: the time jobs are submitted at.
        grace_s: how much longer than asked a job may run before its supervisor ends it, in case
            nobody watches it any more. The watcher's own limit comes first, and is told apart.
    """

    def __init__(
        self, state: Path, runner: LocalRunner, clock: Clock, *, grace_s: float = 60.0
    ) -> None:
        self._folder = state.resolve() / "jobs"
        self._runner = runner
        self._clock = clock
        self._grace_s = grace_s

    def submit(self, request: TrainingRequest) -> JobRef:
        run_id = checked_run_id(request.run_id)
        job = JobRef(PLATFORM, f"{request.project}/{run_id}/{request.attempt}")
        folder = self._path(job)
        launch = self._runner.launch(
            fill(request.argv, data=request.data.resolve(), output=folder / files.OUTPUT)
        )
        (folder / files.OUTPUT).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "submit.lock"):
            if (folder / files.PROCESS).exists():
                return job
            asked = self._asked_before(folder) or self._ask(request, launch.argv)
            write_whole(folder / files.JOB, asked.model_dump_json(indent=1))
            _start(folder, {**launch.environ, **request.variables, MARKER: asked.marker})
        return job

    def find(self, project: str, run_id: str) -> JobRef | None:
        return max(
            (ref for ref in self._jobs(project) if ref.name.split("/")[1] == run_id),
            key=lambda ref: int(ref.name.split("/")[2]),
            default=None,
        )

    def state(self, job: JobRef) -> JobState:
        folder = self._path(job)
        asked = self._asked(job)
        if not (folder / files.EXIT).exists():
            process = _read(folder / files.PROCESS)
            if alive(process["pid"], process["create_time"]):
                asked_to_stop = (folder / _CANCELLED).exists()
                return JobState.CANCELLING if asked_to_stop else JobState.RUNNING
            self._bury(folder, asked)
        if _read(folder / files.EXIT)["exit_code"] == 0:
            return JobState.SUCCEEDED
        return JobState.CANCELLED if (folder / _CANCELLED).exists() else JobState.FAILED

    def failure(self, job: JobRef) -> str:
        if self.state(job) is not JobState.FAILED:
            return ""
        folder = self._path(job)
        ended = _read(folder / files.EXIT)
        log = folder / files.LOG
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        reason = ended["reason"] or f"it ended with exit code {ended['exit_code']}"
        return "\n".join([reason, *text.splitlines()[-_TAIL_LINES:]])

    def result(self, job: JobRef) -> JobResult:
        state = self.state(job)
        if state is not JobState.SUCCEEDED:
            raise DataError(
                f"training job {job.name} is {state}, so it has no result",
                remedy="Wait until it has succeeded.",
            )
        asked = self._asked(job)
        output, where = self._path(job) / files.OUTPUT, f"training job {job.name}"
        _require(output, asked.metrics, "metrics", where)
        text = metrics_text(output, asked.metrics, where=where).decode(errors="replace")
        _require(output, asked.artifact, "model", where)
        model = require_file(output, asked.artifact, where=where)
        return JobResult(
            metrics=reported_metrics(text, where=f"{asked.metrics} of {where}"),
            model_uri=model.as_uri(),
        )

    def cancel(self, job: JobRef) -> None:
        if self.state(job).final:
            return
        folder, asked = self._path(job), self._asked(job)
        (folder / _CANCELLED).touch()
        end_all(_read(folder / files.PROCESS)["pid"], asked.marker)
        self._bury(folder, asked)

    def url(self, job: JobRef) -> str:
        return (self._path(job) / files.LOG).as_uri()

    def running(self, project: str) -> Sequence[RunningJob]:
        left = [ref for ref in self._jobs(project) if not self.state(ref).final]
        asked = [(ref, self._asked(ref)) for ref in left]
        return [
            RunningJob(ref=ref, run_id=one.run_id, started_at=one.submitted_at)
            for ref, one in asked
        ]

    def last_submitted(self, project: str) -> datetime | None:
        return max((self._asked(ref).submitted_at for ref in self._jobs(project)), default=None)

    def _jobs(self, project: str) -> Iterator[JobRef]:
        """Jobs that were really started; one whose submission was cut short is none."""
        for process in sorted((self._folder / project).glob(f"*/*/{files.PROCESS}")):
            yield JobRef(PLATFORM, process.parent.relative_to(self._folder).as_posix())

    def _path(self, job: JobRef) -> Path:
        if job.platform != PLATFORM or not _NAME.match(job.name):
            raise _unknown(job)
        return self._folder / job.name

    def _ask(self, request: TrainingRequest, argv: tuple[str, ...]) -> _Job:
        return _Job(
            run_id=request.run_id,
            argv=argv,
            cwd=request.source.resolve(),
            artifact=request.artifact,
            metrics=request.metrics,
            marker=new_marker(),
            time_limit_s=request.time_limit_s + self._grace_s,
            submitted_at=self._clock.now(),
            secret_names=self._runner.secret_names,
            labels=dict(request.labels),
        )

    def _asked_before(self, folder: Path) -> _Job | None:
        """What a submission asked that was cut short: its supervisor may still be starting."""
        try:
            return _Job.model_validate_json((folder / files.JOB).read_bytes())
        except (OSError, ValidationError):
            return None

    def _asked(self, job: JobRef) -> _Job:
        folder = self._path(job)
        if not (folder / files.PROCESS).exists():
            raise _unknown(job)
        try:
            return _Job.model_validate_json((folder / files.JOB).read_bytes())
        except (OSError, ValidationError) as error:
            raise PlatformRefusedError(
                f"{folder / files.JOB} cannot be read: {error}",
                remedy=f"Remove {folder}, and train again.",
            ) from error

    def _bury(self, folder: Path, asked: _Job) -> None:
        """End what a dead supervisor left running, and write the end it could not write."""
        end_all(None, asked.marker)
        self._runner.mask(folder / files.LOG)
        files.finish(folder, None, "its supervisor was killed")


def _require(output: Path, name: str, what: str, where: str) -> None:
    """Say what else is there, where the training may only call its file otherwise."""
    if what_was_left(output, name) != NOTHING:
        return
    inside = sorted(each.name for each in output.iterdir()) if output.is_dir() else []
    raise DataError(
        f"{where} left no {what} {name!r} in {{output}}, but {', '.join(inside) or 'nothing'}",
        remedy=f"Let the training write it, or correct the {what}'s name under [train].",
    )


def _start(folder: Path, environ: dict[str, str]) -> None:
    with (folder / files.SUPERVISOR_LOG).open("wb") as log:
        process = subprocess.Popen(
            # -I: what the project sets for its own Python does not touch ours
            [sys.executable, "-I", "-m", files.__name__, str(folder)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = process.wait(timeout=_SUBMIT_LIMIT_S)
    if code or not (folder / files.PROCESS).exists():
        said = (folder / files.SUPERVISOR_LOG).read_text(errors="replace").splitlines()
        raise PlatformRefusedError(
            f"no supervisor could be started for the training in {folder}: {said[-1:]}",
            remedy=f"See {folder / files.SUPERVISOR_LOG}.",
        )


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _unknown(job: JobRef) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"there is no training job {job.platform}:{job.name} on this machine",
        remedy="Start a new run.",
    )


if TYPE_CHECKING:
    _speaks: type[TrainingPlatform] = LocalTraining
