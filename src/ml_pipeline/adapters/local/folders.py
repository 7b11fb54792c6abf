"""Files and folders with a digest, copied so that a reader sees all of them or nothing."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from ml_pipeline.adapters.local.disk import digest_of
from ml_pipeline.domain.errors import DataError, StorageError


def tree_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of the names below it and what each file holds.

    Raises:
        DataError: there is nothing there, or the folder holds a symbolic link, which would make
            what lies elsewhere a part of it.
    """
    if path.is_file():
        return digest_of(path)
    listing = json.dumps(_digests(path), sort_keys=True)
    return hashlib.sha256(listing.encode()).hexdigest()


def place(source: Path, target: Path) -> None:
    """Copy a file or folder to `target`, whole or not at all; what was there is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, part)
        else:
            shutil.copyfile(source, part)
        _sync(part)
        remove(target)
        part.rename(target)
    except OSError as error:
        raise StorageError(
            f"{source} could not be copied to {target}: {error}",
            remedy="Free some disk space, or make the folder writable, and try again.",
        ) from error
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Take a file or folder away; not an error when it is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digests(folder: Path) -> Mapping[str, str]:
    if not folder.is_dir():
        raise DataError(f"there is nothing at {folder}", remedy="Check that it was stored.")
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise DataError(
                f"{path} is a symbolic link, so it cannot be stored with a digest",
                remedy="Put a copy of the file in its place.",
            )
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = digest_of(path)
    return found


def _sync(path: Path) -> None:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    for each in files:
        with each.open("rb") as file:
            os.fsync(file.fileno())
