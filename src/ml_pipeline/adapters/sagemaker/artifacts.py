"""Files by what they hold, in S3."""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.adapters.sagemaker.files import (
    Bucket,
    arriving,
    member,
    split_uri,
    tree_digest,
)
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy

if TYPE_CHECKING:
    from ml_pipeline.ports.training import ArtifactStore

_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_PROMISED = re.compile(r"/artifacts/([0-9a-f]{64})/")


class SageMakerArtifacts:
    """Speaks `ports.training.ArtifactStore`.

    Content lies at `<prefix>/artifacts/<sha256>/<name>`. An address that ends in
    `model.tar.gz#FILE` is one file of the archive a training job left.
    """

    def __init__(self, clients: Clients, policy: SageMakerPolicy) -> None:
        self._clients = clients
        self._bucket = Bucket(clients, str(policy.bucket))
        self._prefix = policy.prefix.strip("/")

    def put(self, source: Path, name: str) -> str:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"the artifact name {name!r} cannot become a file's name",
                remedy="Use letters, digits, dots, hyphens and underscores.",
            )
        key = f"{self._prefix}/artifacts/{tree_digest(source)}/{name}"
        if source.is_file():
            if not self._bucket.holds(key):
                self._bucket.upload(source, key)
        else:
            self._bucket.upload_tree(source, key)
        return self._bucket.uri(key)

    def fetch(self, uri: str, target: Path) -> str:
        with arriving(target) as part:
            self._bring(uri, part)
            digest = tree_digest(part)
            promised = _PROMISED.search(uri)
            if promised and promised[1] != digest:
                raise DataError(
                    f"{uri} is not what was stored: its digest is {digest}",
                    remedy="Restore it from a copy, or run the stage that stored it again.",
                )
        return digest

    def _bring(self, uri: str, target: Path) -> None:
        name, key, inside = split_uri(uri)
        bucket = Bucket(self._clients, name)
        if not bucket.holds(key):
            if inside:
                raise DataError(f"there is nothing at {uri}", remedy="Train again.")
            bucket.download_tree(key, target)
            return
        if not inside:
            bucket.download(key, target)
            return
        with tempfile.TemporaryDirectory() as place:
            archive = Path(place) / "model.tar.gz"
            bucket.download(key, archive)
            content = member(archive, inside)
        if content is None:
            raise DataError(f"the archive {uri} holds no such file", remedy="Train again.")
        target.write_bytes(content)


if TYPE_CHECKING:
    _speaks: type[ArtifactStore] = SageMakerArtifacts
