"""The project's folder in a bucket: files in, files out, digests kept beside them."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from google.api_core.exceptions import NotFound
from google.cloud import storage

from ml_pipeline.adapters.vertex.client import CALL_S, Clients
from ml_pipeline.domain.errors import DataError, StorageError


class Bucket:
    """Objects below `gs://<bucket>/<prefix>/`.

    Args:
        clients: who asks.
        model: the project's name; its objects lie in a folder of that name.
    """

    def __init__(self, clients: Clients, model: str) -> None:
        policy = clients.policy
        self.root = f"gs://{policy.bucket}/{policy.prefix}/{model}"
        self._clients = clients
        self._made: storage.Client | None = None

    @property
    def _client(self) -> storage.Client:
        if self._made is None:
            policy = self._clients.policy
            options = {"api_endpoint": policy.emulator_url} if policy.emulator_url else None
            self._made = storage.Client(
                project=policy.project,
                credentials=self._clients.credentials,
                client_options=options,
            )
        return self._made

    def close(self) -> None:
        """Give back the connections; whoever asks next opens new ones."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def upload(self, source: Path, uri: str) -> None:
        """A file, or each file of a folder below `uri`."""
        for name, path in files_of(source).items():
            blob = self._blob(f"{uri}/{name}" if name else uri)
            content = path.read_bytes()
            self._clients.attempts(
                f"to store {uri}",
                lambda blob=blob, content=content: blob.upload_from_string(  # type: ignore[misc]
                    content,
                    content_type="application/octet-stream",
                    retry=None,
                    timeout=CALL_S,
                    checksum="md5",
                ),
            )

    def read(self, uri: str) -> bytes | None:
        """What an object holds; None when there is none."""
        blob = self._blob(uri)
        try:
            held: bytes = self._clients.attempts(
                f"for {uri}", lambda: blob.download_as_bytes(retry=None, timeout=CALL_S)
            )
        except NotFound:
            return None
        return held

    def below(self, uri: str) -> list[str]:
        """Names of the objects below `uri`, relative to it; empty when there is none."""
        bucket, prefix = _parts(uri)
        found = self._clients.attempts(
            f"what is below {uri}",
            lambda: [
                blob.name
                for blob in self._client.list_blobs(
                    bucket, prefix=f"{prefix}/", retry=None, timeout=CALL_S
                )
            ],
        )
        return sorted(name.removeprefix(f"{prefix}/") for name in found if name != f"{prefix}/")

    def download(self, uri: str, target: Path, *, promised: str | None = None) -> str:
        """Bring an object, or the folder of objects at `uri`, to `target`, whole or not at all.

        Args:
            uri: what is fetched.
            target: what lay there is replaced.
            promised: the digest it has to have; None for any.

        Returns:
            Its digest; see `digest_of`.

        Raises:
            DataError: there is nothing there, or it is not what was promised.
            StorageError: it cannot be written here.
        """
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            self._fill(uri, part)
            digest = digest_of(part)
            if promised not in {None, digest}:
                raise DataError(
                    f"{uri} is not what was stored: its digest is {digest}, not {promised}",
                    remedy="Restore it from a copy, or run the stage that stored it again.",
                )
            _remove(target)
            part.rename(target)
        except OSError as error:
            raise StorageError(
                f"{uri} could not be written to {target}: {error}",
                remedy="Free some disk space, or make the folder writable, and try again.",
            ) from error
        finally:
            _remove(part)
        return digest

    def _fill(self, uri: str, part: Path) -> None:
        content = self.read(uri)
        names = [""] if content is not None else self.below(uri)
        if not names:
            raise DataError(f"there is nothing at {uri}", remedy="Check that it was stored.")
        for name in names:
            path = _inside(part, name, uri)
            path.parent.mkdir(parents=True, exist_ok=True)
            held = content if content is not None else self.read(f"{uri}/{name}")
            if held is None:
                raise DataError(f"{uri}/{name} vanished while it was read", remedy="Try again.")
            path.write_bytes(held)

    def _blob(self, uri: str) -> storage.Blob:
        bucket, name = _parts(uri)
        return self._client.bucket(bucket).blob(name)


def files_of(source: Path) -> Mapping[str, Path]:
    """Files by name relative to `source`; a file itself has the name "".

    Raises:
        DataError: there is nothing, or a symbolic link.
    """
    if source.is_file():
        return {"": source}
    if not source.is_dir():
        raise DataError(f"there is nothing at {source}", remedy="Check that it was written.")
    found = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*"))}
    links = [name for name, path in found.items() if path.is_symlink()]
    if links:
        raise DataError(
            f"{source / links[0]} is a symbolic link, so it cannot be stored with a digest",
            remedy="Put a copy of the file in its place.",
        )
    return {name: path for name, path in found.items() if path.is_file()}


def digest_of(source: Path) -> str:
    """SHA-256 of a file, or of a folder: of the names below it and what each file holds.

    Raises:
        DataError: there is nothing, or a symbolic link.
    """
    digests = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in files_of(source).items()
    }
    if set(digests) == {""}:
        return digests[""]
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _parts(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    if parts.scheme != "gs" or not parts.netloc:
        raise DataError(
            f"{uri} is no object in Cloud Storage", remedy="Choose the platform that stored it."
        )
    return parts.netloc, parts.path.strip("/")


def _inside(folder: Path, name: str, uri: str) -> Path:
    path = Path(os.path.normpath(folder / name))
    if path != folder and folder not in path.parents:
        raise DataError(f"{uri} holds {name!r}, which leads out of its folder", remedy="Remove it.")
    return path


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
