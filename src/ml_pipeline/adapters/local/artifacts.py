"""Files by what they hold, below one folder."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ml_pipeline.adapters.local.folders import place, tree_digest
from ml_pipeline.domain.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from ml_pipeline.ports.training import ArtifactStore

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_DIGEST = re.compile(r"^[0-9a-f]{64}$")


class LocalArtifacts:
    """Speaks `ports.training.ArtifactStore`.

    Stored content lies at `<root>/<sha256>/<name>`, and its URI is that file's. Other `file:`
    URIs can be fetched too: a job on this machine leaves its model where it ran.

    Args:
        root: the store's folder, made when something is first stored.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def put(self, source: Path, name: str) -> str:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"the artifact name {name!r} cannot become a file's name",
                remedy="Use letters, digits, dots, hyphens and underscores.",
            )
        digest = tree_digest(source)
        target = self._root / digest / name
        if not target.exists() or tree_digest(target) != digest:
            place(source, target)
        return target.as_uri()

    def fetch(self, uri: str, target: Path) -> str:
        source = _path(uri)
        digest = tree_digest(source)
        promised = self._promised(source)
        if promised is not None and digest != promised:
            raise DataError(
                f"{uri} is not what was stored: its digest is {digest}, not {promised}",
                remedy="Restore the file from a copy, or run the stage that stored it again.",
            )
        place(source, target)
        if tree_digest(target) != digest:
            raise DataError(f"{uri} changed while it was copied", remedy="Try again.")
        return digest

    def _promised(self, path: Path) -> str | None:
        """The digest a stored path carries in itself."""
        if not path.is_relative_to(self._root):
            return None
        first = path.relative_to(self._root).parts[:1]
        return first[0] if first and _DIGEST.match(first[0]) else None


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise DataError(
            f"{uri} is no file on this machine", remedy="Choose the platform that stored it."
        )
    return Path(unquote(parts.path)).resolve()


if TYPE_CHECKING:
    _speaks: type[ArtifactStore] = LocalArtifacts
