"""Versions of a model, and which of them is the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.errors import DataError, PlatformRefusedError

CHAMPION = "champion"
CHALLENGER = "challenger"
STAGING = "staging"
#: Tags: when a version became champion, whose place it took, and when it was rolled back.
PROMOTED_AT, REPLACED, WITHDRAWN_AT = "promoted_at", "replaced", "withdrawn_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version. `metrics` are as stored: read them through the metric's range."""

    model: str
    version: str
    uri: str
    digest: str
    run_id: str
    created_at: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()

    @property
    def served(self) -> bool:
        """Whether it was champion, and was not taken back."""
        return PROMOTED_AT in self.tags and WITHDRAWN_AT not in self.tags


class ModelRegistry(Protocol):
    """Keeps packages of models by version, with tags and aliases."""

    def champion(self, model: str) -> ModelVersion | None:
        """The version that serves; None only for "there is none".

        Raises:
            PlatformUnavailableError: the registry could not be asked.
            DataError: what it holds for the champion cannot be read (a metric that is no number).
        """

    def register(
        self,
        model: str,
        bundle: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Store a bundle folder as a new version; the same run twice gives the same version."""

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version, away from any other; read back."""

    def clear_alias(self, model: str, alias: str) -> None:
        """Remove an alias; not an error when it is not set."""

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add or replace tags of a version; other tags stay."""

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        """Keep the metrics a version was promoted on, as tags."""

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions not archived, newest first."""

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        """The version's package as a folder at `target`, its digest verified.

        Raises:
            DataError: the package is not what was registered.
        """

    def archive(self, model: str, version: str) -> None:
        """Take a version out of use.

        Raises:
            PlatformRefusedError: it is the champion.
        """


def same_champion(
    registry: ModelRegistry, model: str, compared: object, *, own: str | None = None
) -> ModelVersion | None:
    """The champion, as long as it is the one the verdict was about.

    Args:
        registry: where to ask.
        model: its name there.
        compared: version that `evaluate` compared with, None when there was no champion.
        own: this run's version, which may have become champion before the run was cut off.

    Raises:
        PlatformRefusedError: another version is champion by now: the verdict is out of date.
    """
    champion = registry.champion(model)
    now = champion.version if champion else None
    if now in {compared, own} and (now is not None or compared is None):
        return champion
    raise PlatformRefusedError(
        f"the champion of {model} is version {now or 'none'}, but this run was compared with"
        f" version {compared or 'none'}",
        remedy="Start a new run: its verdict will be about today's champion.",
    )


def version_of(
    registry: ModelRegistry, model: str, registered: Mapping[str, object]
) -> ModelVersion:
    """The version that a run registered.

    Args:
        registry: where to ask.
        model: its name there.
        registered: what the run's stage `register` left: version and digest.

    Raises:
        DataError: the registry does not hold it, any more or at all, or holds another model
            under its number.
    """
    remedy = "Name the state the run was made with (--state), or run the pipeline again."
    version = str(registered["version"])
    found = next((one for one in registry.versions(model) if one.version == version), None)
    if found is None:
        raise DataError(
            f"the registry holds no version {version} of {model} (any more): the run registered"
            " it elsewhere, or it has been archived since",
            remedy=remedy,
        )
    if registered.get("digest", found.digest) != found.digest:
        raise DataError(
            f"version {version} of {model} in this registry is another model than the one the run"
            " registered",
            remedy=remedy,
        )
    return found


#: What a registered bundle holds besides the servable package.
PACKAGE = "package"
BASELINE = "baseline.json"
FINGERPRINTS = "training.fingerprints"


class Bundles(Protocol):
    """Registered bundles on this machine's disk, fetched once."""

    def folder(self, version: ModelVersion) -> Path:
        """The bundle: `package/`, `baseline.json` and `training.fingerprints`.

        Raises:
            DataError: it is not what was registered.
        """
