"""Versions of models in MLflow, their bundles in a folder by digest."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ml_pipeline.adapters.local.champion_cache import (
    DATABASE,
    clear_champion_cache,
    noted_champion,
    write_champion_cache,
)
from ml_pipeline.adapters.local.folders import place, tree_digest
from ml_pipeline.adapters.local.mlflow_database import MlflowDatabase
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.stored_metrics import metric_entries, metrics_in
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import CHAMPION, ModelRegistry, ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient

_METRIC = "metric."
_OURS = "ml_pipeline."
_RUN, _DIGEST, _ARCHIVED = f"{_OURS}run_id", f"{_OURS}digest", f"{_OURS}archived_at"
_PAGE = 1000
_PARAM_LENGTH = 6000
_RESTORE = "Restore the file from a copy; to begin anew, remove the whole folder."


class MlflowRegistry:
    """Speaks `ports.registry.ModelRegistry`.

    `mlflow ui --backend-store-uri sqlite:///<state>/mlflow.db` opens it: an experiment a model,
    a run a version.

    Args:
        state: the pipeline's own folder for this project. `mlflow.db`, the bundles below
            `registry/` and the note of the champion lie in it.
        clock: the time a version is archived at.
    """

    def __init__(self, state: Path, clock: Clock) -> None:
        self._state = state.resolve()
        self._bundles = self._state / "registry"
        self._database = MlflowDatabase(self._state / DATABASE)
        self._clock = clock

    def champion(self, model: str) -> ModelVersion | None:
        self._refuse_empty(model)
        with self._database.asked(f"the champion of {model}") as client:
            aliases = _aliases(client, model)
            number = aliases.get(CHAMPION)
            found = None if number is None else client.get_model_version(model, number)
        if found is None:
            self._refuse_forgotten(model)
            return None
        return _version(found, aliases)

    def register(
        self,
        model: str,
        bundle: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        self._refuse_empty(model)
        digest = tree_digest(bundle)
        stored = self._bundles / model / digest
        all_tags = {
            **tags,
            **metric_entries(metrics, prefix=_METRIC),
            _RUN: run_id,
            _DIGEST: digest,
        }
        with self._database.alone(), self._database.asked(f"to register {model}") as client:
            existing = _search(client, model)
            for found in existing:
                if (found.tags.get(_RUN), found.tags.get(_DIGEST)) == (run_id, digest):
                    _refuse_archived(found, model)
                    return _version(found, _aliases(client, model))
            if not stored.exists() or tree_digest(stored) != digest:
                place(bundle, stored)
            made = _create(client, model, stored.as_uri(), all_tags, metrics)
            return _version(client.get_model_version(model, made), _aliases(client, model))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        with self._database.alone():
            if alias == CHAMPION:
                clear_champion_cache(self._state, model)
            with self._database.asked(f"alias {alias} for {model} {version}") as client:
                client.get_model_version(model, version)
                client.set_registered_model_alias(model, alias, version)
                now = _aliases(client, model).get(alias)
            if now != version:
                raise PlatformUnavailableError(
                    f"alias {alias} of {model} reads {now} after it was set to {version}",
                    remedy="Try again, with no other program changing the registry.",
                )
            self._note(model)

    def clear_alias(self, model: str, alias: str) -> None:
        with self._database.alone():
            if alias == CHAMPION:
                clear_champion_cache(self._state, model)
            with self._database.asked(f"to clear alias {alias} of {model}") as client:
                if alias in _aliases(client, model):
                    client.delete_registered_model_alias(model, alias)
            self._note(model)

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        reserved = [key for key in tags if key.startswith((_METRIC, _OURS))]
        if reserved:
            raise ConfigurationError(
                f"the tag {reserved[0]!r} is the registry's own", remedy="Choose another name."
            )
        self._tag(model, version, tags)

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        self._tag(model, version, metric_entries(metrics, prefix=_METRIC))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        self._refuse_empty(model)
        with self._database.asked(f"the versions of {model}") as client:
            found = _search(client, model)
            aliases = _aliases(client, model)
        return [_version(one, aliases) for one in found if _ARCHIVED not in one.tags]

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        source = Path(unquote(urlsplit(version.uri).path))
        digest = tree_digest(source)
        if digest != version.digest:
            raise DataError(
                f"the bundle of {version.model} version {version.version} at {source} is not what"
                f" was registered: its digest is {digest}, not {version.digest}",
                remedy="Restore the folder from a copy, or train and register again.",
            )
        place(source, target)
        return target

    def archive(self, model: str, version: str) -> None:
        with self._database.alone(), self._database.asked(f"to archive {model}") as client:
            aliases = _aliases(client, model)
            if aliases.get(CHAMPION) == version:
                raise PlatformRefusedError(
                    f"{model} version {version} is the champion, so it is not archived",
                    remedy="Make another version the champion first.",
                )
            client.get_model_version(model, version)
            for alias in [name for name, number in aliases.items() if number == version]:
                client.delete_registered_model_alias(model, alias)
            now = self._clock.now().isoformat()
            client.set_model_version_tag(model, version, _ARCHIVED, now)

    def _tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        with self._database.alone():
            with self._database.asked(f"to tag {model} version {version}") as client:
                for key, value in tags.items():
                    client.set_model_version_tag(model, version, key, value)
            self._note(model)

    def _note(self, model: str) -> None:
        """Write down who is champion now, for whoever must not wait for MLflow."""
        champion = self.champion(model)
        if champion is None:
            clear_champion_cache(self._state, model)
        else:
            write_champion_cache(self._state, champion)

    def _refuse_forgotten(self, model: str) -> None:
        """A registry made anew must not read as "there is no champion" either."""
        if known := noted_champion(self._state, model):
            gone = f"{self._state / DATABASE} knows no champion of {model}, but {known} was one"
            raise PlatformUnavailableError(gone, remedy=_RESTORE)

    def _refuse_empty(self, model: str) -> None:
        """A registry that vanished must not read as "there is no champion"."""
        known = noted_champion(self._state, model)
        if known is not None and not self._database.exists():
            raise PlatformUnavailableError(
                f"the model registry {self._state / DATABASE} is gone, although version {known}"
                f" of {model} was the champion",
                remedy=_RESTORE,
            )


def _aliases(client: "MlflowClient", model: str) -> Mapping[str, str]:
    """Version by alias; empty when nothing of that name was ever registered."""
    found = client.search_registered_models(f"name = '{model}'")
    return {name: str(holder) for one in found for name, holder in one.aliases.items()}


def _refuse_archived(found: Any, model: str) -> None:
    if _ARCHIVED in found.tags:
        raise PlatformRefusedError(
            f"what this run registered, version {found.version} of {model}, is archived by now",
            remedy="Start a new run.",
        )


def _search(client: "MlflowClient", model: str) -> list[Any]:
    """All versions, newest first."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(
            f"name = '{model}'", max_results=_PAGE, page_token=token
        )
        found += page
        token = page.token
        if not token:
            return sorted(found, key=lambda one: int(one.version), reverse=True)


