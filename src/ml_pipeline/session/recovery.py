"""What happens after a run: resume it, abort it, roll a release back."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ml_pipeline.adapters.local.evidence import (
    ROLLBACK,
    ROLLBACK_FINISHED,
    RUN_ABORTED,
    append_journal,
    newest_result,
    read_journal,
)
from ml_pipeline.conductor import kept
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.evidence import EXIT_CODES, Outcome, RunRecord, StageResult
from ml_pipeline.pipeline import STAGES, spec
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.session import restoring
from ml_pipeline.session.begun import Begun, asked_of, refuse_mixed, rules_of
from ml_pipeline.session.running import Session
from ml_pipeline.settings import Platform

#: Journal lines of stages that touched what serves.
_TOUCHED = {
    "staging-deploying",
    "production-deploying",
    "rollout-started",
    "weights",
    "rollback-started",
}


def resume(session: Session, run_id: str, options: RunOptions) -> RunRecord:
    """Continue a run from its journal; what passed is not run again.

    Raises:
        DataError: its journal does not say any more how it began.
        ConfigurationError: it was aborted, or code or settings are not those it began with.
    """
    folder = session.wiring.runs.existing(run_id)
    begun = asked_of(folder)
    if begun is None:
        raise ConfigurationError(
            f"{run_id} is no run of stages that could be continued",
            remedy="End it with `ml-pipeline abort`, or run `ml-pipeline rollback` again.",
        )
    if any(line.get("event") == RUN_ABORTED for line in read_journal(folder)):
        raise ConfigurationError(f"run {run_id} was aborted", remedy="Start a new run.")
    refuse_mixed(folder, begun, options, rules_of(session.settings))
    before = begun.options
    options = replace(
        options,
        force=before.force,
        force_promote=before.force_promote,
        chaos=before.chaos,
        trigger=before.trigger,
        bootstrap=before.bootstrap,
        cutoff=before.cutoff,
        reason=options.reason or before.reason,
    )
    stages = [spec(one) for one in begun.stages]
    results = {
        one.id: found
        for one in stages
        if not one.always and (found := newest_result(folder, one.id)) is not None
    }
    return session.run(run_id, stages, options, begun.sets, kept(results))


def abort(session: Session, run_id: str | None) -> list[str]:
    """Cancel what a run left running and give the champion its traffic; what was done.

    On a cloud, from any machine: what the run left there says which run it was.

    Raises:
        ConfigurationError: nobody knows that run.
    """
    runs = session.wiring.runs
    run_id, here = _meant(session, run_id)
    if run_id is None:
        return ["no run has been started"]
    folder = runs.folder(run_id) if here else runs.create(run_id)
    append_journal(folder, session.clock, "aborting")
    done = restoring.cancel_training(
        session.wiring.project, run_id, platform=session.wiring.training, clock=session.clock
    )
    begun, known = _begun(folder)
    if not (here and known) or _touched_platform(folder):
        done += restoring.restore_traffic(
            session.settings.model,
            registry=session.wiring.registry,
            router=session.wiring.router,
            production_host=session.wiring.production_host,
            staging_host=session.wiring.staging_host,
            bundles=session.wiring.bundles,
            clock=session.clock,
            health_limit_s=session.settings.staging.health_time_limit_s,
        )
    append_journal(folder, session.clock, RUN_ABORTED, done=list(done))
    if not (folder / "run.json").is_file():
        if not known:
            return [*done, "its journal does not say how it began, so there is no record of it"]
        if begun is not None:
            _record_aborted(session, run_id, folder, begun)
    return done


def _meant(session: Session, run_id: str | None) -> tuple[str | None, bool]:
    """The run to abort, and whether its evidence is here."""
    runs, wiring = session.wiring.runs, session.wiring
    cloud = session.settings.platform is not Platform.LOCAL
    run_id = run_id or next(iter(runs.ids()), None)
    if run_id is None and cloud:
        jobs = wiring.training.running(wiring.project)
        run_id = wiring.router.rollout() or next((job.run_id for job in jobs), None)
    if run_id is None:
        return None, False
    try:
        return runs.called(run_id), True
    except ConfigurationError:
        there = cloud and (
            wiring.router.rollout() == run_id
            or wiring.training.find(wiring.project, run_id) is not None
        )
        if not there:
            raise
        return run_id, False


def _touched_platform(folder: Path) -> bool:
    events = {line.get("event") for line in read_journal(folder)}
    return bool(events & _TOUCHED)


def _record_aborted(session: Session, run_id: str, folder: Path, begun: Begun) -> None:
    results = {one.id: found for one in STAGES if (found := _readable(folder, one.id)) is not None}
    record = session.record(run_id, replace(begun.options, cutoff=None), results, begun.at)
    stopped = {
        "outcome": Outcome.INTERRUPTED,
        "exit_code": int(EXIT_CODES[Outcome.INTERRUPTED]),
        "message": "interrupted and aborted",
    }
    session.wiring.runs.write_record(record.model_copy(update=stopped))


def roll_back(session: Session, reason: str) -> str:
    """Give traffic and alias back to the version that served before; a sentence.

    Raises:
        ConfigurationError: there is none; nothing was begun.
        PlatformUnavailableError: the platform is out of reach; nothing was begun.
    """
    wiring = session.wiring
    champion, target = restoring.served_before(session.settings.model, wiring.registry)
    router, host = wiring.router, wiring.production_host  # out of reach: nothing is begun
    folder = wiring.runs.create(f"{ROLLBACK}{session.new_run_id()}")
    append_journal(folder, session.clock, "rollback-started", reason=reason)
    restoring.roll_back(
        champion,
        target,
        registry=wiring.registry,
        router=router,
        production_host=host,
        bundles=wiring.bundles,
        clock=session.clock,
        health_limit_s=session.settings.staging.health_time_limit_s,
    )
    told = f"version {target.version} serves again instead of version {champion.version}"
    append_journal(folder, session.clock, ROLLBACK_FINISHED, message=told)
    return told


def _begun(run_folder: Path) -> tuple[Begun | None, bool]:
    """What a run began with, and whether that is known."""
    try:
        return asked_of(run_folder), True
    except DataError:
        return None, False


def _readable(run_folder: Path, stage: str) -> StageResult | None:
    with suppress(DataError):
        return newest_result(run_folder, stage)
    return None
