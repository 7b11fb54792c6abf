"""Runs one stage from its record to its evidence, whatever happens in it."""

import errno
import hashlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from ml_pipeline.domain.errors import ExitCode, InterruptedRunError, PipelineError
from ml_pipeline.domain.evidence import StageOutcome, StageResult, Status
from ml_pipeline.pipeline import StageSpec
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import Folder, Memo, RunStore

#: A pure stage's kept answer: its result, and its artifacts beside it.
_KEPT = "result.json"
#: A disk that takes no more is nobody's bug.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

#: Gives a stage what its `run` names: a policy, a port, or something of the run.
Provide = Callable[[str, Folder], Any]
Watcher = Callable[[StageSpec, StageResult | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductor:
    """Everything around a stage's `run`: attempt, journal, adoption, errors, result.

    `provide` maps the parameter names of `run` to what they stand for; `digests` are what every
    stage's answer depends on besides the stages before it (source and settings).
    """

    run_id: str
    runs: RunStore
    memo: Memo
    clock: Clock
    provide: Provide
    digests: Mapping[str, str]
    watcher: Watcher

    def run_stage(self, spec: StageSpec) -> StageResult:
        """Run one attempt of a stage and write its result.

        Raises:
            StorageError: the evidence itself could not be written.
        """
        folder = self.runs.begin(self.run_id, spec.id)
        folder.journal("stage-started")
        self.watcher(spec, None)
        inputs = self._inputs(spec, folder)
        key = _key(spec, inputs)
        result = (self._adopted(spec, folder, key) if spec.pure else None) or self._fresh(
            spec, folder, inputs
        )
        self.runs.finish(folder, result)
        if spec.pure and result.status is Status.PASSED and result.adopted_from is None:
            self._keep(spec, folder, key, result)
        folder.journal("stage-finished", status=result.status, outcome=result.outcome)
        self.watcher(spec, result)
        return result

    def skip(self, spec: StageSpec, reason: str) -> StageResult:
        """Write the result of a stage that is not run, and why."""
        folder = self.runs.begin(self.run_id, spec.id)
        result = self._result(spec, folder, {}, Status.SKIPPED, message=reason)
        self.runs.finish(folder, result)
        self.watcher(spec, result)
        return result

    def _inputs(self, spec: StageSpec, folder: Folder) -> dict[str, str]:
        inputs = dict(self.digests)
        for need in spec.needs:
            found = folder.find(need)
            for artifact in found.artifacts if found else ():
                inputs[f"{need}/{artifact.path}"] = artifact.sha256
        return inputs

    def _fresh(self, spec: StageSpec, folder: Folder, inputs: dict[str, str]) -> StageResult:
        start, started_at = self.clock.monotonic(), self.clock.now()
        try:
            outcome = self._call(spec, folder)
            made = self._result(spec, folder, inputs, outcome.status, **_told(outcome))
            artifacts = [self.runs.artifact(folder.path, path) for path in outcome.artifacts]
            made = made.model_copy(update={"artifacts": artifacts})
        except KeyboardInterrupt:
            # polars takes a Ctrl-C that comes while it computes and raises it in this thread.
            made = self._result(
                spec, folder, inputs, Status.INTERRUPTED, message="the run was asked to stop",
                exit_code=int(ExitCode.INTERRUPTED),
            )  # fmt: skip
        except PipelineError as error:
            stopped = isinstance(error, InterruptedRunError)
            status = Status.INTERRUPTED if stopped else Status.ERROR
            made = self._result(
                spec,
                folder,
                inputs,
                status,
                message=str(error),
                remedy=error.remedy,
                exit_code=int(error.exit_code),
            )
        except OSError as error:
            made = self._os_error(spec, folder, inputs, error)
        except Exception as error:  # noqa: BLE001 - a bug is evidence too, with its traceback
            made = self._bug(spec, folder, inputs, error)
        duration_s = self.clock.monotonic() - start
        return made.model_copy(update={"started_at": started_at, "duration_s": duration_s})

    def _os_error(
        self, spec: StageSpec, folder: Folder, inputs: dict[str, str], error: OSError
    ) -> StageResult:
        if error.errno not in _DISK:
            return self._bug(spec, folder, inputs, error)
        return self._result(
            spec,
            folder,
            inputs,
            Status.ERROR,
            message=f"{error.filename or folder.path} could not be written: {error.strerror}",
            remedy=f"Free space there and run `ml-pipeline resume {folder.run_id}`.",
            exit_code=int(ExitCode.UNAVAILABLE),
        )

    def _bug(
        self, spec: StageSpec, folder: Folder, inputs: dict[str, str], error: Exception
    ) -> StageResult:
        file = folder.path / "traceback.txt"
        with suppress(OSError):
            file.write_text(traceback.format_exc(), encoding="utf-8")
        return self._result(
            spec,
            folder,
            inputs,
            Status.ERROR,
            message=f"bug: {type(error).__name__}: {error}",
            remedy=f"Report it with {file}.",
            exit_code=int(ExitCode.BUG),
        )

    def _call(self, spec: StageSpec, folder: Folder) -> StageOutcome:
        module, _, function = spec.run.partition(":")
        run = getattr(import_module(module), function)
        asked = inspect.signature(run).parameters
        outcome = run(**{name: self.provide(name, folder) for name in asked})
        if not isinstance(outcome, StageOutcome):
            raise TypeError(f"{spec.run} returned {type(outcome).__name__}, not a StageOutcome")
        return outcome

    def _result(
        self, spec: StageSpec, folder: Folder, known: dict[str, str], status: Status, **told: Any
    ) -> StageResult:
        return StageResult(
            run_id=None if spec.pure else folder.run_id,
            stage=spec.id,
            attempt=folder.attempt,
            status=status,
            started_at=self.clock.now(),
            duration_s=0,
            inputs={**known, **told.pop("inputs", {})},
            **told,
        )

    def _adopted(self, spec: StageSpec, folder: Folder, key: str) -> StageResult | None:
        kept = self.memo.get(spec.id, key)
        if kept is None:
            return None
        try:
            result = StageResult.model_validate_json((kept / _KEPT).read_bytes())
            for artifact in result.artifacts:
                target = folder.path / artifact.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((kept / artifact.path).read_bytes())
                if self.runs.artifact(folder.path, target) != artifact:
                    return None
        except (ValidationError, OSError):
            return None  # an answer that cannot be read whole is no answer: the stage runs
        return result.model_copy(
            update={
                "attempt": folder.attempt,
                "adopted_from": result.values.get("made_in", ""),
                "started_at": self.clock.now(),
                "duration_s": 0.0,
            }
        )

    def _keep(self, spec: StageSpec, folder: Folder, key: str, result: StageResult) -> None:
        made_in = f"{folder.run_id}/{spec.id}/{folder.attempt}"
        kept = result.model_copy(update={"values": {**result.values, "made_in": made_in}})
        files = [folder.path / artifact.path for artifact in result.artifacts]
        self.memo.put(spec.id, key, files, folder.path)
        place = self.memo.get(spec.id, key)
        if place is not None:
            # Written where it stays: runs and kept answers may lie on different disks.
            part = place / f".{_KEPT}.{folder.run_id}"
            part.write_text(kept.model_dump_json(), encoding="utf-8")
            part.replace(place / _KEPT)


def _told(outcome: StageOutcome) -> dict[str, Any]:
    return {
        "outcome": outcome.outcome,
        "message": outcome.message,
        "remedy": outcome.remedy,
        "checks": list(outcome.checks),
        "metrics": dict(outcome.metrics),
        "values": dict(outcome.values),
        "inputs": dict(outcome.inputs),
    }


def _key(spec: StageSpec, inputs: Mapping[str, str]) -> str:
    lines = [spec.id, *(f"{name} {digest}" for name, digest in sorted(inputs.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def kept(results: Mapping[str, StageResult]) -> dict[str, StageResult]:
    """Of a run's results, those `resume` keeps: what passed, or was left out by choice."""
    return {
        name: result
        for name, result in results.items()
        if result.status is Status.PASSED or (result.status is Status.SKIPPED and result.outcome)
    }
