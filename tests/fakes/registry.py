"""A model registry in memory."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.folders import place, tree_digest
from ml_pipeline.domain.errors import DataError, PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ml_pipeline.ports.clock import Clock
    from ml_pipeline.ports.registry import ModelRegistry


@dataclass
class FakeRegistry:
    """Speaks `ports.registry.ModelRegistry`; bundles are copied below `folder`.

    `outage` set to a text makes every question fail with it.
    """

    folder: Path
    clock: Clock
    outage: str = ""
    known: dict[tuple[str, str], ModelVersion] = field(default_factory=dict)
    archived: set[tuple[str, str]] = field(default_factory=set)

    def champion(self, model: str) -> ModelVersion | None:
        return next((one for one in self._all(model) if CHAMPION in one.aliases), None)

    def register(
        self,
        model: str,
        bundle: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        digest = tree_digest(bundle)
        for one in self._all(model):
            if (one.run_id, one.digest) == (run_id, digest):
                return one
        number = str(len(self._all(model)) + 1)
        stored = self.folder / model / number
        place(bundle, stored)
        made = ModelVersion(
            model=model,
            version=number,
            uri=stored.as_uri(),
            digest=digest,
            run_id=run_id,
            created_at=self.clock.now(),
            metrics=dict(metrics),
            tags=dict(tags),
        )
        self.known[model, number] = made
        return made

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self._one(model, version)
        self.clear_alias(model, alias)
        found = self._one(model, version)
        self.known[model, version] = replace(found, aliases=found.aliases | {alias})

    def clear_alias(self, model: str, alias: str) -> None:
        for one in self._all(model):
            self.known[model, one.version] = replace(one, aliases=one.aliases - {alias})

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        found = self._one(model, version)
        self.known[model, version] = replace(found, tags={**found.tags, **tags})

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        found = self._one(model, version)
        self.known[model, version] = replace(found, metrics={**found.metrics, **metrics})

    def versions(self, model: str) -> Sequence[ModelVersion]:
        live = [one for one in self._all(model) if (model, one.version) not in self.archived]
        return sorted(live, key=lambda one: int(one.version), reverse=True)

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        source = self.folder / version.model / version.version
        if tree_digest(source) != version.digest:
            raise DataError(f"{source} is not what was registered", remedy="Register again.")
        shutil.copytree(source, target, dirs_exist_ok=True)
        return target

    def archive(self, model: str, version: str) -> None:
        found = self._one(model, version)
        if CHAMPION in found.aliases:
            raise PlatformRefusedError(f"{version} is the champion", remedy="Move the alias.")
        self.known[model, version] = replace(found, aliases=frozenset())
        self.archived.add((model, version))

    def _all(self, model: str) -> list[ModelVersion]:
        if self.outage:
            raise PlatformUnavailableError(self.outage, remedy="Try again.")
        return [one for (name, _), one in self.known.items() if name == model]

    def _one(self, model: str, version: str) -> ModelVersion:
        found = {one.version: one for one in self._all(model)}.get(version)
        if found is None:
            raise PlatformRefusedError(f"{model} has no version {version}", remedy="Register it.")
        return found


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = FakeRegistry
