"""Deployments on Vertex AI endpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.adapters.vertex.endpoint import ROLE, Endpoint, shares_of, slots_of
from ml_pipeline.adapters.vertex.lease import lease_of
from ml_pipeline.adapters.vertex.names import PROJECT, deployed_id
from ml_pipeline.adapters.vertex.proxy import PredictProxy
from ml_pipeline.domain.chaos import parse_chaos
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.serving import Deployment, Target, numbers_in, question

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import ModelHost

PRODUCTION = "production"


class VertexHost:
    """Speaks `ports.serving.ModelHost`.

    Production is one endpoint that all slots share; in staging every slot has one of its own,
    which goes with it. Vertex AI takes requests for an endpoint, not for one of several
    deployments on it: a slot can be asked only while it has all the traffic of its endpoint.
    A deployment counts as healthy once Vertex AI, which asks its health route, lists it.

    Args:
        clients: who asks.
        model: the project's name.
        endpoint: `staging` or `production`.
        proxy: gives requests their token.
    """

    def __init__(self, clients: Clients, model: str, endpoint: str, proxy: PredictProxy) -> None:
        self._clients = clients
        self._model = model
        self._role = endpoint
        self._proxy = proxy
        #: deployments begun here, which the endpoint may not list yet
        self._begun: dict[str, tuple[str, Any]] = {}

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        del package  # the registered one is served
        if parse_chaos(chaos) != parse_chaos(""):
            raise PlatformRefusedError(
                f"Vertex AI has no drills, so {chaos!r} is not deployed",
                remedy="Rehearse on the platform local, or leave --chaos out.",
            )
        endpoint = self._endpoint(slot)
        found = endpoint.made()
        if self._under_way(slot, version):
            return
        there = slots_of(found).get(slot)
        if there is not None:
            if there.model_version_id == version.version:
                return
            self._refuse_busy(slot, found)
            endpoint.undeploy(there)
        split = {} if self._role == PRODUCTION else {"0": 100}
        try:
            operation = endpoint.deploy(self._deployed(slot, version), split)
        except PlatformRefusedError as error:
            if isinstance(error.__cause__, api.AlreadyExists):
                return  # another machine began this very deployment: its id is the same
            raise
        self._begun[slot] = (version.version, operation)

    def health(self, slot: str) -> bool:
        return slot in slots_of(self._endpoint(slot).get())

    def failure(self, slot: str) -> str:
        found = self._endpoint(slot).get()
        if slot in slots_of(found):
            return ""
        begun = self._begun.get(slot)
        if begun is None:
            return f"there is no slot {slot}"
        _, operation = begun
        if not self._clients.attempts("how a deployment goes", lambda: operation.done(retry=None)):
            return f"{slot} is being deployed ({operation.operation.name})"
        error = operation.exception(timeout=0)
        return f"{slot} was not deployed: {error or 'Vertex AI does not say why'}"

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        self._addressable(slot, self._existing(slot))
        answer = self._proxy.ask(self._endpoint(slot).id, question(columns, rows))
        return numbers_in(slot, answer.status, answer.data, log="the slot's log in Cloud Logging")

    def target(self, slot: str) -> Target:
        """Where the slot itself takes requests.

        Raises:
            PlatformRefusedError: there is no such slot, or it shares its endpoint's traffic.
            PlatformUnavailableError: it is not up.
        """
        self._addressable(slot, self._existing(slot))
        return self._proxy.target(self._endpoint(slot).id)

    def remove(self, slot: str) -> None:
        endpoint = self._endpoint(slot)
        found = endpoint.get()
        there = slots_of(found).get(slot)
        self._stop_deploying(slot)
        if found is not None and self._role == PRODUCTION and there is not None:
            self._refuse_busy(slot, found)
            endpoint.undeploy(there)
        elif found is not None and self._role != PRODUCTION:
            for one in found.deployed_models:
                endpoint.undeploy(one)
            endpoint.delete()

    def list(self) -> Sequence[Deployment]:
        """What runs; a slot that shares its endpoint's traffic has an empty URL."""
        found = self._clients.listed(
            "for the project's endpoints",
            self._clients.endpoints.list_endpoints,
            request={
                "parent": self._clients.parent,
                "filter": f'labels.{PROJECT}="{self._model}"',
            },
        )
        ours = [one for one in found if one.labels.get(ROLE, "").startswith(self._role)]
        return [
            self._deployment(endpoint, one) for endpoint in ours for one in endpoint.deployed_models
        ]

    def _deployment(self, endpoint: types.Endpoint, one: types.DeployedModel) -> Deployment:
        alone = shares_of(endpoint).get(one.display_name) == 100
        number = endpoint.name.rpartition("/")[2]
        return Deployment(
            slot=one.display_name,
            model=self._model,
            version=one.model_version_id,
            healthy=True,
            target=self._proxy.target(number) if alone else Target(url=""),
            since=one.create_time,
        )

    def _endpoint(self, slot: str) -> Endpoint:
        role = PRODUCTION if self._role == PRODUCTION else f"{self._role}-{slot}"
        return Endpoint(self._clients, self._model, role)

    def _existing(self, slot: str) -> types.Endpoint | None:
        """The slot's endpoint when the slot is on it, or is at least being deployed.

        Raises:
            PlatformRefusedError: there is no such slot.
        """
        found = self._endpoint(slot).get()
        if slot not in slots_of(found) and slot not in self._begun:
            raise PlatformRefusedError(f"there is no slot {slot}", remedy="Deploy it first.")
        return found

    def _addressable(self, slot: str, found: types.Endpoint | None) -> None:
        if slot not in slots_of(found):
            raise PlatformUnavailableError(
                f"slot {slot} is not up: {self.failure(slot)}", remedy="Wait until it is healthy."
            )
        share = shares_of(found).get(slot, 0)
        if share != 100:
            raise PlatformRefusedError(
                f"slot {slot} has {share} % of its endpoint's traffic, and Vertex AI takes no"
                " requests for one of several deployments",
                remedy="Ask the staging endpoint, or the production endpoint as a whole.",
            )

    def _refuse_busy(self, slot: str, found: types.Endpoint) -> None:
        share = shares_of(found).get(slot, 0)
        lease = lease_of(found)
        if self._role == PRODUCTION and (share or (lease and slot in lease.fallback)):
            why = (
                f"gets {share} % of the traffic" if share else f"is what run {lease} falls back to"
            )
            raise PlatformRefusedError(
                f"slot {slot} {why}", remedy="Give its traffic to another slot first."
            )

    def _under_way(self, slot: str, version: ModelVersion) -> bool:
        """Whether this very deployment was begun here and has not ended."""
        number, operation = self._begun.get(slot, ("", None))
        if operation is None or number != version.version:
            return False
        what = "how a deployment goes"
        return not self._clients.attempts(what, lambda: operation.done(retry=None))

    def _stop_deploying(self, slot: str) -> None:
        _, operation = self._begun.pop(slot, ("", None))
        if operation is not None and not operation.done(retry=None):
            self._clients.attempts(f"to stop deploying {slot}", operation.cancel)

    def _deployed(self, slot: str, version: ModelVersion) -> types.DeployedModel:
        policy = self._clients.policy
        return types.DeployedModel(
            id=deployed_id(slot, version.version),
            model=version.uri,
            display_name=slot,
            service_account=policy.service_account or "",
            dedicated_resources=types.DedicatedResources(
                machine_spec=types.MachineSpec(machine_type=policy.serving_machine_type),
                min_replica_count=policy.serving_min_machines,
                max_replica_count=policy.serving_max_machines,
            ),
        )


if TYPE_CHECKING:
    _speaks: type[ModelHost] = VertexHost
