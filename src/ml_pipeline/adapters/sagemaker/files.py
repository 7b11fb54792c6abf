"""Files in S3 and in archives, whole or not at all, with digests."""

import hashlib
import json
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients
from ml_pipeline.domain.errors import DataError, StorageError
from ml_pipeline.ports.packing import files_below

_BLOCK = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of the names below it and what each file holds.

    Raises:
        DataError: there is nothing there.
    """
    if path.is_file():
        return file_digest(path)
    listing = {name: file_digest(file) for name, file in files_below(path)}
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def member(archive: Path, name: str) -> bytes | None:
    """A file out of a `.tar.gz`, None when it holds no such file.

    Raises:
        DataError: it is no archive.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                if entry.isfile() and entry.name.removeprefix("./") == name:
                    file = tar.extractfile(entry)
                    return file.read() if file else None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"what the job left is no archive: {error}", remedy="Train again."
        ) from error
    return None


def split_uri(uri: str) -> tuple[str, str, str]:
    """Bucket, key and the file in an archive (`s3://bucket/key#file`).

    Raises:
        DataError: it does not lie in S3.

    >>> split_uri("s3://b/a/model.tar.gz#model.skops")
    ('b', 'a/model.tar.gz', 'model.skops')
    """
    where, _, inside = uri.partition("#")
    scheme, _, rest = where.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise DataError(f"{uri} does not lie in S3", remedy="Choose the platform that stored it.")
    return bucket, key, inside


class Bucket:
    """One bucket's files."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self.name = name

    def uri(self, key: str) -> str:
        """The address of a key."""
        return f"s3://{self.name}/{key}"

    def holds(self, key: str) -> bool:
        """Whether there is a file of that key."""
        try:
            self._clients.call("s3", "head_object", Bucket=self.name, Key=key)
        except AbsentError:
            return False
        return True

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix."""
        found: list[str] = []
        token: str | None = None
        while True:
            more = {"ContinuationToken": token} if token else {}
            page = self._clients.call(
                "s3", "list_objects_v2", Bucket=self.name, Prefix=prefix, **more
            )
            found += [one["Key"] for one in page.get("Contents", ())]
            token = page.get("NextContinuationToken")
            if not token:
                return found

    def upload(self, source: Path, key: str) -> None:
        """Store a file; S3 checks what arrives by its checksum."""

        def attempt() -> None:
            with source.open("rb") as file:
                self._clients.client("s3").put_object(Bucket=self.name, Key=key, Body=file)

        self._clients.tried("put_object", attempt)

    def upload_tree(self, source: Path, prefix: str) -> None:
        """Store a folder's files."""
        for name, path in files_below(source):
            self.upload(path, f"{prefix}/{name}")

    def download(self, key: str, target: Path) -> None:
        """Bring a file.

        Raises:
            AbsentError: there is none.
        """
        target.parent.mkdir(parents=True, exist_ok=True)

        def attempt() -> None:
            found = self._clients.client("s3").get_object(Bucket=self.name, Key=key)
            with target.open("wb") as file:
                for block in found["Body"].iter_chunks(_BLOCK):
                    file.write(block)

        self._clients.tried("get_object", attempt)

    def download_tree(self, prefix: str, target: Path) -> None:
        """Bring a folder.

        Raises:
            DataError: there is nothing there, or a key would leave the folder.
        """
        keys = self.keys(f"{prefix}/")
        if not keys:
            raise DataError(
                f"there is nothing at {self.uri(prefix)}", remedy="Check that it was stored."
            )
        for key in keys:
            path = (target / key.removeprefix(f"{prefix}/")).resolve()
            if not path.is_relative_to(target.resolve()):
                raise DataError(f"the key {key} names no file below", remedy="Remove it.")
            self.download(key, path)


@contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """A place to fill, moved to `target` when it is whole; what was there is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _remove(target)
        part.rename(target)
    except OSError as error:
        raise StorageError(
            f"{target} could not be written: {error}", remedy="Free some disk space, try again."
        ) from error
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
