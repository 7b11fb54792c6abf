"""Files and folders in the workspace's blob datastore."""

import hashlib
import json
import re
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml.client import AbsentError, Workspace
from ml_pipeline.domain.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from ml_pipeline.ports.training import ArtifactStore

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_URI = re.compile(r"^azureml://(?:.*/)?datastores/([A-Za-z0-9_]+)/paths/(.+?)/?$")
_STORED = re.compile(r"/artifacts/([0-9a-f]{64})/[^/]+$")


class AzuremlArtifacts:
    """Speaks `ports.training.ArtifactStore`.

    Stored content lies at `<prefix>/artifacts/<sha256>/<name>`; any `azureml://` URI of the same
    datastore can be fetched, as a job's output is one.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def put(self, source: Path, name: str) -> str:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"the artifact name {name!r} cannot become a blob's name",
                remedy="Use letters, digits, dots, hyphens and underscores.",
            )
        return self.upload(source, f"artifacts/{tree_digest(source)}/{name}")

    def upload(self, source: Path, path: str) -> str:
        """Store a file or folder at a path below the prefix; its URI."""
        place = f"{self._workspace.policy.prefix}/{path}"
        files = _files(source)
        for relative, file in files.items():
            blob = f"{place}/{relative}" if relative else place
            self._workspace.tried(f"to store {blob}", partial(self._send, blob, file))
        return f"azureml://datastores/{self._workspace.policy.datastore}/paths/{place}"

    def fetch(self, uri: str, target: Path) -> str:
        place = self._place(uri)
        with tempfile.TemporaryDirectory(prefix="ml-pipeline-") as folder:
            part = Path(folder) / "content"
            self._bring(uri, place, part)
            digest = tree_digest(part)
            promised = _STORED.search(place)
            if promised is not None and digest != promised[1]:
                raise DataError(
                    f"{uri} is not what was stored: its digest is {digest}, not {promised[1]}",
                    remedy="Restore the blob, or run the stage that stored it again.",
                )
            _replace(part, target)
        return digest

    def text(self, uri: str) -> str | None:
        """The content of one small blob; None when there is none."""
        place = self._place(uri)
        try:
            data = self._workspace.tried(f"to read {uri}", lambda: self._content(place))
        except AbsentError:
            return None
        return data.decode("utf-8", "replace")

    def has(self, uri: str) -> bool:
        """Whether a blob, or anything below it, is there."""
        place = self._place(uri)
        return bool(self._workspace.tried(f"to look for {uri}", lambda: self._below(place)))

    def _place(self, uri: str) -> str:
        found = _URI.match(uri)
        if found is None or found[1] != self._workspace.policy.datastore:
            raise DataError(
                f"{uri} is not in the datastore {self._workspace.policy.datastore}",
                remedy="Choose the platform, and the datastore, that stored it.",
            )
        return found[2]

    def _send(self, blob: str, file: Path) -> None:
        with file.open("rb") as content:
            self._workspace.container.upload_blob(blob, content, overwrite=True)

    def _content(self, blob: str) -> bytes:
        data: bytes = self._workspace.container.download_blob(blob).readall()
        return data

    def _below(self, place: str) -> list[str]:
        listed: Any = self._workspace.container.list_blob_names(name_starts_with=place)
        return [one for one in listed if one == place or one.startswith(f"{place}/")]

    def _bring(self, uri: str, place: str, part: Path) -> None:
        names = self._workspace.tried(f"to list {uri}", lambda: self._below(place))
        if not names:
            raise DataError(f"there is nothing at {uri}", remedy="Check that it was stored.")
        for name in names:
            into = part / name.removeprefix(f"{place}/") if name != place else part
            if not into.resolve().is_relative_to(part.resolve()):
                raise DataError(f"{uri} holds the name {name!r}", remedy="Rename it.")
            into.parent.mkdir(parents=True, exist_ok=True)
            data = self._workspace.tried(f"to read {name}", partial(self._content, name))
            into.write_bytes(data)


def tree_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of the names below it and what each file holds.

    Raises:
        DataError: there is nothing there.
    """
    if path.is_file():
        return _digest(path)
    digests = {name: _digest(file) for name, file in _files(path).items()}
    listing = json.dumps(digests, sort_keys=True)
    return hashlib.sha256(listing.encode()).hexdigest()


def _files(source: Path) -> dict[str, Path]:
    """Files by their name below the source, sorted; the source itself by an empty name."""
    if source.is_file():
        return {"": source}
    found = sorted(one for one in source.rglob("*") if one.is_file() or one.is_symlink())
    links = [one for one in found if one.is_symlink()]
    if not found or links:
        what = f"{links[0]} is a symbolic link" if links else f"there is nothing at {source}"
        raise DataError(what, remedy="Store plain files.")
    return {one.relative_to(source).as_posix(): one for one in found}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(part: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    shutil.move(part, target)


if TYPE_CHECKING:
    _speaks: type[ArtifactStore] = AzuremlArtifacts
