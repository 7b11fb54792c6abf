"""Commands that run stages."""

from collections.abc import Callable
from typing import Any

from ml_pipeline.cli.opening import Place, open_session
from ml_pipeline.cli.saying import say
from ml_pipeline.domain.errors import ConfigurationError, ExitCode
from ml_pipeline.domain.evidence import RunRecord
from ml_pipeline.pipeline import STAGES
from ml_pipeline.session import recovery
from ml_pipeline.session.begun import asked_of, refuse_known
from ml_pipeline.session.running import Session

Asked = dict[str, Any]


def full(place: Place, run_id: str | None, asked: Asked, *, wait: bool) -> int:
    """`full-pipeline`."""
    _known_drill(asked["chaos"])

    def work(session: Session, name: str) -> RunRecord:
        refuse_known(session.wiring.runs, name)
        return session.full_pipeline(name, session.options(**asked), place.sets)

    return _run(place, run_id, work, wait=wait)


def checks(place: Place, run_id: str | None, asked: Asked, *, wait: bool) -> int:
    """`ci`."""
    stages = [one for one in STAGES if one.ci]

    def work(session: Session, name: str) -> RunRecord:
        refuse_known(session.wiring.runs, name)
        return session.run(name, stages, session.options(**asked), place.sets)

    return _run(place, run_id, work, wait=wait)


def single(place: Place, stage: str, on: str | None, asked: Asked, *, wait: bool) -> int:
    """`run STAGE`."""

    def work(session: Session, _name: str) -> RunRecord:
        return session.single(stage, on, session.options(**asked))

    return _run(place, None, work, wait=wait)


def resumed(place: Place, asked_for: str | None, asked: Asked, *, wait: bool) -> int:
    """`resume` of a run, the newest by default, with the settings it began with."""
    session, shown = open_session(place)
    wanted = asked_for or session.wiring.runs.newest()
    if wanted is None:
        raise ConfigurationError(
            "there is no run to go on with", remedy="Run `ml-pipeline full-pipeline` first."
        )
    run_id = session.wiring.runs.called(wanted)
    begun = asked_of(session.wiring.runs.folder(run_id))
    shown.close()
    extra = begun.sets if begun else []

    def work(session: Session, name: str) -> RunRecord:
        return recovery.resume(session, name, session.options(**asked))

    return _run(place, run_id, work, wait=wait, extra=extra)


def aborted(place: Place, run_id: str | None, *, wait: bool) -> int:
    """`abort`."""
    session, shown = open_session(place.without_files)
    shown.close()
    with session.alone(f"abort of {run_id or 'the newest run'}", wait=wait):
        for line in recovery.abort(session, run_id):
            say(line)
    return ExitCode.DONE


def rolled_back(place: Place, reason: str, *, wait: bool) -> int:
    """`rollback`."""
    session, shown = open_session(place.without_files)
    shown.close()
    with session.alone("rollback", wait=wait):
        say(recovery.roll_back(session, reason))
    return ExitCode.DONE


def _run(
    place: Place,
    run_id: str | None,
    work: Callable[[Session, str], RunRecord],
    *,
    wait: bool,
    extra: list[str] | None = None,
) -> int:
    session, shown = open_session(place, extra=extra or [])
    name = run_id or session.new_run_id()
    try:
        with session.alone(name, wait=wait):
            record = work(session, name)
    finally:
        shown.close()
    _conclude(session, record)
    return record.exit_code


def _conclude(session: Session, record: RunRecord) -> None:
    from ml_pipeline.reporting.summary import lines

    report = session.wiring.runs.folder(record.run_id) / "report"
    pages = sorted(report.glob("*/report.html"), key=lambda path: int(path.parent.name))
    for line in lines(record, str(pages[-1]) if pages else ""):
        say(line)


def _known_drill(chaos: str) -> None:
    if chaos:
        from ml_pipeline.domain.chaos import parse_chaos

        parse_chaos(chaos)
