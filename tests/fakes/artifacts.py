"""An artifact store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.folders import place, tree_digest
from ml_pipeline.domain.errors import DataError

if TYPE_CHECKING:
    from ml_pipeline.ports.training import ArtifactStore


@dataclass
class FakeArtifacts:
    """Speaks `ports.training.ArtifactStore`; files are copied below `folder`."""

    folder: Path
    stored: dict[str, Path] = field(default_factory=dict)

    def put(self, source: Path, name: str) -> str:
        digest = tree_digest(source)
        uri = f"fake://{digest}/{name}"
        self.stored[uri] = self.folder / digest / name
        place(source, self.stored[uri])
        return uri

    def fetch(self, uri: str, target: Path) -> str:
        known = self.stored.get(uri) or Path(uri.removeprefix("file://"))
        digest = tree_digest(known)
        if uri in self.stored and digest not in uri:
            raise DataError(f"{uri} is not what was stored", remedy="Store it again.")
        place(known, target)
        return digest


if TYPE_CHECKING:
    _speaks: type[ArtifactStore] = FakeArtifacts
