"""Registered bundles on this machine's disk."""

import hashlib
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from ml_pipeline.adapters.local.folders import remove, tree_digest
from ml_pipeline.domain.errors import DataError
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion


class CachedBundles:
    """Speaks `ports.registry.Bundles`: fetched once a digest, moved into place when whole.

    The registry is asked for only when a bundle is not on disk: opening it takes seconds. What is
    on disk is compared with the version's digest once a process, and fetched again when it was
    changed.
    """

    def __init__(self, registry: Callable[[], ModelRegistry], root: Path) -> None:
        self._registry = registry
        self._root = root
        self._compared: set[Path] = set()

    def folder(self, version: ModelVersion) -> Path:
        named = f"{version.model} {version.version} {version.digest}"
        place = self._root / hashlib.sha256(named.encode()).hexdigest()[:32]
        if place in self._compared and place.is_dir():
            return place
        if _digest(place) != version.digest:
            remove(place)
            self._fetch(version, place)
            _refuse_other(version, place)
        self._compared.add(place)
        return place

    def _fetch(self, version: ModelVersion, place: Path) -> None:
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


def _digest(place: Path) -> str:
    """Of what lies there; empty for what can have none, such as nothing or a link in it."""
    try:
        return tree_digest(place)
    except (DataError, OSError):
        return ""


def _refuse_other(version: ModelVersion, place: Path) -> None:
    digest = tree_digest(place)
    if digest != version.digest:
        raise DataError(
            f"the bundle of {version.model} version {version.version}, fetched to {place}, is not"
            f" what was registered: its digest is {digest}, not {version.digest}",
            remedy="Train the model, and register it again.",
        )
