"""Shares of an online endpoint's traffic, and whose rollout it is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml.endpoint import Endpoint, deployment_of, shares
from ml_pipeline.adapters.azureml.proxy import KeyProxy
from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.traffic import checked_weights
from ml_pipeline.ports.serving import Target

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import TrafficRouter


class AzuremlRouter:
    """Speaks `ports.serving.TrafficRouter`.

    The lease lies in the workspace, so that `abort` on another machine finds it. It does not run
    out: nothing in Azure would act on that, and a rollout left half way must be put right by
    `abort`, not built upon.

    Args:
        endpoint: the production endpoint.
        proxy: adds the endpoint's key to requests.
    """

    self_healing = False
    least_lease_s = 0.0  # it does not run out

    def __init__(self, endpoint: Endpoint, proxy: KeyProxy) -> None:
        self._endpoint = endpoint
        self._proxy = proxy

    def endpoint(self) -> Target:
        return self._proxy.target(self._endpoint, None)

    def weights(self) -> Mapping[str, int]:
        found = self._endpoint.find()
        return {} if found is None else shares(found.traffic)

    def set_weights(self, weights: Mapping[str, int]) -> None:
        wanted = {slot: share for slot, share in checked_weights(weights).items() if share}
        self._refuse_unknown(weights)
        traffic = {deployment_of(slot): share for slot, share in wanted.items()}

        def edit(found: Any) -> None:
            found.traffic = traffic

        self._endpoint.change(f"to set the traffic of {self._endpoint.name}", edit)
        found = self.weights()
        if found != wanted:
            raise PlatformRefusedError(
                f"endpoint {self._endpoint.name} was asked for {wanted} and has {dict(found)}",
                remedy="See in the studio who else moves traffic.",
            )

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:  # noqa: ARG002 - it does not run out
        kept = checked_weights(fallback)
        self._refuse_unknown(kept)
        self._endpoint.lease.take(run_id, kept)

    def renew(self, run_id: str) -> None:
        self._endpoint.lease.require(run_id)

    def commit(self, run_id: str) -> None:
        lease = self._endpoint.lease
        lease.end(lease.require(run_id))

    def rollout(self) -> str | None:
        held = self._endpoint.lease.read()
        return None if held is None else held.run_id

    def _refuse_unknown(self, weights: Mapping[str, int]) -> None:
        there = {one.name for one in self._endpoint.deployments()}
        for slot in weights:
            if deployment_of(slot) not in there:
                raise PlatformRefusedError(
                    f"there is no slot {slot} on {self._endpoint.name}", remedy="Deploy it first."
                )


if TYPE_CHECKING:
    _speaks: type[TrafficRouter] = AzuremlRouter
