"""One Vertex AI endpoint: what is deployed on it, who gets which share, what it is labelled."""

from collections.abc import Mapping
from typing import Any

from google.api_core import exceptions as api
from google.cloud.aiplatform_v1 import types
from google.protobuf.field_mask_pb2 import FieldMask  # type: ignore[import-untyped]

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.adapters.vertex.names import PROJECT, resource_id
from ml_pipeline.adapters.vertex.operations import running
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError

#: Which endpoint of the project it is.
ROLE = "ml_pipeline_endpoint"


class Endpoint:
    """An endpoint by its name, there or not.

    Args:
        clients: who asks.
        model: the project's name.
        role: `production`, or `staging-<slot>`.
    """

    def __init__(self, clients: Clients, model: str, role: str) -> None:
        self.clients = clients
        self.id = resource_id(model, role)
        self.name = f"{clients.parent}/endpoints/{self.id}"
        self._labels = {PROJECT: model, ROLE: role}

    def get(self) -> types.Endpoint | None:
        """The endpoint as it is now, None when there is none."""
        try:
            return self.clients.asked(
                f"for {self.name}", self.clients.endpoints.get_endpoint, name=self.name
            )
        except api.NotFound:
            return None

    def made(self) -> types.Endpoint:
        """The endpoint, made when there is none."""
        found = self.get()
        if found is not None:
            return found
        what = f"to make {self.name}"
        try:
            operation = self.clients.asked(
                what,
                self.clients.endpoints.create_endpoint,
                parent=self.clients.parent,
                endpoint=types.Endpoint(display_name=self.id, labels=self._labels),
                endpoint_id=self.id,
            )
        except PlatformRefusedError as error:
            # Another machine made it meanwhile, or an attempt whose answer was lost.
            there = self.get() if isinstance(error.__cause__, api.AlreadyExists) else None
            if there is None:
                raise
            return there
        made: types.Endpoint = self.clients.finished(what, operation)
        return made

    def deploy(self, deployed: types.DeployedModel, split: Mapping[str, int]) -> Any:
        """Begin a deployment; its operation. An empty `split` leaves the traffic as it is."""
        return self.clients.asked(
            f"to deploy {deployed.display_name} on {self.name}",
            self.clients.endpoints.deploy_model,
            endpoint=self.name,
            deployed_model=deployed,
            traffic_split=dict(split),
        )

    def deploying(self) -> list[Any]:
        """Deployments on it that have not ended, whoever began them; empty when it is gone."""
        kinds = types.DeployModelOperationMetadata, types.DeployModelResponse
        return running(self.clients, self.clients.endpoints, self.name, *kinds)

    def cancel(self, deploying: Any) -> None:
        """Ask a deployment to stop; one that has ended is left as it is."""
        name = deploying.operation.name
        try:
            self.clients.asked(
                f"to cancel {name}", self.clients.endpoints.cancel_operation, {"name": name}
            )
        except (api.NotFound, PlatformRefusedError):
            if not self.clients.attempts(f"for {name}", lambda: deploying.done(retry=None)):
                raise

    def undeploy(self, deployed: types.DeployedModel) -> None:
        """Take a deployment off, and wait until it is gone."""
        what = f"to take {deployed.display_name} off {self.name}"
        try:
            operation = self.clients.asked(
                what,
                self.clients.endpoints.undeploy_model,
                endpoint=self.name,
                deployed_model_id=deployed.id,
            )
            self.clients.finished(what, operation)
        except api.NotFound:
            return

    def delete(self) -> None:
        """Take the endpoint away; not an error when it is gone."""
        what = f"to delete {self.name}"
        try:
            operation = self.clients.asked(
                what, self.clients.endpoints.delete_endpoint, name=self.name
            )
            self.clients.finished(what, operation)
        except api.NotFound:
            return

    def split(self, shares: Mapping[str, int]) -> None:
        """Ask for these per cents by deployment id; whether it took them is to be read back."""
        self._update("traffic_split", traffic_split=dict(shares))

    def label(self, found: types.Endpoint, **labels: str | None) -> None:
        """Set labels, or take them away with None, unless somebody was quicker (by etag)."""
        merged = {**found.labels, **labels}
        kept = {key: value for key, value in merged.items() if value is not None}
        try:
            self._update("labels", labels=kept, etag=found.etag)
        except PlatformUnavailableError:
            # A write whose answer was lost took effect, and no other try has its etag.
            now = self.get()
            if now is None or dict(now.labels) != kept:
                raise

    def _update(self, path: str, **fields: Any) -> None:
        self.clients.asked(
            f"to change {path} of {self.name}",
            self.clients.endpoints.update_endpoint,
            endpoint=types.Endpoint(name=self.name, display_name=self.id, **fields),
            update_mask=FieldMask(paths=[path]),
        )


def slots_of(found: types.Endpoint | None) -> dict[str, types.DeployedModel]:
    """What is deployed, by slot."""
    return {one.display_name: one for one in found.deployed_models} if found else {}


def shares_of(found: types.Endpoint | None) -> dict[str, int]:
    """Per cent by slot, as the platform has them."""
    if found is None:
        return {}
    names = {one.id: one.display_name for one in found.deployed_models}
    return {names[key]: share for key, share in found.traffic_split.items() if key in names}
