"""Deployments on Vertex AI endpoints."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.adapters.vertex.deploying import UnderWay, announce, looked_at, stop
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
        #: by slot, operations begun here: only they know why a deployment failed
        self._begun: dict[str, Any] = {}

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        del package  # the registered one is served
        if parse_chaos(chaos) != parse_chaos(""):
            raise PlatformRefusedError(
                f"Vertex AI has no drills, so {chaos!r} is not deployed",
                remedy="Rehearse on the platform local, or leave --chaos out.",
            )
        endpoint = self._endpoint(slot)
        endpoint.made()
        found, under_way = self._looked_at(endpoint)
        if slot in under_way:
            if under_way[slot].version == version.version:
                return
            found = stop(endpoint, slot, under_way.pop(slot))
        there = slots_of(found).get(slot)
        if found is not None and there is not None:
            if there.model_version_id == version.version:
                return
            self._refuse_busy(slot, found)
            endpoint.undeploy(there)
        announce(endpoint, slot, version.version, under_way)
        split = {} if self._role == PRODUCTION else {"0": 100}
        try:
            self._begun[slot] = endpoint.deploy(self._deployed(slot, version), split)
        except PlatformRefusedError as error:
            if isinstance(error.__cause__, api.AlreadyExists):
                return  # another machine began this very deployment: its id is the same
            raise

    def health(self, slot: str) -> bool:
        return slot in slots_of(self._endpoint(slot).get())

    def failure(self, slot: str) -> str:
        found, under_way = self._looked_at(self._endpoint(slot))
        if slot in slots_of(found):
            return ""
        if slot in under_way:
            return f"{slot} is being deployed ({under_way[slot]})"
        operation = self._begun.get(slot)
        if operation is None:
            return _absent(slot)
        if not self._clients.attempts("how a deployment goes", lambda: operation.done(retry=None)):
            return f"{slot} is being deployed ({operation.operation.name})"
        error = operation.exception(timeout=0)
        return f"{slot} was not deployed: {error or 'Vertex AI does not say why'}"

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        self._addressable(slot)
        answer = self._proxy.ask(self._endpoint(slot).id, question(columns, rows))
        return numbers_in(slot, answer.status, answer.data, log="the slot's log in Cloud Logging")

    def target(self, slot: str) -> Target:
        """Where the slot itself takes requests.

        Raises:
            PlatformRefusedError: there is no such slot, or it shares its endpoint's traffic.
            PlatformUnavailableError: it is not up.
        """
        self._addressable(slot)
        return self._proxy.target(self._endpoint(slot).id)

    def remove(self, slot: str) -> None:
        endpoint = self._endpoint(slot)
        found, under_way = self._looked_at(endpoint)
        if slot in under_way:
            found = stop(endpoint, slot, under_way[slot])
        self._begun.pop(slot, None)
        there = slots_of(found).get(slot)
        if found is not None and self._role == PRODUCTION and there is not None:
            self._refuse_busy(slot, found)
            endpoint.undeploy(there)
        elif found is not None and self._role != PRODUCTION:
            for one in found.deployed_models:
                endpoint.undeploy(one)
            endpoint.delete()

    def list(self) -> Sequence[Deployment]:
        """What runs or is being deployed; the URL is empty unless a slot has all the traffic."""
        listed = self._clients.listed(
            "for the project's endpoints",
            self._clients.endpoints.list_endpoints,
            request={
                "parent": self._clients.parent,
                "filter": f'labels.{PROJECT}="{self._model}"',
            },
        )
        roles = [one.labels.get(ROLE, "") for one in listed]
        return [
            deployment
            for role in roles
            if role.startswith(self._role)
            for deployment in self._on(Endpoint(self._clients, self._model, role))
        ]

    def _on(self, endpoint: Endpoint) -> Iterator[Deployment]:
        found, under_way = self._looked_at(endpoint)
        for one in found.deployed_models if found else ():
            yield self._deployment(found, one)
        for slot, coming in under_way.items():
            yield Deployment(
                slot=slot,
                model=self._model,
                version=coming.version,
                healthy=False,
                target=Target(url=""),
                since=coming.since,
            )

    def _looked_at(self, endpoint: Endpoint) -> tuple[types.Endpoint | None, dict[str, UnderWay]]:
        return looked_at(endpoint, {slot: op.operation.name for slot, op in self._begun.items()})

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

    def _addressable(self, slot: str) -> None:
        found = self._endpoint(slot).get()
        if slot not in slots_of(found):
            why = self.failure(slot)
            if why == _absent(slot):
                raise PlatformRefusedError(why, remedy="Deploy it first.")
            raise PlatformUnavailableError(
                f"slot {slot} is not up: {why}", remedy="Wait until it is healthy."
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


def _absent(slot: str) -> str:
    return f"there is no slot {slot}"


if TYPE_CHECKING:
    _speaks: type[ModelHost] = VertexHost
