"""Files by what they hold, in the project's bucket."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.vertex.storage import Bucket, digest_of
from ml_pipeline.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from ml_pipeline.ports.training import ArtifactStore

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")


class VertexArtifacts:
    """Speaks `ports.training.ArtifactStore`.

    Stored content lies at `<root>/artifacts/<sha256>/<name>`. Other `gs:` URIs can be fetched
    too: a job leaves its model where it ran.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._root = f"{bucket.root}/artifacts/"

    def put(self, source: Path, name: str) -> str:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"the artifact name {name!r} cannot become an object's name",
                remedy="Use letters, digits, dots, hyphens and underscores.",
            )
        uri = f"{self._root}{digest_of(source)}/{name}"
        self._bucket.upload(source, uri)
        return uri

    def fetch(self, uri: str, target: Path) -> str:
        ours = uri.startswith(self._root)
        promised = uri.removeprefix(self._root).partition("/")[0] if ours else None
        target.parent.mkdir(parents=True, exist_ok=True)
        return self._bucket.download(uri, target, promised=promised)


if TYPE_CHECKING:
    _speaks: type[ArtifactStore] = VertexArtifacts
