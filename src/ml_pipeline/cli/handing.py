"""Commands that hand runs and state on, and those that containers live from."""

from pathlib import Path

from ml_pipeline.cli.opening import Place, folders_of, open_session, settings_of
from ml_pipeline.cli.saying import say
from ml_pipeline.domain.errors import ConfigurationError, ExitCode


def give_evidence(place: Place, run_id: str | None, output: Path) -> int:
    """`evidence export`; needs no configuration when the runs' folder is named."""
    from ml_pipeline.adapters.local.clock import HostClock
    from ml_pipeline.adapters.local.evidence import LocalRuns
    from ml_pipeline.session import handing

    root = place.runs or folders_of(place, settings_of(place))[1]
    say(handing.export_run(LocalRuns(root, HostClock()), run_id, output))
    return ExitCode.DONE


def take_evidence(place: Place, folder: Path) -> int:
    """`evidence import`."""
    say(taken_in(place, folder, None))
    return ExitCode.DONE


def taken_in(place: Place, folder: Path, run_id: str | None) -> str:
    """A run from elsewhere laid beside the project's; its id.

    Raises:
        ConfigurationError: it cannot be, or it is another run than `run_id`.
    """
    from ml_pipeline.adapters.local.clock import HostClock
    from ml_pipeline.adapters.local.evidence import LocalRuns
    from ml_pipeline.session import handing

    settings = settings_of(place)
    _, root = folders_of(place, settings)
    taken = handing.import_run(folder, LocalRuns(root, HostClock()), settings.model)
    if run_id not in {None, taken}:
        raise ConfigurationError(
            f"{folder} is evidence of run {taken}, and --run names {run_id}",
            remedy="Leave one of the two out.",
        )
    return taken


def give_state(place: Place, folder: Path) -> int:
    """`platform export`, while no run changes the state."""
    from ml_pipeline.session import snapshots

    session, shown = open_session(place.without_files)
    shown.close()
    settings = session.settings
    state, runs = folders_of(place, settings)
    with session.alone("export of the state"):
        snapshots.export_state(state, runs, settings.model, folder)
    return ExitCode.DONE


def take_state(place: Place, folder: Path, *, wait: bool) -> int:
    """`platform import`; only where there is something to take does it hold the project."""
    from ml_pipeline.session import snapshots

    session, shown = open_session(place.without_files)
    shown.close()
    model = session.settings.model
    state, runs = folders_of(place, session.settings)
    became = snapshots.known_beginning(folder, state, model)
    if became is None:
        with session.alone("import of the state", wait=wait):
            became = snapshots.import_state(folder, state, runs, model)
    say(became)
    return ExitCode.DONE


def serve(place: Place, host: str, port: int | None) -> int:
    """`platform serve`."""
    from ml_pipeline.localplatform import control, supervisor

    settings = settings_of(place)
    state, _ = folders_of(place, settings)
    wanted = (settings.local.port if port is None else port) or control.DEFAULT_PORT
    words = ["--state", str(state), "--host", host, "--port", str(wanted)]
    return supervisor.main([*words, "--sticky-header", settings.local.sticky_header or ""])


def make_environment(place: Place) -> int:
    """`prepare`; neither rows nor code have to be there for an environment."""
    session, shown = open_session(place.without_files)
    shown.close()
    say(session.wiring.runner.prepare())
    return ExitCode.DONE
