"""Registered bundles on this machine's disk."""

import hashlib
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from ml_pipeline.ports.registry import ModelRegistry, ModelVersion


class CachedBundles:
    """Speaks `ports.registry.Bundles`: fetched once a digest, moved into place when whole.

    The registry is asked for only when a bundle is not on disk: opening it takes seconds.
    """

    def __init__(self, registry: Callable[[], ModelRegistry], root: Path) -> None:
        self._registry = registry
        self._root = root

    def folder(self, version: ModelVersion) -> Path:
        named = f"{version.model} {version.version} {version.digest}"
        place = self._root / hashlib.sha256(named.encode()).hexdigest()[:32]
        if place.is_dir():
            return place
        part = self._root / f".{uuid.uuid4().hex}"
        self._root.mkdir(parents=True, exist_ok=True)
        try:
            self._registry().fetch(version, part)
            part.rename(place)
        except OSError:
            if not place.is_dir():  # else another run was first, with the same digest
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return place
