"""Slots as blue/green deployments of an online endpoint."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.adapters.azureml.client import AbsentError
from ml_pipeline.adapters.azureml.endpoint import Endpoint, deployment_of, shares, slot_in
from ml_pipeline.adapters.azureml.proxy import KeyProxy
from ml_pipeline.adapters.azureml.states import PROVISIONED, known
from ml_pipeline.domain.chaos import parse_chaos
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.serving import Deployment, Target, numbers_in, question

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import ModelHost

_VERSION, _MODEL, SINCE = "ml-pipeline.version", "ml-pipeline.model", "ml-pipeline.since"
_PORT = 5001
_ROUTES = {
    "liveness_route": {"port": _PORT, "path": "/ping"},
    "readiness_route": {"port": _PORT, "path": "/ping"},
    "scoring_route": {"port": _PORT, "path": "/score"},
}
_LOG_LINES = 50
_LOG = "the deployment's log in the studio"
_PREDICT_LIMIT_S = 60.0


class AzuremlHost:
    """Speaks `ports.serving.ModelHost`.

    A staging endpoint goes with its last deployment: an endpoint without one costs nothing, but
    nobody needs it.

    Args:
        endpoint: where the slots are.
        proxy: adds the endpoint's key to requests.
        trusted_types: skops types its models may hold besides skops' own list.
    """

    def __init__(
        self, endpoint: Endpoint, proxy: KeyProxy, trusted_types: Sequence[str] = ()
    ) -> None:
        self._endpoint = endpoint
        self._proxy = proxy
        self._trusted_types = list(trusted_types)
        self._workspace = endpoint.workspace

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:  # noqa: ARG002 - the registered bundle is what is deployed
        """Start a version in a slot; returns while the platform still works on it."""
        if not parse_chaos(chaos).harmless:
            raise PlatformRefusedError(
                f"Azure ML has no drills such as {chaos!r}", remedy="Leave --chaos out."
            )
        endpoint = self._endpoint.ensure()
        there = self._endpoint.deployment(slot)
        if there is not None:
            ready = _ready(there)
            same = (there.tags.get(_MODEL), there.tags.get(_VERSION)) == (
                version.model,
                version.version,
            )
            if same and ready is not False:
                return
            self._refuse_busy(slot, endpoint)
            if ready is False:  # a deployment that failed cannot be updated, only replaced
                self._delete(slot)
        order = self._order(slot, version)
        self._workspace.ask(
            f"to deploy {version.model} {version.version} to {slot}",
            lambda ml: ml.online_deployments.begin_create_or_update(order),
        )

    def health(self, slot: str) -> bool:
        found = self._endpoint.deployment(slot)
        return found is not None and _ready(found) is True

    def failure(self, slot: str) -> str:
        found = self._endpoint.deployment(slot)
        if found is None:
            return f"there is no slot {slot} on {self._endpoint.name}"
        if _ready(found) is True:
            return ""
        return "\n".join(
            [f"deployment {found.name} is {found.provisioning_state}", self._log(slot)]
        )

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        url = self.target(slot).url
        try:
            with httpx.Client(trust_env=False, timeout=_PREDICT_LIMIT_S) as client:
                answer = client.post(url, json=question(columns, rows))
        except httpx.HTTPError as error:
            raise PlatformUnavailableError(
                f"slot {slot} gave no predictions: {error!r}", remedy=f"Read {_LOG}."
            ) from error
        return numbers_in(slot, answer.status_code, answer.content, log=_LOG)

    def target(self, slot: str) -> Target:
        """An address on this machine that adds the endpoint's key and goes to this slot only.

        Raises:
            PlatformRefusedError: there is no such slot.
            PlatformUnavailableError: it is not up.
        """
        found = self._endpoint.deployment(slot)
        if found is None:
            raise PlatformRefusedError(f"there is no slot {slot}", remedy="Deploy it first.")
        if _ready(found) is not True:
            raise PlatformUnavailableError(
                f"slot {slot} is {found.provisioning_state}", remedy="Wait until it is healthy."
            )
        return self._proxy.target(self._endpoint, slot)

    def remove(self, slot: str) -> None:
        found = self._endpoint.find()
        if found is None:
            return
        if self._endpoint.deployment(slot) is not None:
            self._refuse_busy(slot, found)
            self._delete(slot)
        if self._endpoint.role == "staging" and not self._endpoint.deployments():
            self._endpoint.delete()

    def list(self) -> Sequence[Deployment]:
        found = [_deployment(one, self._endpoint, self._proxy) for one in self._deployments()]
        return sorted(found, key=lambda one: one.slot)

    def _deployments(self) -> Sequence[Any]:
        return self._endpoint.deployments()

    def _refuse_busy(self, slot: str, endpoint: Any) -> None:
        held = self._endpoint.lease.read()
        share = shares(endpoint.traffic).get(slot, 0)
        if share or (held is not None and slot in held.fallback):
            why = f"{share} % of the traffic" if share else "a rollout that would fall back to it"
            raise PlatformRefusedError(
                f"slot {slot} has {why}", remedy="Move the traffic to another slot first."
            )

    def _delete(self, slot: str) -> None:
        name = deployment_of(slot)
        self._endpoint.settled()
        try:
            self._workspace.ask(
                f"to remove {name}",
                lambda ml: ml.online_deployments.begin_delete(
                    name=name, endpoint_name=self._endpoint.name
                ),
            )
        except AbsentError:
            return
        self._endpoint.waited(
            f"deployment {name}",
            lambda: True if self._endpoint.deployment(slot) is None else None,
        )

    def _order(self, slot: str, version: ModelVersion) -> Any:
        policy = self._workspace.policy
        return sdk.ManagedOnlineDeployment(
            name=deployment_of(slot),
            endpoint_name=self._endpoint.name,
            model=f"azureml:{version.model}:{version.version}",
            environment=sdk.Environment(image=policy.image, inference_config=_ROUTES),
            environment_variables={
                told.LAYOUT: "azureml",
                told.SLOT: slot,
                told.VERSION: version.version,
                told.TRUSTED_TYPES: json.dumps(self._trusted_types),
            },
            instance_type=policy.serving_instance_type,
            instance_count=policy.serving_instance_count,
            tags={
                _MODEL: version.model,
                _VERSION: version.version,
                SINCE: self._workspace.clock.now().isoformat(),
            },
        )

    def _log(self, slot: str) -> str:
        name = deployment_of(slot)
        try:
            return str(
                self._workspace.ask(
                    f"the log of {name}",
                    lambda ml: ml.online_deployments.get_logs(
                        name=name, endpoint_name=self._endpoint.name, lines=_LOG_LINES
                    ),
                )
            )
        except PlatformRefusedError as error:  # a deployment that never started has none
            return f"it has no log: {error}"


def _ready(found: Any) -> bool | None:
    return known(PROVISIONED, found.provisioning_state, f"deployment {found.name}")


def _deployment(found: Any, endpoint: Endpoint, proxy: KeyProxy) -> Deployment:
    tags: Mapping[str, str] = found.tags
    slot, healthy = slot_in(found.name), _ready(found) is True
    return Deployment(
        slot=slot,
        model=tags.get(_MODEL, ""),
        version=tags.get(_VERSION, ""),
        healthy=healthy,
        target=proxy.target(endpoint, slot) if healthy else Target(url=""),
        since=datetime.fromisoformat(tags[SINCE]).astimezone(UTC),
    )


if TYPE_CHECKING:
    _speaks: type[ModelHost] = AzuremlHost
