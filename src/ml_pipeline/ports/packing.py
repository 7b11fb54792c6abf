"""Folders as archives: equal content makes equal bytes, so what was sent can be told by digest."""

import gzip
import tarfile
import tempfile
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.left_out import LEFT_OUT

#: What a job's own copy of the project's code is called where it is stored.
SOURCE_ARCHIVE = "source.tar.gz"


def packed_source(folder: Path) -> AbstractContextManager[Path]:
    """A project's code, as it travels with a job on a cloud; `entry/train.py` unpacks it.

    Raises:
        DataError: there is no such folder, or it holds a symbolic link.
    """
    return packed(folder, without=LEFT_OUT)


@contextmanager
def packed(folder: Path, without: Container[str] = frozenset()) -> Iterator[Path]:
    """A `.tar.gz` of a folder's content; equal folders make equal bytes.

    Raises:
        DataError: there is no such folder, or it holds a symbolic link.
    """
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "packed.tar.gz"
        with (
            target.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as tar,
        ):
            for name, path in files_below(folder, without):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = path.stat().st_size, path.stat().st_mode & 0o777
                with path.open("rb") as file:
                    tar.addfile(entry, file)
        yield target


def files_below(folder: Path, without: Container[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    """Names and files below a folder, in order, but for those in folders named in `without`.

    Raises:
        DataError: there is no such folder, or it holds a symbolic link.
    """
    if not folder.is_dir():
        raise DataError(f"there is nothing at {folder}", remedy="Check that it was stored.")
    for path in sorted(folder.rglob("*")):
        if any(part in without for part in path.relative_to(folder).parts):
            continue
        if path.is_symlink():
            raise DataError(
                f"{path} is a symbolic link, so it cannot be stored with a digest",
                remedy="Put a copy of the file in its place.",
            )
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path
