"""Files written whole or not at all, and their digests."""

import hashlib
import os
from pathlib import Path

from ml_pipeline.domain.errors import StorageError


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    Raises:
        StorageError: the disk is full or the folder cannot be written; the old file stands.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def link_or_copy(source: Path, target: Path) -> None:
    """Have `source` at `target` too, without its bytes twice where the disk allows it.

    Raises:
        StorageError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        import shutil  # noqa: PLC0415 - only where links are not to be had

        try:
            shutil.copyfile(source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise unwritable(target, error) from error


def unwritable(path: Path, error: OSError) -> StorageError:
    """The error of a file that could not be written."""
    return StorageError(
        f"{path} could not be written: {error.strerror or error}",
        remedy=f"Free space on, or allow writing to, {path.parent} and run `ml-pipeline resume`.",
    )
