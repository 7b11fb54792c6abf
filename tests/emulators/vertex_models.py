"""ModelService: versions, aliases, and the default version that cannot be deleted."""

import re
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2

from tests.emulators.vertex_rules import RefusedError, now

_ALIAS = re.compile(r"^-?[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$")
_MODEL_ID = re.compile(r"^[a-z_][a-z0-9_-]{0,62}$")


class Models:
    """Speaks the part of ModelService an adapter needs."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.models: dict[str, dict[str, types.Model]] = {}
        self.next_version_id = ""

    def UploadModel(self, request: Any) -> Any:  # noqa: N802
        if request.parent_model and request.parent_model not in self.models:
            raise RefusedError("NOT_FOUND", f"{request.parent_model} not found")
        if not request.parent_model and not _MODEL_ID.match(request.model_id):
            raise RefusedError("INVALID_ARGUMENT", f"model_id {request.model_id!r}")
        base = request.parent_model or f"{request.parent}/models/{request.model_id}"
        if not request.parent_model and base in self.models:
            raise RefusedError("ALREADY_EXISTS", f"{base} exists")
        if not request.model.display_name or not request.model.container_spec.image_uri:
            raise RefusedError("INVALID_ARGUMENT", "a model needs display_name and an image")

        def done() -> Any:
            versions = self.models.setdefault(base, {})
            made = types.Model(request.model)
            counted = max((int(one) for one in versions if one.isdigit()), default=0) + 1
            number, self.next_version_id = self.next_version_id or str(counted), ""
            made.name, made.version_id = base, number
            made.version_create_time = made.create_time = now()
            if not versions:
                made.version_aliases = [*made.version_aliases, "default"]
            versions[number] = made
            return types.UploadModelResponse(model=base, model_version_id=number)

        return self.world.operations.begin("UploadModel", base, done, types.UploadModelResponse)

    def GetModel(self, request: Any) -> types.Model:  # noqa: N802
        return self.version(request.name)

    def version(self, name: str) -> types.Model:
        base, _, which = name.partition("@")
        for one in self.models.get(base, {}).values():
            if which in {one.version_id, ""} or which in one.version_aliases:
                return one
        raise RefusedError("NOT_FOUND", f"Model {name} not found")

    def ListModelVersions(self, request: Any) -> types.ListModelVersionsResponse:  # noqa: N802
        found = self.models.get(request.name)
        if not found:
            raise RefusedError("NOT_FOUND", f"Model {request.name} not found")
        return types.ListModelVersionsResponse(models=list(found.values()))

    def MergeVersionAliases(self, request: Any) -> types.Model:  # noqa: N802
        target = self.version(request.name)
        if any(not _ALIAS.match(one) for one in request.version_aliases):
            raise RefusedError("INVALID_ARGUMENT", f"aliases {list(request.version_aliases)}")
        taken = {one for one in request.version_aliases if not one.startswith("-")}
        left = {one[1:] for one in request.version_aliases if one.startswith("-")}
        if "default" in left and "default" in target.version_aliases:
            raise RefusedError("INVALID_ARGUMENT", "one version always is the default")
        for one in self.models[target.name].values():
            one.version_aliases = [each for each in one.version_aliases if each not in taken]
        target.version_aliases = sorted((set(target.version_aliases) | taken) - left)
        return target

    def UpdateModel(self, request: Any) -> types.Model:  # noqa: N802
        target = self.version(request.model.name)
        for path in request.update_mask.paths:
            setattr(target, path, getattr(request.model, path))
        return target

    def DeleteModelVersion(self, request: Any) -> Any:  # noqa: N802
        target = self.version(request.name)
        if "default" in target.version_aliases:
            raise RefusedError("FAILED_PRECONDITION", "the default version cannot be deleted")
        if self.world.endpoints.serves(target):
            raise RefusedError("FAILED_PRECONDITION", f"{request.name} is deployed")

        def done() -> Any:
            del self.models[target.name][target.version_id]
            return empty_pb2.Empty()

        return self.world.operations.begin("DeleteModelVersion", target.name, done, None)
