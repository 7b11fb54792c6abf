"""Commands that look, and those of the embedded platform."""

from pathlib import Path

from ml_pipeline.adapters.local.evidence import (
    ROLLBACK,
    ROLLBACK_FINISHED,
    RUN_ABORTED,
    LocalRuns,
    read_journal,
)
from ml_pipeline.cli.opening import Place, environment, folders_of, open_session, settings_of
from ml_pipeline.cli.saying import say
from ml_pipeline.domain.environ import harmless
from ml_pipeline.domain.errors import ConfigurationError, DataError, ExitCode, PipelineError
from ml_pipeline.domain.outcomes import Outcome
from ml_pipeline.reporting.summary import said
from ml_pipeline.session.lock import Holder, holder_of
from ml_pipeline.session.running import Session
from ml_pipeline.settings import Platform

_NEWEST = 10
#: characters of a run's cause: one line of a wide terminal; all of it is in the report
_LONGEST = 140


def show_status(place: Place) -> int:
    """`status`: champion, platform, newest runs."""
    session, _ = open_session(place.without_files)
    settings = session.settings
    say(f"model:    {settings.model} on {settings.platform}, profile {settings.profile}")
    code = _show_champion(session)
    if settings.platform is Platform.LOCAL:
        show_platform(place)
    else:
        code = _show_traffic(session) or code
    runs, holder = session.wiring.runs, holder_of(folders_of(place.without_files, settings)[0])
    for run_id in runs.ids()[:_NEWEST]:
        told = _works(holder, run_id) or _came_to(runs, run_id)
        say(f"run:      {run_id}  {told}")
    return code


def _show_champion(session: Session) -> int:
    """Who serves; what cannot be asked is no reason to hide platform and runs."""
    try:
        champion = session.wiring.champion_hint()
    except PipelineError as error:
        say(f"champion: {said(str(error))}")
        say(f"          {said(error.remedy)}")
        return int(error.exit_code)
    say(f"champion: {f'version {champion.version}' if champion else 'none'}")
    return ExitCode.DONE


def _show_traffic(session: Session) -> int:
    """What a cloud's production endpoint gives to whom."""
    try:
        weights, holder = session.wiring.router.weights(), session.wiring.router.rollout()
    except PipelineError as error:
        say(f"traffic:  {said(str(error))}")
        return int(error.exit_code)
    # Platforms name slots in any order, and differently each time.
    largest_first = sorted(weights.items(), key=lambda it: (-it[1], it[0]))
    shares = [f"{slot} {share} %" for slot, share in largest_first]
    say(f"traffic:  {', '.join(shares) or 'nothing serves'}")
    if holder is not None:
        say(f"rollout:  run {holder} moves traffic, or died while it did")
    return ExitCode.DONE


def _works(holder: Holder | None, run_id: str) -> str:
    """What is said of a run that is going on, empty of any other."""
    if holder is None or run_id not in {holder.run_id, f"{holder.run_id}-bootstrap"}:
        return ""
    return f"running: process {holder.pid}, which Ctrl-C or `kill -TERM {holder.pid}` ends"


def _came_to(runs: LocalRuns, run_id: str) -> str:
    try:
        record = runs.record(run_id)
        told = said(f"{record.outcome}: {record.message}", _LONGEST)
        cut_short = record.outcome is Outcome.INTERRUPTED
        return f"{told}; {_next(runs, run_id)}" if cut_short else told
    except ConfigurationError:
        return _unconcluded(runs, run_id)
    except DataError as error:
        return said(str(error))


def _unconcluded(runs: LocalRuns, run_id: str) -> str:
    try:
        ends = {line["event"]: line for line in read_journal(runs.folder(run_id))}
    except DataError as error:
        return said(str(error))
    if ROLLBACK_FINISHED in ends:
        return said(str(ends[ROLLBACK_FINISHED].get("message", "rollback finished")), _LONGEST)
    return "aborted" if RUN_ABORTED in ends else f"not concluded: {_go_on(run_id)}"


def _next(runs: LocalRuns, run_id: str) -> str:
    """What became of a run that was cut short, or what to do about it."""
    events = {line["event"] for line in read_journal(runs.folder(run_id))}
    return "aborted" if RUN_ABORTED in events else _go_on(run_id)


def _go_on(run_id: str) -> str:
    again = "rollback" if run_id.startswith(ROLLBACK) else f"resume {run_id}"
    return f"run `ml-pipeline {again}`, or `abort {run_id}`"


def write_report(place: Place, run_id: str | None, output: Path | None) -> int:
    """`report`: the pages again, from the evidence."""
    from ml_pipeline.adapters.local.clock import HostClock
    from ml_pipeline.adapters.local.evidence import newest_result
    from ml_pipeline.pipeline import STAGES
    from ml_pipeline.reporting.summary import lines
    from ml_pipeline.reporting.writer import FileReportWriter
    from ml_pipeline.settings import Secrets

    _, root = folders_of(place, settings_of(place.without_files))
    runs = LocalRuns(root, HostClock())
    chosen = run_id or runs.newest()
    if chosen is None:
        raise ConfigurationError(
            f"there is no run in {root}", remedy="Run `ml-pipeline full-pipeline` first."
        )
    chosen = runs.called(chosen)
    folder = runs.folder(chosen)
    stages = [found for one in STAGES if (found := newest_result(folder, one.id)) is not None]
    record = runs.record(chosen).model_copy(update={"stages": stages})
    target = output or folder / "report"
    target.mkdir(parents=True, exist_ok=True)
    for line in lines(record):
        say(line)
    for path in FileReportWriter(secrets=tuple(Secrets.read(environment()).plain())).write(
        record, folder, target
    ):
        say(str(path))
    return ExitCode.DONE


def bring_up(place: Place, port: int | None) -> int:
    """`platform up`."""
    from ml_pipeline.localplatform import control

    settings = settings_of(place.without_files)
    state, _ = folders_of(place, settings)
    state.mkdir(parents=True, exist_ok=True)
    wanted = settings.local.port if port is None else port
    info = control.up(
        state, port=wanted or control.DEFAULT_PORT, for_run=False,
        sticky_header=settings.local.sticky_header,
        options=control.UpOptions(environ=harmless(environment())),
    )  # fmt: skip
    say(f"serving on {info.public_url}")
    return ExitCode.DONE


def take_down(place: Place) -> int:
    """`platform down`."""
    from ml_pipeline.localplatform import control

    state, _ = folders_of(place, settings_of(place.without_files))
    say("stopped" if control.down(state) else "the platform was not up")
    return ExitCode.DONE


def show_platform(place: Place) -> int:
    """`platform status`."""
    from ml_pipeline.localplatform import control

    state, _ = folders_of(place, settings_of(place.without_files))
    info = control.status(state)
    if info is None:
        say("platform: not up")
        return ExitCode.DONE
    say(f"platform: {info.public_url}")
    for one in info.deployments:
        weight = info.weights.get(one.slot, 0)
        say(f"  {one.endpoint:<10} {one.slot:<8} version {one.version} {one.state} {weight} %")
    return ExitCode.DONE


def show_costs(place: Place) -> int:
    """`platform costs`."""
    session, _ = open_session(place.without_files)
    standing = session.wiring.costs.standing()
    if not standing:
        say(f"nothing of {session.settings.model} runs on {session.settings.platform}")
    for one in standing:
        hours = (session.clock.now() - one.since).total_seconds() / 3600
        say(f"{one.kind} {one.name}: {one.what}, since {one.since:%Y-%m-%d %H:%M} ({hours:.1f} h)")
    return ExitCode.DONE
