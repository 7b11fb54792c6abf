"""From the options every command shares to a session."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ml_pipeline.cli.progress import Progress, progress
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.session.running import Session
from ml_pipeline.settings import Secrets, Settings, load

_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The options every command shares."""

    source: Path | None
    state: Path | None
    runs: Path | None
    sets: tuple[str, ...] = ()
    #: whether the files that the settings name have to be there; not to look, abort or roll back
    files_exist: bool = True

    @property
    def without_files(self) -> "Place":
        """The same for a command that does not read what the settings name."""
        return replace(self, files_exist=False)


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
    state = _folder("--state", place.state or settings.source / ".ml-pipeline")
    runs = _folder("--runs", place.runs or settings.source / "runs")
    return state, runs


def _folder(option: str, path: Path) -> Path:
    """A folder that is there or can be made, as far as can be told.

    Raises:
        ConfigurationError: it is something else, or cannot be looked at.
    """
    try:
        resolved = path.resolve()
        for one in (resolved, *resolved.parents):
            if one.exists():
                if one.is_dir():
                    return resolved
                why = f"{one} is no folder"
                break
    except (OSError, RuntimeError) as broken:
        why = getattr(broken, "strerror", None) or str(broken)
    text = str(path)
    named = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    raise ConfigurationError(f"{option}: {named}: {why}", remedy="Name a folder.")


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
