"""Versions of models as custom models of the workspace, their bundles in its datastore.

What a version is (run, digest) are its properties, which the service never changes; metrics and
aliases are tags. An alias is a tag with a number that rises each time the alias moves: the
version with the highest has it, so that a move cut short between two calls leaves it somewhere.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.adapters.azureml.artifacts import AzuremlArtifacts, tree_digest
from ml_pipeline.adapters.azureml.client import AbsentError, Workspace
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.stored_metrics import metric_entries, metrics_in
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from ml_pipeline.ports.registry import ModelRegistry

_METRIC, _ALIAS, _OURS = "metric.", "alias.", "ml_pipeline."
_RUN, _DIGEST, _ARCHIVED = f"{_OURS}run_id", f"{_OURS}digest", f"{_OURS}archived_at"


class AzuremlRegistry:
    """Speaks `ports.registry.ModelRegistry`."""

    def __init__(self, workspace: Workspace, artifacts: AzuremlArtifacts, clock: Clock) -> None:
        self._workspace = workspace
        self._artifacts = artifacts
        self._clock = clock

    def champion(self, model: str) -> ModelVersion | None:
        found = self._all(model)
        number = _holders(found).get(CHAMPION)
        return next((_version(one, found) for one in found if one.version == number), None)

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
        known = self._all(model, archived=True)
        for one in known:
            if (one.properties.get(_RUN), one.properties.get(_DIGEST)) == (run_id, digest):
                return _version(one, known)
        number = max((int(one.version) for one in known if one.version.isdecimal()), default=0) + 1
        uri = self._artifacts.upload(bundle, f"models/{model}/{digest}")
        made = sdk.Model(
            name=model,
            version=str(number),
            path=uri,
            type="custom_model",
            tags={**tags, **metric_entries(metrics, prefix=_METRIC)},
            properties={_RUN: run_id, _DIGEST: digest},
        )
        self._workspace.ask(
            f"to register {model} {number}", lambda ml: ml.models.create_or_update(made)
        )
        return _version(self._one(model, str(number)), known)

    def set_alias(self, model: str, alias: str, version: str) -> None:
        found = self._all(model)
        if version not in {one.version for one in found}:
            raise PlatformRefusedError(
                f"there is no version {version} of {model}, so it cannot be {alias}",
                remedy="Name a version that is registered and not archived.",
            )
        key = f"{_ALIAS}{alias}"
        rank = max((_rank(one, key) for one in found), default=0) + 1
        self._retag(model, version, add={key: str(rank)})
        for one in found:
            if key in one.tags and one.version != version:
                self._retag(model, one.version, drop={key})
        now = _holders(self._all(model)).get(alias)
        if now != version:
            raise PlatformUnavailableError(
                f"alias {alias} of {model} reads {now} after it was set to {version}",
                remedy="Try again, with no other program changing the registry.",
            )

    def clear_alias(self, model: str, alias: str) -> None:
        key = f"{_ALIAS}{alias}"
        for one in self._all(model):
            if key in one.tags:
                self._retag(model, one.version, drop={key})

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        reserved = [key for key in tags if key.startswith((_METRIC, _ALIAS, _OURS))]
        if reserved:
            raise ConfigurationError(
                f"the tag {reserved[0]!r} is the registry's own", remedy="Choose another name."
            )
        self._retag(model, version, add=tags)

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        self._retag(model, version, add=metric_entries(metrics, prefix=_METRIC))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        found = self._all(model)
        return [_version(one, found) for one in found]

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        try:
            digest = self._artifacts.fetch(version.uri, target)
            said = f"its digest is {digest}, not {version.digest}"
        except DataError as error:
            digest, said = "", str(error)
        if digest != version.digest:
            raise DataError(
                f"the bundle of {version.model} version {version.version} at {version.uri} is not"
                f" what was registered: {said}",
                remedy="Restore the blobs, or train and register again.",
            )
        return target

    def archive(self, model: str, version: str) -> None:
        if _holders(self._all(model)).get(CHAMPION) == version:
            raise PlatformRefusedError(
                f"{model} version {version} is the champion, so it is not archived",
                remedy="Make another version the champion first.",
            )
        one = self._one(model, version)
        aliases = {key for key in one.tags if key.startswith(_ALIAS)}
        at = self._clock.now().isoformat()
        self._retag(model, version, add={_ARCHIVED: at}, drop=aliases)
        self._workspace.ask(
            f"to archive {model} {version}",
            lambda ml: ml.models.archive(name=model, version=version),
        )

    def _all(self, model: str, *, archived: bool = False) -> list[Any]:
        """Versions, newest first."""
        view = "All" if archived else "ActiveOnly"
        listed = self._workspace.ask(
            f"the versions of {model}",
            lambda ml: list(ml.models.list(name=model, list_view_type=view)),
        )
        return sorted(listed, key=lambda one: (one.creation_context.created_at, _number(one)))[::-1]

    def _one(self, model: str, version: str) -> Any:
        try:
            return self._workspace.ask(
                f"{model} version {version}", lambda ml: ml.models.get(model, version=version)
            )
        except AbsentError as error:
            raise PlatformRefusedError(
                f"there is no version {version} of {model}", remedy="Name one that is registered."
            ) from error

    def _retag(
        self,
        model: str,
        version: str,
        *,
        add: Mapping[str, str] | None = None,
        drop: set[str] | None = None,
    ) -> None:
        one = self._one(model, version)
        kept = {key: value for key, value in one.tags.items() if key not in (drop or set())}
        one.tags = {**kept, **(add or {})}
        self._workspace.ask(
            f"to tag {model} version {version}", lambda ml: ml.models.create_or_update(one)
        )


def _number(found: Any) -> int:
    return int(found.version) if found.version.isdecimal() else 0


def _rank(found: Any, key: str) -> int:
    text = found.tags.get(key, "0")
    if not text.isdecimal():
        raise DataError(
            f"{found.name} version {found.version}: the tag {key} = {text!r} is no number",
            remedy=f"Remove the tag {key}, or set it to a whole number.",
        )
    return int(text)


def _holders(found: Sequence[Any]) -> dict[str, str]:
    """Version by alias."""
    held: dict[str, tuple[int, str]] = {}
    for one in found:
        for key in one.tags:
            if key.startswith(_ALIAS):
                alias, claim = key.removeprefix(_ALIAS), (_rank(one, key), str(one.version))
                held[alias] = max(held.get(alias, claim), claim)
    return {alias: version for alias, (_, version) in held.items()}


def _version(found: Any, everything: Sequence[Any]) -> ModelVersion:
    for key in (_RUN, _DIGEST):
        if key not in found.properties:
            raise DataError(
                f"{found.name} version {found.version} lacks the property {key}: it was not"
                " registered here",
                remedy="Give the alias to a version the pipeline registered.",
            )
    own = (_METRIC, _ALIAS, _OURS)
    where = f"{found.name} version {found.version}"
    metrics = metrics_in(found.tags, prefix=_METRIC, where=where)
    number = str(found.version)
    return ModelVersion(
        model=found.name,
        version=number,
        uri=found.path,
        digest=found.properties[_DIGEST],
        run_id=found.properties[_RUN],
        created_at=found.creation_context.created_at.astimezone(UTC),
        metrics=metrics,
        tags={key: value for key, value in found.tags.items() if not key.startswith(own)},
        aliases=frozenset(a for a, holder in _holders(everything).items() if holder == number),
    )


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = AzuremlRegistry