def _create(
    client: "MlflowClient",
    model: str,
    source: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    """A run to look at in MLflow, and the version that came from it; its number."""
    experiment = client.get_experiment_by_name(model)
    # without a place of its own MLflow would name a folder below the current one
    place_of_all = source.rpartition("/")[0]
    experiment_id = (
        experiment.experiment_id if experiment else client.create_experiment(model, place_of_all)
    )
    run = client.create_run(experiment_id, run_name=tags[_RUN], tags=dict(tags)).info.run_id
    for key, value in tags.items():
        if not key.startswith((_METRIC, _OURS)):
            client.log_param(run, key, value[:_PARAM_LENGTH])
    for key, number in metrics.items():
        client.log_metric(run, key, number)
    client.set_terminated(run)
    if not client.search_registered_models(f"name = '{model}'"):
        client.create_registered_model(model)
    made = client.create_model_version(
        model, source, run_id=run, tags=dict(tags), await_creation_for=0
    )
    return str(made.version)


def _version(found: Any, aliases: Mapping[str, str]) -> ModelVersion:
    number = str(found.version)
    for key in (_RUN, _DIGEST):
        if key not in found.tags:
            raise DataError(
                f"{found.name} version {number} lacks the tag {key}: it was not registered here",
                remedy="Give the alias to a version the pipeline registered.",
            )
    where = f"{found.name} version {found.version}"
    metrics = metrics_in(found.tags, prefix=_METRIC, where=where)
    kept = {k: v for k, v in found.tags.items() if not k.startswith((_METRIC, _OURS))}
    return ModelVersion(
        model=found.name,
        version=number,
        uri=found.source,
        digest=found.tags[_DIGEST],
        run_id=found.tags[_RUN],
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        metrics=metrics,
        tags=kept,
        aliases=frozenset(name for name, holder in aliases.items() if holder == number),
    )


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = MlflowRegistry
