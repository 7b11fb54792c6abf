"""A run as a whole: one at a time, interruptible, recorded whatever happens."""

import json
import os
import signal
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import BOOTSTRAP, append_journal, newest_result
from ml_pipeline.adapters.local.source import commit_of, pipeline_digest, source_digest
from ml_pipeline.conductor import Conductor, Watcher
from ml_pipeline.domain.environ import harmless
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.evidence import EXIT_CODES, Outcome, RunRecord, StageResult, Status
from ml_pipeline.domain.identifiers import checked_run_id, run_id_from
from ml_pipeline.pipeline import STAGES, StageSpec, conclude, execute, spec
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.session.begun import STARTED, asked_of, refuse_mixed, rules_of
from ml_pipeline.session.lock import held
from ml_pipeline.settings import Platform, Secrets, Settings
from ml_pipeline.wiring import Wiring

#: A platform that a killed run left behind stops by itself after this long.
_IDLE_STOP_S = 600.0


class Session:
    """One process's work on one project.

    Args:
        settings: the project's.
        secrets: from the environment only.
        environ: the caller's environment, for the project's own commands.
        state: folder of the embedded platform, environments and caches.
        runs: folder of all runs.
        watcher: told of every stage's start and end.
    """

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        environ: Mapping[str, str],
        *,
        state: Path,
        runs: Path,
        watcher: Watcher,
    ) -> None:
        self.settings = settings
        self.state = state
        self.clock = HostClock(settings.clock_scale)
        self._watcher = watcher
        self._started_platform = False
        self._platform_up = False
        self.wiring = Wiring(
            settings=settings,
            secrets=secrets,
            environ=environ,
            state=state,
            runs_root=runs,
            clock=self.clock,
            bring_up=self._bring_up,
        )

    def another(self) -> Wiring:
        """The same ports made anew, as a second process would have them."""
        return replace(self.wiring)

    def new_run_id(self) -> str:
        """An id nobody has used."""
        return run_id_from(self.clock.now(), uuid.uuid4().hex[:4])

    @contextmanager
    def alone(self, run_id: str, *, wait: bool = False) -> Iterator[None]:
        """Hold the project for this run, end on signals, and leave nothing behind.

        Raises:
            BusyError: another run holds it, and `wait` is not set.
        """
        with ExitStack() as stack:
            stack.enter_context(held(self.state, run_id, wait=wait))
            stack.enter_context(self._signals())
            stack.callback(self._take_down)
            stack.callback(self.wiring.close)
            yield

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _frame: FrameType | None) -> None:
            self.clock.stop(signal.Signals(number).name)

        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _bring_up(self) -> None:
        """Start the embedded platform for this run unless one is up."""
        if self._platform_up:
            return
        from ml_pipeline.localplatform import control

        local = self.settings.local
        # This run holds the project alone: a platform made for a run is a dead run's.
        found = control.status(self.state)
        self._started_platform = found is None or found.for_run
        # No stage is longer without a word to the platform than its load test.
        idle_stop_s = _IDLE_STOP_S + self.settings.load.duration_s
        control.up(
            self.state,
            port=local.port,
            for_run=True,
            sticky_header=local.sticky_header,
            options=control.UpOptions(
                idle_stop_s=idle_stop_s, environ=harmless(self.wiring.environ)
            ),
        )
        self._platform_up = True

    def _reach_platform(self, stages: Sequence[StageSpec]) -> None:
        """Say before a training is paid for, not after it, that the platform is out of reach."""
        several = len(stages) > 1 and not all(one.ci for one in stages)
        if several and self.settings.platform is Platform.LOCAL:
            from ml_pipeline.localplatform import control

            control.status(self.state)

    def _take_down(self) -> None:
        if self._started_platform:
            from ml_pipeline.localplatform import control

            control.down(self.state)

    def options(self, **asked: Any) -> RunOptions:
        """What was asked, with digests and commit of what it was asked for."""
        source, data = self.settings.source, self.settings.data
        without = source / data.path if data.path else None
        return RunOptions(
            **asked,
            source_digest=source_digest(source, without=without),
            settings_digest=self.settings.digest(),
            commit=commit_of(source, self.wiring.environ),
        )

    def full_pipeline(self, run_id: str, options: RunOptions, sets: Iterable[str]) -> RunRecord:
        """Trigger B: everything, after bootstrapping a champion where there is none."""
        cutoff = options.cutoff or self.settings.data.bootstrap_cutoff
        first = self.settings.data.bootstrap_cutoff is not None and self._has_no_champion()
        if first and not options.cutoff:
            bootstrap = replace(
                options, bootstrap=True, cutoff=cutoff, force=True, chaos="",
                reason="bootstrap: a champion to compare with",
            )  # fmt: skip
            record = self.run(f"{run_id}{BOOTSTRAP}", STAGES, bootstrap, sets)
            if record.outcome is not Outcome.PROMOTED:
                return record
        return self.run(run_id, STAGES, options, sets)

    def _has_no_champion(self) -> bool:
        return self.wiring.champion_hint() is None

    def run(
        self,
        run_id: str,
        stages: Sequence[StageSpec],
        options: RunOptions,
        sets: Iterable[str] = (),
        done: Mapping[str, StageResult] | None = None,
    ) -> RunRecord:
        """Run stages of one run to their end, and record what it came to."""
        self._reach_platform(stages)
        # One stage looked at again does not rewrite what its run came to.
        whole = len(stages) + len(done or {}) > 1
        folder = self._begin(run_id, stages, options, sets)
        if whole:  # what it came to before is not what it comes to now, killed or not
            self.wiring.runs.forget_record(run_id)
        results: dict[str, StageResult] = dict(done or {})
        begun_at = self.clock.now()

        def watch(one: StageSpec, result: StageResult | None) -> None:
            if result is not None:
                results[one.id] = result
                if result.status is Status.INTERRUPTED:
                    self.clock.stop("Ctrl-C")  # for the stages beside it; a first reason stands
            self._watcher(one, result)

        def so_far() -> RunRecord:
            return self.record(run_id, options, results, begun_at)

        of_run: dict[str, Any] = {"options": options, "so_far": so_far}
        conductor = Conductor(
            run_id=run_id,
            runs=self.wiring.runs,
            memo=self.wiring.memo,
            clock=self.clock,
            provide=lambda name, folder: (
                of_run[name] if name in of_run else self.wiring.provide(name, folder)
            ),
            digests=_digests(options),
            watcher=watch,
        )
        execute(stages, conductor.run_stage, skip=conductor.skip, done=done or {})
        record = so_far()
        if whole or not (folder / "run.json").is_file():
            self.wiring.runs.write_record(record)
        append_journal(folder, self.clock, "run-finished", outcome=record.outcome)
        return record

    def _begin(
        self, run_id: str, stages: Sequence[StageSpec], options: RunOptions, sets: Iterable[str]
    ) -> Path:
        """The run's folder, with what is asked of it in its journal."""
        folder = self.wiring.runs.create(checked_run_id(run_id))
        begun, rules = asked_of(folder), rules_of(self.settings)
        if begun is not None and any(one.production for one in stages):
            refuse_mixed(folder, begun, options, rules)
        append_journal(
            folder, self.clock, STARTED,
            model=self.settings.model, rules=rules, options=_asked(options), sets=list(sets),
            stages=[one.id for one in stages], pid=os.getpid(),
        )  # fmt: skip
        return folder

    def single(self, stage_id: str, run_id: str | None, options: RunOptions) -> RunRecord:
        """One stage, on an earlier run's evidence where it needs any."""
        one = spec(stage_id)
        if run_id is None and one.needs:
            run_id = self.wiring.runs.newest()
            if run_id is None:
                raise ConfigurationError(
                    f"stage {stage_id} needs {', '.join(one.needs)}, and no run has any evidence",
                    remedy="Run `ml-pipeline full-pipeline`, or the stages it needs, first.",
                )
        run_id = run_id or self.new_run_id()
        return self.run(run_id, [one], options, done=self._around(one, run_id))

    def _around(self, one: StageSpec, run_id: str) -> Mapping[str, StageResult]:
        """What the run's other stages came to, where this one changes what it comes to."""
        folder = self.wiring.runs.folder(run_id)
        others = [other.id for other in STAGES if one.production and other.id != one.id]
        found = {stage: newest_result(folder, stage) for stage in others}
        return {stage: result for stage, result in found.items() if result is not None}

    def record(
        self,
        run_id: str,
        options: RunOptions,
        results: Mapping[str, StageResult],
        begun_at: datetime,
    ) -> RunRecord:
        """The run as far as it got."""
        ordered = [results[one.id] for one in STAGES if one.id in results]
        outcome, ender = conclude(ordered)
        code = int(EXIT_CODES[outcome])
        if outcome is Outcome.ERROR and ender is not None and ender.exit_code is not None:
            code = ender.exit_code
        return RunRecord(
            run_id=run_id,
            project=self.settings.source.name,
            model=self.settings.model,
            platform=self.settings.platform,
            profile=self.settings.profile,
            trigger=options.trigger,
            started_at=begun_at,
            duration_s=max(0.0, (self.clock.now() - begun_at).total_seconds()),
            outcome=outcome,
            exit_code=code,
            message=ender.message if ender else "every check passed",
            options=_asked(options),
            commit=options.commit,
            stages=ordered,
        )


def _asked(options: RunOptions) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(asdict(options), default=str))
    return told


def _digests(options: RunOptions) -> dict[str, str]:
    """What every answer depends on; a kept one is of the program that gave it."""
    about = {"source": options.source_digest, "settings": options.settings_digest}
    return {**about, "pipeline": pipeline_digest()}
