"""Versions of a model in Vertex AI's model registry, their bundles in the bucket."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud.aiplatform_v1 import types
from google.protobuf.field_mask_pb2 import FieldMask  # type: ignore[import-untyped]

from ml_pipeline.adapters.vertex.client import CALL_S, Clients
from ml_pipeline.adapters.vertex.facts import Facts, facts_of
from ml_pipeline.adapters.vertex.names import resource_id
from ml_pipeline.adapters.vertex.operations import running
from ml_pipeline.adapters.vertex.storage import Bucket, digest_of
from ml_pipeline.domain.cloud_image import ENTRY
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.stored_metrics import finite
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import CHAMPION, PACKAGE, ModelRegistry, ModelVersion

#: The platform's own alias, which one version always has.
_DEFAULT = "default"
_COMMAND = [*ENTRY, "serve"]
_PORT = 8080


class VertexRegistry:
    """Speaks `ports.registry.ModelRegistry`.

    An archived version is deleted. One that carries the platform's `default` alias cannot be:
    the alias first goes to the champion, else to the newest version left, and when there is none
    the version stays and says in its description that it is archived.

    Args:
        clients: who asks.
        bucket: where bundles lie.
        clock: the time a version is archived at.
        trusted_types: skops types a served model may hold besides skops' own list.
    """

    def __init__(
        self, clients: Clients, bucket: Bucket, clock: Clock, trusted_types: Sequence[str] = ()
    ) -> None:
        self._clients = clients
        self._bucket = bucket
        self._clock = clock
        self._trusted_types = tuple(trusted_types)

    def champion(self, model: str) -> ModelVersion | None:
        try:
            found = self._get(model, CHAMPION)
        except api.NotFound:
            return None
        return self._version(model, found)

    def register(
        self,
        model: str,
        bundle: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        digest = digest_of(bundle)
        facts = Facts(run_id=run_id, digest=digest, metrics=finite(metrics), tags=dict(tags))
        same = self._uploaded(model, facts)  # also by a process that was killed meanwhile
        if same:
            return self._version(model, self._eldest(model, same))
        uri = f"{self._bucket.root}/registry/{digest}"
        self._bucket.upload(bundle, uri)
        made = self._made(model, self._model(model, uri, facts), facts)
        same = self._same(model, run_id, digest)
        return self._version(model, self._eldest(model, [*same, made]))

    def _made(self, model: str, asked: types.Model, facts: Facts) -> types.Model:
        """A version is asked for once more only if the attempt before did not make it, unheard."""
        tried = False

        def once() -> Any:
            nonlocal tried
            if tried:
                same = self._uploaded(model, facts)
                if same:
                    return _eldest(same)
            known = self._all(model)
            tried = True
            request: dict[str, Any] = {"parent": self._clients.parent, "model": asked}
            request["parent_model" if known else "model_id"] = (
                self._name(model) if known else resource_id(model)
            )
            make = self._clients.models.upload_model
            return make(request, retry=None, timeout=CALL_S)

        what = f"to register {model}"
        made = self._clients.attempts(what, once)
        if isinstance(made, types.Model):
            return made
        return self._get(model, self._clients.finished(what, made).model_version_id)

    def _uploaded(self, model: str, facts: Facts) -> list[types.Model]:
        """Versions an upload made whose answer was lost; it may still go on, and is waited for."""
        kinds = types.UploadModelOperationMetadata, types.UploadModelResponse
        for one in running(self._clients, self._clients.models, self._name(model), *kinds):
            self._clients.ended(f"to register {model}", one)
        return self._same(model, facts.run_id, facts.digest)

    def _same(self, model: str, run_id: str, digest: str) -> list[types.Model]:
        wanted = (run_id, digest, None)
        told = [(one, facts_of(one)) for one in self._all(model)]
        return [one for one, it in told if (it.run_id, it.digest, it.archived_at) == wanted]

    def _eldest(self, model: str, same: Sequence[types.Model]) -> types.Model:
        """The oldest of versions that are one; the others go, unless somebody named them."""
        eldest = _eldest(same)
        for number in {one.version_id for one in same if not one.version_aliases}:
            if number != eldest.version_id:
                self.archive(model, number)
        return eldest

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self._alias(model, version, alias)
        now = self._get(model, alias).version_id
        if now != version:
            raise PlatformUnavailableError(
                f"alias {alias} of {model} is at version {now} after it was set to {version}",
                remedy="Try again, with no other program changing the registry.",
            )

    def clear_alias(self, model: str, alias: str) -> None:
        try:
            holder = self._get(model, alias).version_id
        except api.NotFound:
            return
        self._alias(model, holder, f"-{alias}")

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        facts = facts_of(self._existing(model, version))
        self._describe(model, version, facts.model_copy(update={"tags": {**facts.tags, **tags}}))

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        facts = facts_of(self._existing(model, version))
        stored = {**facts.metrics, **finite(metrics)}
        self._describe(model, version, facts.model_copy(update={"metrics": stored}))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        return [
            self._version(model, one) for one in self._all(model) if not facts_of(one).archived_at
        ]

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        model = self._existing(version.model, version.version)
        uri = model.artifact_uri.removesuffix(f"/{PACKAGE}")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._bucket.download(uri, target, promised=version.digest)
        return target

    def archive(self, model: str, version: str) -> None:
        found = self._existing(model, version)
        if CHAMPION in found.version_aliases:
            raise PlatformRefusedError(
                f"{model} version {version} is the champion, so it is not archived",
                remedy="Make another version the champion first.",
            )
        if _DEFAULT in found.version_aliases and not self._defaulted_elsewhere(model, version):
            now = self._clock.now().isoformat()
            self._describe(model, version, facts_of(found).model_copy(update={"archived_at": now}))
            ours = [f"-{one}" for one in found.version_aliases if one != _DEFAULT]
            if ours:
                self._alias(model, version, *ours)
            return
        what = f"to archive {model} version {version}"
        name = f"{self._name(model)}@{version}"
        try:
            operation = self._clients.asked(
                what, self._clients.models.delete_model_version, name=name
            )
            self._clients.finished(what, operation)
        except api.NotFound:
            return  # somebody was quicker

    def _defaulted_elsewhere(self, model: str, version: str) -> bool:
        """Whether another version could take the platform's `default` alias."""
        others = [one for one in self._all(model) if one.version_id != version]
        if not others:
            return False
        heir = next((one for one in others if CHAMPION in one.version_aliases), others[0])
        self._alias(model, heir.version_id, _DEFAULT)
        return True

    def _name(self, model: str) -> str:
        return f"{self._clients.parent}/models/{resource_id(model)}"

    def _get(self, model: str, which: str) -> types.Model:
        """A version by number or alias; NotFound passes through."""
        name = f"{self._name(model)}@{which}"
        return self._clients.asked(f"for {name}", self._clients.models.get_model, name=name)

    def _existing(self, model: str, version: str) -> types.Model:
        try:
            return self._get(model, version)
        except api.NotFound as error:
            raise _absent(model, version) from error

    def _all(self, model: str) -> list[types.Model]:
        """Every version, newest first; empty when nothing of that name was ever registered."""
        try:
            found = self._clients.listed(
                f"for the versions of {model}",
                self._clients.models.list_model_versions,
                request={"name": self._name(model)},
            )
        except api.NotFound:
            return []
        return sorted(found, key=lambda one: one.version_create_time, reverse=True)

    def _alias(self, model: str, version: str, *aliases: str) -> None:
        try:
            self._clients.asked(
                f"aliases {', '.join(aliases)} for {model} version {version}",
                self._clients.models.merge_version_aliases,
                name=f"{self._name(model)}@{version}",
                version_aliases=aliases,
            )
        except api.NotFound as error:
            raise _absent(model, version) from error

    def _describe(self, model: str, version: str, facts: Facts) -> None:
        self._clients.asked(
            f"to describe {model} version {version}",
            self._clients.models.update_model,
            model=types.Model(
                name=f"{self._name(model)}@{version}",
                display_name=model,
                version_description=facts.model_dump_json(),
            ),
            update_mask=FieldMask(paths=["version_description"]),
        )

    def _model(self, model: str, uri: str, facts: Facts) -> types.Model:
        trusted = json.dumps(self._trusted_types)
        return types.Model(
            display_name=model,
            version_description=facts.model_dump_json(),
            artifact_uri=f"{uri}/{PACKAGE}",
            container_spec=types.ModelContainerSpec(
                image_uri=self._clients.policy.image,
                command=_COMMAND,
                env=[types.EnvVar(name=told.TRUSTED_TYPES, value=trusted)],
                ports=[types.Port(container_port=_PORT)],
                predict_route="/invocations",
                health_route="/ping",
            ),
            labels={"ml_pipeline_project": model},
        )

    def _version(self, model: str, found: types.Model) -> ModelVersion:
        facts = facts_of(found)
        return ModelVersion(
            model=model,
            version=found.version_id,
            uri=f"{self._name(model)}@{found.version_id}",
            digest=facts.digest,
            run_id=facts.run_id,
            created_at=found.version_create_time,
            metrics=facts.metrics,
            tags=facts.tags,
            aliases=frozenset(found.version_aliases) - {_DEFAULT},
        )


def _eldest(same: Sequence[types.Model]) -> types.Model:
    return min(same, key=lambda one: (one.version_create_time, one.version_id))


def _absent(model: str, version: str) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"the registry holds no version {version} of {model}", remedy="Register it first."
    )


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = VertexRegistry
