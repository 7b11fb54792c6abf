"""EndpointService: deployments that really serve, and a traffic split that is kept to."""

import random
import re
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.protobuf import empty_pb2

from tests.emulators.vertex_programs import ModelServer
from tests.emulators.vertex_rules import RefusedError, fits, now

_ENDPOINT_ID = re.compile(r"^([a-z][a-z0-9-]{0,61}[a-z0-9]|[0-9]{1,9})$")
_DEPLOYED_ID = re.compile(r"^[0-9]{1,10}$")


class Endpoints:
    """Speaks the part of EndpointService an adapter needs."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.endpoints: dict[str, types.Endpoint] = {}
        self.servers: dict[tuple[str, str], ModelServer] = {}
        self.random = random.Random(1)

    def CreateEndpoint(self, request: Any) -> Any:  # noqa: N802
        if not _ENDPOINT_ID.match(request.endpoint_id):
            raise RefusedError("INVALID_ARGUMENT", f"endpoint_id {request.endpoint_id!r}")
        name = f"{request.parent}/endpoints/{request.endpoint_id}"
        if name in self.endpoints:
            raise RefusedError("ALREADY_EXISTS", f"{name} exists")

        def done() -> Any:
            made = types.Endpoint(request.endpoint)
            made.name, made.create_time = name, now()
            self.endpoints[name] = self._changed(made)
            return made

        return self.world.operations.begin("CreateEndpoint", name, done, types.Endpoint)

    def GetEndpoint(self, request: Any) -> types.Endpoint:  # noqa: N802
        return self._get(request.name)

    def ListEndpoints(self, request: Any) -> types.ListEndpointsResponse:  # noqa: N802
        found = [
            one
            for one in self.endpoints.values()
            if fits(request.filter, {f"labels.{k}": v for k, v in one.labels.items()})
        ]
        return types.ListEndpointsResponse(endpoints=found)

    def DeployModel(self, request: Any) -> Any:  # noqa: N802
        endpoint = self._get(request.endpoint)
        deployed = types.DeployedModel(request.deployed_model)
        model = self.world.models.version(deployed.model)
        deployed.id = deployed.id or str(self.world.number())
        key = (endpoint.name, deployed.id)
        split = {deployed.id if k == "0" else k: v for k, v in request.traffic_split.items()}
        self._check_deployed(key, deployed, split)
        deployed.model, deployed.model_version_id = model.name, model.version_id
        chaos = self.world.faults.chaos.get(deployed.display_name, "")
        server = ModelServer(model, deployed, self.world.store, chaos, self.world.server)
        self.servers[key] = server

        def ready() -> bool:
            if server.ended() is not None:
                self.servers.pop(key, None)
                raise RefusedError("FAILED_PRECONDITION", f"Model server exited: {server.tail()}")
            return server.healthy()

        def done() -> Any:
            deployed.create_time = now()
            endpoint.deployed_models.append(deployed)
            if split:
                self._split(endpoint, split)
            self._changed(endpoint)
            return types.DeployModelResponse(deployed_model=deployed)

        def stop() -> None:
            self.servers.pop(key, None)
            server.stop()

        return self.world.operations.begin(
            "DeployModel", endpoint.name, done, types.DeployModelResponse, ready=ready, stop=stop
        )

    def _check_deployed(self, key: tuple[str, str], deployed: Any, split: dict[str, int]) -> None:
        if key in self.servers:
            raise RefusedError("ALREADY_EXISTS", f"{deployed.id} is deployed, or about to be")
        if not _DEPLOYED_ID.match(deployed.id):
            raise RefusedError("INVALID_ARGUMENT", f"deployed model id {deployed.id!r}")
        if not deployed.dedicated_resources.machine_spec.machine_type:
            raise RefusedError("INVALID_ARGUMENT", "dedicated_resources need a machine type")
        if split and sum(split.values()) != 100:
            raise RefusedError("INVALID_ARGUMENT", f"traffic_split {split}")

    def UndeployModel(self, request: Any) -> Any:  # noqa: N802
        endpoint = self._get(request.endpoint)
        there = [one for one in endpoint.deployed_models if one.id == request.deployed_model_id]
        if not there:
            raise RefusedError("NOT_FOUND", f"{request.deployed_model_id} is not deployed")
        last = len(endpoint.deployed_models) == 1
        if endpoint.traffic_split.get(there[0].id, 0) and not last and not request.traffic_split:
            raise RefusedError("FAILED_PRECONDITION", f"{there[0].id} has traffic")

        def done() -> Any:
            kept = [one for one in endpoint.deployed_models if one.id != there[0].id]
            split = {k: v for k, v in endpoint.traffic_split.items() if k != there[0].id}
            endpoint.deployed_models = kept
            endpoint.traffic_split = split if kept else {}
            self._changed(endpoint)
            self.servers.pop((endpoint.name, there[0].id)).stop()
            return types.UndeployModelResponse()

        return self.world.operations.begin(
            "UndeployModel", endpoint.name, done, types.UndeployModelResponse
        )

    def UpdateEndpoint(self, request: Any) -> types.Endpoint:  # noqa: N802
        endpoint = self._get(request.endpoint.name)
        if request.endpoint.etag and request.endpoint.etag != endpoint.etag:
            raise RefusedError("ABORTED", "the etag is not the newest")
        for path in request.update_mask.paths:
            if path == "traffic_split":
                self._split(endpoint, dict(request.endpoint.traffic_split))
            elif path in {"labels", "display_name", "description"}:
                setattr(endpoint, path, getattr(request.endpoint, path))
            else:
                raise RefusedError("INVALID_ARGUMENT", f"{path} cannot be updated")
        return self._changed(endpoint)

    def DeleteEndpoint(self, request: Any) -> Any:  # noqa: N802
        endpoint = self._get(request.name)
        if endpoint.deployed_models or any(name == endpoint.name for name, _ in self.servers):
            raise RefusedError("FAILED_PRECONDITION", "undeploy its models first")

        def done() -> Any:
            self.endpoints.pop(endpoint.name, None)
            return empty_pb2.Empty()

        return self.world.operations.begin("DeleteEndpoint", endpoint.name, done, None)

    def chosen(self, name: str) -> tuple[types.DeployedModel, ModelServer]:
        """The deployment that gets the next request."""
        endpoint = self._get(name)
        shares = {key: share for key, share in endpoint.traffic_split.items() if share}
        if not shares:
            raise RefusedError("FAILED_PRECONDITION", f"{name} takes no traffic")
        number = self.random.choices(list(shares), list(shares.values()))[0]
        deployed = next(one for one in endpoint.deployed_models if one.id == number)
        return deployed, self.servers[(name, number)]

    def serves(self, model: types.Model) -> bool:
        return any(
            (one.model, one.model_version_id) == (model.name, model.version_id)
            for endpoint in self.endpoints.values()
            for one in endpoint.deployed_models
        )

    def _get(self, name: str) -> types.Endpoint:
        if name not in self.endpoints:
            raise RefusedError("NOT_FOUND", f"Endpoint {name} not found")
        return self.endpoints[name]

    def _split(self, endpoint: types.Endpoint, split: dict[str, int]) -> None:
        unknown = set(split) - {one.id for one in endpoint.deployed_models}
        if unknown or (split and sum(split.values()) != 100) or min(split.values(), default=0) < 0:
            raise RefusedError("INVALID_ARGUMENT", f"traffic_split {split}")
        endpoint.traffic_split = split

    def _changed(self, endpoint: types.Endpoint) -> types.Endpoint:
        endpoint.etag = f"etag{self.world.number()}"
        endpoint.update_time = now()
        return endpoint

    def stop(self) -> None:
        for server in list(self.servers.values()):
            server.stop()
