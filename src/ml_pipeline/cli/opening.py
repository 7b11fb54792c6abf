"""From the options every command shares to a session."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.cli.progress import Progress, progress
from ml_pipeline.session.running import Session
from ml_pipeline.settings import Secrets, Settings, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The options every command shares."""

    source: Path | None
    state: Path | None
    runs: Path | None
    sets: tuple[str, ...] = ()
    #: whether the files that the settings name have to be there; not to look, abort or roll back
    files_exist: bool = True


def environment() -> Mapping[str, str]:
    """The caller's environment, read once, handed on as a value."""
    return dict(os.environ)  # noqa: TID251 - the command line is where a process begins


def settings_of(place: Place, extra: Sequence[str] = ()) -> Settings:
    """The project's settings."""
    return load(
        place.source,
        sets=(*extra, *place.sets),
        environ=environment(),
        files_exist=place.files_exist,
    )


def folders_of(place: Place, settings: Settings) -> tuple[Path, Path]:
    """Where state and runs lie."""
    state = (place.state or settings.source / ".ml-pipeline").resolve()
    runs = (place.runs or settings.source / "runs").resolve()
    return state, runs


def open_session(place: Place, *, extra: Sequence[str] = ()) -> tuple[Session, Progress]:
    """A session on the project, and what shows its progress."""
    environ = environment()
    settings = settings_of(place, extra)
    state, runs = folders_of(place, settings)
    shown = progress(plain="CI" in environ or environ.get("TERM") == "dumb")
    session = Session(
        settings,
        Secrets.read(environ),
        environ,
        state=state,
        runs=runs,
        watcher=shown,
    )
    return session, shown
