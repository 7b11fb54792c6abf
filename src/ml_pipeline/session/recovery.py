"""What happens after a run: resume it, abort it, roll a release back."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_pipeline.adapters.local.evidence import (
    ROLLBACK,
    ROLLBACK_FINISHED,
    RUN_ABORTED,
    append_journal,
    newest_result,
    read_journal,
)
from ml_pipeline.conductor import kept
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.evidence import EXIT_CODES, Outcome, RunRecord
from ml_pipeline.pipeline import STAGES, spec
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.session import restoring
from ml_pipeline.session.running import STARTED, Session

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
        ConfigurationError: it was aborted, or code or settings changed since it began.
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
    before = begun["options"]
    for name in ("source_digest", "settings_digest"):
        if before[name] != getattr(options, name):
            raise ConfigurationError(
                f"{name.removesuffix('_digest')} changed since run {run_id} began, so its"
                " evidence is about something else",
                remedy="Start a new run, or put back what changed.",
            )
    options = replace(
        options,
        force=bool(before["force"]),
        force_promote=bool(before["force_promote"]),
        chaos=str(before["chaos"]),
        trigger=str(before["trigger"]),
        bootstrap=bool(before["bootstrap"]),
        cutoff=datetime.fromisoformat(before["cutoff"]) if before["cutoff"] else None,
        reason=options.reason or str(before["reason"]),
    )
    stages = [spec(one) for one in begun["stages"]]
    results = {
        one.id: found
        for one in stages
        if not one.always and (found := newest_result(folder, one.id)) is not None
    }
    return session.run(run_id, stages, options, begun["sets"], kept(results))


def abort(session: Session, run_id: str | None) -> list[str]:
    """Cancel what a run left running and give the champion its traffic; what was done."""
    runs = session.wiring.runs
    run_id = run_id or next(iter(runs.ids()), None)
    if run_id is None:
        return ["no run has been started"]
    run_id = runs.called(run_id)
    folder = runs.folder(run_id)
    append_journal(folder, session.clock, "aborting")
    done = restoring.cancel_training(
        session.wiring.project, run_id, platform=session.wiring.training, clock=session.clock
    )
    if _touched_platform(folder):
        done += restoring.restore_traffic(
            session.settings.model,
            registry=session.wiring.registry,
            router=session.wiring.router,
            production_host=session.wiring.production_host,
            staging_host=session.wiring.staging_host,
            bundles=session.wiring.bundles,
            clock=session.clock,
        )
    append_journal(folder, session.clock, RUN_ABORTED, done=list(done))
    if not (folder / "run.json").is_file():
        _record_aborted(session, run_id, folder)
    return done


def _touched_platform(folder: Path) -> bool:
    events = {line.get("event") for line in read_journal(folder)}
    return bool(events & _TOUCHED)


def _record_aborted(session: Session, run_id: str, folder: Path) -> None:
    begun = asked_of(folder)
    if begun is None:
        return
    results = {
        one.id: found for one in STAGES if (found := newest_result(folder, one.id)) is not None
    }
    options = RunOptions(**{**begun["options"], "cutoff": None})
    record = session.record(run_id, options, results, datetime.fromisoformat(begun["at"]))
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
    """
    wiring = session.wiring
    champion, target = restoring.served_before(session.settings.model, wiring.registry)
    folder = wiring.runs.create(f"{ROLLBACK}{session.new_run_id()}")
    append_journal(folder, session.clock, "rollback-started", reason=reason)
    restoring.roll_back(
        champion,
        target,
        registry=wiring.registry,
        router=wiring.router,
        production_host=wiring.production_host,
        bundles=wiring.bundles,
        clock=session.clock,
    )
    told = f"version {target.version} serves again instead of version {champion.version}"
    append_journal(folder, session.clock, ROLLBACK_FINISHED, message=told)
    return told


def asked_of(run_folder: Path) -> dict[str, Any] | None:
    """The journal line a run began with, None when there is none."""
    for line in read_journal(run_folder):
        if line.get("event") == STARTED:
            return dict(line)
    return None
