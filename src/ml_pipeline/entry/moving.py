"""Files in and out of a container: mounted folders, or Google Cloud Storage."""

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)

#: Where Vertex mounts every bucket a job may read.
MOUNT = Path("/gcs")


def bring(place: str, into: Path, *, mount: Path = MOUNT) -> Path:
    """What lies at a path or `gs://` URI, as a path on this disk; copied only from a bucket.

    Raises:
        DataError: there is nothing there.
        ConfigurationError: the URI is of a kind nobody here can read.
        PlatformRefusedError: access is denied.
        PlatformUnavailableError: the storage did not answer.
    """
    near = _mounted(place, mount)
    if near is None:
        return _download(place, into)
    if not near.exists():
        raise DataError(f"there is nothing at {place}", remedy="Check what the job was given.")
    return near


def send(folder: Path, place: str, *, mount: Path = MOUNT) -> None:
    """Copy all files of a folder to a path or `gs://` URI.

    Raises:
        DataError: something in it cannot be copied, such as a pipe; else as `bring`.
    """
    near = _mounted(place, mount)
    if near is None:
        _upload(folder, place)
    else:
        try:
            shutil.copytree(folder, near, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        except shutil.Error as error:
            raise DataError(
                f"not all of {folder} can be handed over to {place}: {error.args[0][0][2]}",
                remedy="Leave only plain files and folders in {output}.",
            ) from error


def write(text: str, place: str, scratch: Path, *, mount: Path = MOUNT) -> None:
    """Leave one small text at a path or `gs://` URI; raises as `bring`."""
    folder, _, name = place.rpartition("/")
    part = scratch / "one-file"
    part.mkdir()
    (part / name).write_text(text, encoding="utf-8")
    send(part, folder, mount=mount)


def only_file(path: Path, what: str) -> Path:
    """The file itself, or the only one in a folder.

    Raises:
        DataError: the folder holds none, or several.
    """
    if path.is_file():
        return path
    found = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    if len(found) != 1:
        names = ", ".join(one.name for one in found[:10]) or "none"
        raise DataError(
            f"{path} should hold exactly one file with {what}, but holds {names}",
            remedy="Give the job one file.",
        )
    return found[0]


def unpacked(path: Path, into: Path) -> Path:
    """A folder as it is; a `.tar.gz`, or a folder with nothing but one, unpacked.

    Raises:
        DataError: the archive cannot be read, or a name in it leads elsewhere.
    """
    if path.is_dir():
        inside = [one for one in path.iterdir() if not one.name.startswith(".")]
        if len(inside) != 1 or not inside[0].name.endswith(".tar.gz"):
            return path
        path = inside[0]
    into.mkdir()
    try:
        with tarfile.open(path) as archive:
            for one in archive.getmembers():
                _refuse_leading_away(one)
            # Python 3.11 has the filter from its fourth patch on.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(into, **safe)  # type: ignore[arg-type]  # noqa: S202 - seen above
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{path} cannot be unpacked: {error}", remedy="Pack the project's code again."
        ) from error
    return into


def _refuse_leading_away(member: tarfile.TarInfo) -> None:
    parts = PurePosixPath(member.name).parts
    if not (member.isreg() or member.isdir()) or member.name.startswith("/") or ".." in parts:
        raise tarfile.TarError(f"{member.name!r} leads elsewhere, or is no plain file")


def _mounted(place: str, mount: Path) -> Path | None:
    """A path on this disk; None for a bucket that is not mounted."""
    parts = urlsplit(place)
    if parts.scheme in {"", "file"}:
        return Path(parts.path)
    if parts.scheme != "gs":
        raise ConfigurationError(
            f"{place} can be neither read nor written from inside a container",
            remedy="Give a mounted path, or a gs:// URI.",
        )
    bucket = mount / parts.netloc
    return bucket / parts.path.lstrip("/") if bucket.is_dir() else None


def _bucket(uri: str) -> tuple[Any, str]:
    try:
        from google.cloud import storage  # noqa: PLC0415 - only when it is asked for
    except ImportError as error:
        raise ConfigurationError(
            f"{uri} is in a bucket, and google-cloud-storage is not installed",
            remedy="Build the image with `ml-pipeline[container]`, or mount the bucket at /gcs.",
        ) from error
    parts = urlsplit(uri)
    return storage.Client().bucket(parts.netloc), parts.path.lstrip("/")


def _download(uri: str, into: Path) -> Path:
    with _storage_errors(uri):
        bucket, name = _bucket(uri)
        blobs = [blob for blob in bucket.list_blobs(prefix=name) if not blob.name.endswith("/")]
        below = name.rstrip("/") + "/"
        blobs = [blob for blob in blobs if blob.name == name or blob.name.startswith(below)]
        if not blobs:
            raise DataError(f"there is nothing at {uri}", remedy="Check what the job was given.")
        for blob in blobs:
            rest = blob.name.removeprefix(below) if blob.name != name else Path(name).name
            target = into / rest
            if not target.resolve().is_relative_to(into.resolve()):
                raise DataError(f"{uri} holds the name {rest!r}", remedy="Rename it.")
            target.parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(target))
    return into / Path(name).name if blobs[0].name == name else into


def _upload(folder: Path, uri: str) -> None:
    with _storage_errors(uri):
        bucket, prefix = _bucket(uri)
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            name = f"{prefix.rstrip('/')}/{path.relative_to(folder).as_posix()}".lstrip("/")
            bucket.blob(name).upload_from_filename(str(path))


class _storage_errors:  # noqa: N801 - reads as a statement
    """Google's exceptions as ours."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        code = getattr(error, "code", None)
        if error is None or not type(error).__module__.startswith(("google.", "requests.")):
            return
        message = f"{self._uri}: {error}"
        if isinstance(code, int) and code in {400, 401, 403, 404, 412}:
            raise PlatformRefusedError(
                message, remedy="Give the job's service account access to the bucket."
            ) from error
        raise PlatformUnavailableError(message, remedy="Run the job again.") from error
