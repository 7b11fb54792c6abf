"""Copies folders that are handed on: files as they are, databases as of one moment."""

import shutil
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError, DataError, PipelineError, StorageError

_NO_FILES = (".lock", ".open", "-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"


def copy_tree(
    folder: Path,
    target: Path,
    *,
    leave: Collection[Path] = (),
    copy_file: Callable[[Path, Path], object] = shutil.copyfile,
) -> None:
    """Copy what `target` lacks of a tree, without locks and files of open databases.

    Args:
        folder: what is copied.
        target: made when it is not there.
        leave: paths below `folder` that are left out, with all that lies in them.
        copy_file: copies one file.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*")):
        if leave and (path in leave or not set(path.parents).isdisjoint(leave)):
            continue
        place = target / path.relative_to(folder)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.is_file() and not path.name.endswith(_NO_FILES) and not place.exists():
            copy_file(path, place)


def copy_whole(path: Path, place: Path) -> None:
    """Copy a file so that a reader sees the old one or the new one, never a part."""
    part = place.with_name(f".{place.name}.part")
    shutil.copyfile(path, part)
    part.replace(place)


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite's."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def copy_open_database(path: Path, place: Path) -> None:
    """Copy a database that may be in use, by SQLite's own backup."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(place)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def copy_given_database(path: Path, place: Path) -> None:
    """Copy somebody else's database, once it is known to be whole; theirs is only read.

    Raises:
        DataError: it is damaged.
    """
    try:
        fault = _copied(path, place) if is_database(path) else "it is no database"
    except sqlite3.OperationalError:
        raise  # the disk, not the file
    except sqlite3.DatabaseError as error:
        fault = str(error)
    if fault != "ok":
        raise DataError(
            f"{path} is damaged: {fault}", remedy="Give another snapshot, or make this one again."
        )


def _copied(path: Path, place: Path) -> str:
    """What SQLite thinks of its copy: `ok`, or what is wrong."""
    given = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with (
        closing(sqlite3.connect(given, uri=True)) as source,
        closing(sqlite3.connect(place)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        return str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])


def refuse_links(folder: Path, what: str, remedy: str) -> None:
    """Whoever hands a folder on must not have files of this machine read.

    Raises:
        ConfigurationError: a symbolic link lies in it.
    """
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise ConfigurationError(
                f"{path} is a symbolic link, which {what} never holds", remedy=remedy
            )


def not_written(folder: Path, error: Exception) -> PipelineError:
    """The error of a folder that could not be copied to."""
    return StorageError(
        f"{folder} could not be written: {error}",
        remedy="Free space or allow writing there, and try again.",
    )
