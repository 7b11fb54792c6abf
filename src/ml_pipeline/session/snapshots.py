"""Hands state on as a snapshot, and begins with one where there is no state yet.

A state keeps the ids of the snapshots it began with or was written to, and a snapshot those of the
state it was written from. So one that comes back is known, whatever was done here since.
"""

import json
import shutil
import sqlite3
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ml_pipeline.adapters.local.disk import write_whole
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.session.copying import (
    copy_given_database,
    copy_open_database,
    copy_tree,
    is_database,
    not_written,
    refuse_links,
)

#: In a state folder: which snapshots it knows. In a snapshot: what it is one of.
_MARKER, _LABEL = "imported.json", "snapshot.json"
_FORMAT = 2
#: Where a snapshot lies until all of it is there, in the state's folder and in that of the runs.
_DRAFT = ".importing"
#: What of a state folder belongs to this machine or this moment: environments, kept answers,
#: locks, and the running platform's token, address, logs.
_NOT_HANDED_ON = {"envs", "cache", "caches", "run.lock", "run.holder", ".gitignore"}
_PLATFORM_OWN = {"token", "platform.json", "logs", "ready"}
_DATABASES = {".db", ".sqlite"}


class Beginning(StrEnum):
    """What became of a snapshot, as it is told."""

    TAKEN = "the state is in place"
    KNOWN = "the state that is here goes on from this snapshot, and is used"
    NONE = "the folder is empty: the state that is here is used, if there is any"


@dataclass(frozen=True, slots=True)
class _Marker:
    """`begun`: a snapshot is there as a whole, and not yet all of it in its place."""

    history: tuple[str, ...] = ()
    begun: bool = False


def export_state(state: Path, runs: Path, model: str, output: Path) -> None:
    """Write a project's state and runs as one folder, without tokens.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        finish_import(state, runs)
        history = [*_marker(state).history, uuid.uuid4().hex]
        # Before the snapshot is whole: one that is must be known here.
        write_whole(state / _MARKER, json.dumps({"history": history}) + "\n")
        copy_tree(
            state,
            output / "state",
            leave=_leaves_out(state),
            copy_file=lambda path, place: (
                copy_open_database(path, place)
                if _is_own(path, state) and is_database(path)
                else shutil.copyfile(path, place)
            ),
        )
        if runs.is_dir():
            copy_tree(runs, output / "runs", leave={runs / _DRAFT})
        label = {"format": _FORMAT, "model": model, "folder": str(state), "history": history}
        write_whole(output / _LABEL, json.dumps(label) + "\n")
    except (OSError, sqlite3.Error) as error:
        raise not_written(output, error) from error


def known_beginning(given: Path, state: Path, model: str) -> Beginning | None:
    """What a snapshot is to the state that is here; None when it has to be taken or refused.

    Needs no lock: nothing is written.

    Raises:
        ConfigurationError: it is no snapshot, or one of another project, version or place.
    """
    if given.is_dir() and not any(given.iterdir()):
        return Beginning.NONE
    history, marker = _labelled(given, model, state), _marker(state)
    return Beginning.KNOWN if history[-1] in marker.history and not marker.begun else None


def import_state(given: Path, state: Path, runs: Path, model: str) -> Beginning:
    """Begin with a snapshot where there is no state yet; what became of it.

    An empty folder stands for a project that has not run yet. State that began with this very
    snapshot, or from which it was written, is left as it is.

    Raises:
        ConfigurationError: it is no snapshot, one of another project or version, or there is
            state of another origin already.
        DataError: a database in it is damaged.
        StorageError: it cannot be written.
    """
    try:
        finish_import(state, runs)
        known = known_beginning(given, state, model)
        if known is not None:
            return known
        if any(state.glob("*.db")) or (state / "platform").exists():
            raise ConfigurationError(
                f"{state} holds state already, and {given} was not written from it",
                remedy="Leave --state out to use what is there, or remove that state first.",
            )
        _draft(given, state, runs)
        marker = {"history": _labelled(given, model, state), "begun": True}
        write_whole(state / _MARKER, json.dumps(marker) + "\n")
        finish_import(state, runs)
    except (OSError, sqlite3.OperationalError) as error:
        raise not_written(state, error) from error
    return Beginning.TAKEN


def _draft(given: Path, state: Path, runs: Path) -> None:
    """Lay a snapshot beside its place; whatever is wrong with it, nothing of it stays."""
    for part in ("state", "runs"):
        refuse_links(given / part, "state", "Give what `ml-pipeline platform export` wrote.")
    theirs = given / "state"
    try:
        copy_tree(
            theirs,
            state / _DRAFT,
            leave=_leaves_out(theirs),
            copy_file=lambda path, place: (
                copy_given_database(path, place)
                if _is_own(path, theirs)
                else shutil.copyfile(path, place)
            ),
        )
        copy_tree(given / "runs", runs / _DRAFT)
    except BaseException:
        _drop(state, runs)
        raise


def finish_import(state: Path, runs: Path) -> None:
    """Finish an import that was killed: forget it, or move what is there as a whole."""
    marker = _marker(state)
    if marker.begun:
        draft = state / _DRAFT
        for path in sorted(draft.rglob("*")):
            place = state / path.relative_to(draft)
            if path.is_dir():
                place.mkdir(mode=0o700, exist_ok=True)  # the platform is its owner's only
            elif not place.exists():
                path.replace(place)
        for run in (runs / _DRAFT).glob("*"):
            if not (runs / run.name).exists():  # a run that is known here stays as it is
                run.replace(runs / run.name)
        write_whole(state / _MARKER, json.dumps({"history": marker.history}) + "\n")
    _drop(state, runs)


def _drop(state: Path, runs: Path) -> None:
    for folder in (state, runs):
        shutil.rmtree(folder / _DRAFT, ignore_errors=True)


def _marker(state: Path) -> _Marker:
    try:
        found = json.loads((state / _MARKER).read_bytes())
        return _Marker(tuple(map(str, found["history"])), found.get("begun") is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Marker()  # nothing is known to have come or gone


def _labelled(given: Path, model: str, state: Path) -> list[str]:
    """A snapshot's history, its own id last, once it is known to be one of this project."""
    try:
        label = json.loads((given / _LABEL).read_bytes())
        known, named, folder = label["format"], label["model"], label["folder"]
        history = [str(one) for one in label.get("history", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigurationError(
            f"{given} is no state: it has no readable {_LABEL}",
            remedy="Give what `ml-pipeline platform export` wrote.",
        ) from None
    if (known, named) != (_FORMAT, model) or not history:
        raise ConfigurationError(
            f"{given} is state of {named} in format {known}, and this is {model}, {_FORMAT}",
            remedy="Give this project's own state.",
        )
    if folder != str(state):
        # The registry and the platform's deployments name their files by absolute paths.
        raise ConfigurationError(
            f"{given} was kept in {folder}, and {state} is another place",
            remedy=f"Bring it back to {folder}.",
        )
    return history


def _is_own(path: Path, state: Path) -> bool:
    """Whether a file is a database of the registry or the platform, not one inside of a model."""
    return path.suffix in _DATABASES and path.parent in {state, state / "platform"}


def _leaves_out(state: Path) -> set[Path]:
    return {state / name for name in _NOT_HANDED_ON | {_MARKER, _DRAFT}} | {
        state / "platform" / name for name in _PLATFORM_OWN
    }
